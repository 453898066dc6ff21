"""Programs with one bug made by machine: more to learn from, never to calibrate with."""

from __future__ import annotations

import random
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

from risk_lsp.edits.slips import Edit, small_edits
from risk_lsp.lab.training.labelled import LabelledProgram
from risk_lsp.text.document import Span, stripped_line_spans

Item = TypeVar("Item")


def with_injected_bugs(programs: Iterable[LabelledProgram], count: int, seed: int) -> list[LabelledProgram]:
    """`count` programs, each a passing one with one small edit; problems take turns, and so do the kinds of edit.

    An edit may leave what the program does unchanged; without running tests that cannot be told, and such labels are
    noise that training has to bear.
    """
    chooser = random.Random(seed)
    found: list[LabelledProgram] = []
    for program in passing_in_turn(programs, chooser):
        if len(found) == count:
            break
        edit = _chosen(small_edits(program.text, program.scored), program.text, chooser)
        if edit is not None:
            found.append(_injected(program, edit))
    return found


def passing_in_turn(programs: Iterable[LabelledProgram], chooser: random.Random) -> Iterator[LabelledProgram]:
    """The programs that passed, each once in an order drawn by `chooser`; problems take turns."""
    by_group: dict[str, list[LabelledProgram]] = defaultdict(list)
    for program in programs:
        if program.passed:
            by_group[program.group].append(program)
    rounds = [_shuffled(by_group[group], chooser) for group in sorted(by_group)]
    for position in range(max(map(len, rounds), default=0)):
        for own in rounds:
            if position < len(own):
                yield own[position]


def _chosen(edits: list[Edit], text: str, chooser: random.Random) -> Edit | None:
    """A random edit after which the program still parses; the operator is drawn first, or names would crowd it out."""
    by_operator: dict[str, list[Edit]] = defaultdict(list)
    for edit in edits:
        by_operator[edit.operator].append(edit)
    for operator in _shuffled(sorted(by_operator), chooser):
        edit = chooser.choice(by_operator[operator])
        if compiles(edit.apply(text)):
            return edit
    return None


def _injected(program: LabelledProgram, edit: Edit) -> LabelledProgram:
    text = edit.apply(program.text)
    end = edit.span.start + len(edit.replacement)
    growth = len(text) - len(program.text)
    edited = Span(edit.span.start, end) if edit.replacement.strip() else _next_character(text, edit.span.start)
    return LabelledProgram(
        id=f"{program.id}+{edit.operator}",
        group=program.group,
        benchmark=program.benchmark,
        text=text,
        scored=Span(program.scored.start, program.scored.end + growth),
        edited=(edited,),
        passed=False,
        task_id=program.task_id,
        model=program.model,
    )


def _next_character(text: str, offset: int) -> Span:
    """The first character at or after `offset` that is no white space, else the last one of the text."""
    for line in stripped_line_spans(text):
        if line.end > offset and line.start < line.end:
            start = max(offset, line.start)
            return Span(start, start + 1)
    return Span(max(0, len(text) - 1), len(text))


def compiles(text: str) -> bool:
    """Whether Python can compile a program; its warnings are silenced."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<program>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _shuffled(items: list[Item], chooser: random.Random) -> list[Item]:
    return chooser.sample(items, len(items))
