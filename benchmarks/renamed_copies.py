"""Copies of programs with other names for their own variables: more to learn from, with the same labels."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from risk_lsp.patches.lexemes import read_code
from risk_lsp.patches.renaming import bound_names
from risk_lsp.text.spans import Span
from risk_lsp.training.labelled import LabelledProgram


def renamed_copies(programs: Sequence[LabelledProgram], seed: int) -> list[LabelledProgram]:
    """One copy of each program, in order. Names that it was given, and those of functions and classes, stay.

    New names are drawn from those of all programs, by how many programs use each.
    """
    chooser = random.Random(seed)
    own = [_own_names(program) for program in programs]
    pool = Counter(name for names in own for name in names)
    names, weights = zip(*sorted(pool.items()), strict=True) if pool else ((), ())
    return [
        _renamed(program, _drawn(sorted(used), names, weights, program.text, chooser))
        for program, used in zip(programs, own, strict=True)
    ]


def _own_names(program: LabelledProgram) -> set[str]:
    """Names that the model bound, without those that stand in what it was given."""
    lexemes = [lexeme for line in read_code(program.text).lines for lexeme in line.lexemes]
    given = {lexeme.text for lexeme in lexemes if lexeme.span.start < program.scored.start}
    defined = {after.text for before, after in pairwise(lexemes) if before.text in ("def", "class", ".")}
    assigned = {before.text for before, after in pairwise(lexemes) if after.text == "="}
    # "f(name=1)" may name a parameter of somebody else's.
    in_calls = {after.text for before, after in pairwise(lexemes) if before.text in ("(", ",")}
    return bound_names(program.text) - given - defined - (assigned & in_calls)


def _drawn(
    used: Sequence[str], names: Sequence[str], weights: Sequence[int], text: str, chooser: random.Random
) -> dict[str, str]:
    """A new name for each, which the text does not hold yet; where none is found the old one stays."""
    mapping: dict[str, str] = {}
    for name in used:
        candidates = chooser.choices(names, weights, k=8)
        free = [each for each in candidates if each not in mapping.values() and each not in text]
        if free:
            mapping[name] = free[0]
    return mapping


def _renamed(program: LabelledProgram, mapping: dict[str, str]) -> LabelledProgram:
    changes = [
        (lexeme.span, mapping[lexeme.text])
        for line in read_code(program.text).lines
        for lexeme in line.lexemes
        if lexeme.kind == "name" and lexeme.text in mapping
    ]
    pieces, end = [], 0
    for span, name in changes:
        pieces += [program.text[end : span.start], name]
        end = span.end
    starts = [span.start for span, _ in changes]
    grown = list(accumulate((len(name) - (span.end - span.start) for span, name in changes), initial=0))

    def moved(offset: int) -> int:
        """An offset within a name that changes becomes the end of the new one."""
        before = bisect_right(starts, offset - 1)
        end_of_last = changes[before - 1][0].end if before else 0
        return max(offset, end_of_last) + grown[before]

    def moved_span(span: Span) -> Span:
        return Span(moved(span.start), moved(span.end))

    return replace(
        program,
        id=f"{program.id}+renamed",
        text="".join([*pieces, program.text[end:]]),
        scored=moved_span(program.scored),
        edited=None if program.edited is None else tuple(map(moved_span, program.edited)),
    )
