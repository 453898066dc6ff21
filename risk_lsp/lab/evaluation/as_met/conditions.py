"""The same programs as people meet them: with what was asked and without, alone and among the functions of a module."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from risk_lsp.lab.patches.labels import with_intent
from risk_lsp.lab.training.labelled import LabelledProgram
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span
from risk_lsp.text.structure import code_line_spans

SHORTEST, LONGEST = 200, 1_000  # lines of a module
LONGEST_FUNCTION = 60  # lines, of those that a program is put among
_BETWEEN = "\n\n"


def bare(program: LabelledProgram) -> LabelledProgram:
    """The program without the docstrings, comments and blank lines that stand before what a model wrote."""
    given = program.text[: program.scored.start]
    lines = LineIndex(given)
    kept = "".join(
        given[lines.start(line) : lines.end(line)]
        for line in (lines.line_of(span.start) for span in code_line_spans(given, "python"))
    )
    return _moved(program, kept + program.text[program.scored.start :], len(kept) - len(given))


def asked(program: LabelledProgram) -> LabelledProgram | None:
    """The program with what was asked as its module docstring; None where that is unknown.

    Where no record says what was asked, docstrings and comments before what a model wrote do.
    """
    without = bare(program)
    if not program.asked.strip():
        return program if len(without.text) < len(program.text) else None
    text, shift = with_intent(without.text, program.asked)
    return _moved(without, text, shift)


def in_module(
    program: LabelledProgram, functions: Sequence[str], chooser: random.Random
) -> tuple[LabelledProgram, Span]:
    """The program among functions, in a module of 200 to 1,000 lines, and where it stands there.

    How long the module is, which functions it holds, and where among them the program stands, is drawn. `functions`
    have at most LONGEST_FUNCTION lines each.
    """
    wanted = chooser.randint(SHORTEST, LONGEST - 3 * LONGEST_FUNCTION)
    room = wanted - program.text.count("\n")
    parts: list[str] = []
    while len(parts) < 2 or sum(part.count("\n") for part in parts) + len(_BETWEEN) * len(parts) < room:
        parts.append(chooser.choice(functions).strip("\n") + "\n")
    place = chooser.randint(1, len(parts) - 1)
    before = _BETWEEN.join(parts[:place]) + _BETWEEN
    own = program.text if program.text.endswith("\n") else program.text + "\n"
    text = before + own + _BETWEEN + _BETWEEN.join(parts[place:])
    return _moved(program, text, len(before)), Span(len(before), len(before) + len(program.text))


def _moved(program: LabelledProgram, text: str, shift: int) -> LabelledProgram:
    """The program with another text, in which what a model wrote stands that much further on."""
    edited = None if program.edited is None else tuple(_shifted(span, shift) for span in program.edited)
    return replace(program, text=text, scored=_shifted(program.scored, shift), edited=edited)


def _shifted(span: Span, shift: int) -> Span:
    return Span(span.start + shift, span.end + shift)
