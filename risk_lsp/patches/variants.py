"""Programs close to a failing one: with small edits, or with lines that passing programs have in the same places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, groupby

from risk_lsp.patches.edits import Edit, small_edits
from risk_lsp.patches.hunks import Hunk
from risk_lsp.patches.mends import mending_edits
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

# Of one kind of edit, the likelier ones to mend a program come first; names are many and seldom the reason.
_PRIORS = (
    *("import", "return", "comparison operator", "bound shifted", "indentation", "constant", "conversion", "twin"),
    *("condition negated", "arithmetic operator", "boolean operator", "call dropped", "sign or negation dropped"),
    *("accumulation dropped", "statement deleted", "argument order", "statement doubled", "name"),
)

# What one passing program has in one place: the hunks of a line, or of lines that are missing there.
Swap = tuple[Hunk, ...]


def edited(program: str, given: int, suspects: set[int]) -> list[Edit]:
    """Small edits behind the offset `given`: those on the lines `suspects` first, and likely kinds before others."""
    edits = [*mending_edits(program, given), *small_edits(program, Span(given, len(program)))]
    lines = LineIndex(program)
    return sorted(
        edits,
        key=lambda edit: (
            lines.line_of(edit.span.start) not in suspects,
            _PRIORS.index(edit.operator) if edit.operator in _PRIORS else len(_PRIORS),
            edit.span,
        ),
    )


def line_swaps(differences: Sequence[Sequence[Hunk]]) -> list[Swap]:
    """What differs in one place each: what most of the programs have in common first, then the smaller."""
    swaps = Counter(swap for hunks in differences for swap in set(_places(hunks)))
    first = {_key(swap): swap for swap in reversed(list(swaps))}
    votes: Counter[tuple[tuple[Span, str], ...]] = Counter()
    for swap, count in swaps.items():
        votes[_key(swap)] += count
    return [first[key] for key in sorted(first, key=lambda key: (-votes[key], _changed(first[key]), key))]


def paired(swaps: Sequence[Swap]) -> Iterator[Swap]:
    """Two swaps in different places, the likelier first."""
    for first, second in sorted(combinations(range(len(swaps)), 2), key=sum):
        if not {hunk.touches for hunk in swaps[first]} & {hunk.touches for hunk in swaps[second]}:
            yield swaps[first] + swaps[second]


def _places(hunks: Sequence[Hunk]) -> Iterator[Swap]:
    """A difference in parts: each line that changes, each stretch of lines that are missing, and both together."""
    ordered = sorted(hunks, key=lambda hunk: (hunk.touches, hunk.order))
    for _, group in groupby(ordered, key=lambda hunk: hunk.touches):
        place = list(group)
        missing = tuple(hunk for hunk in place if hunk.line < 0)
        changed = tuple(hunk for hunk in place if hunk.line >= 0)
        yield from (swap for swap in (missing, changed) if swap)
        if missing and changed:
            yield missing + changed


def _key(swap: Swap) -> tuple[tuple[Span, str], ...]:
    return tuple((hunk.span, hunk.replacement) for hunk in swap)


def _changed(swap: Swap) -> int:
    return sum(hunk.removed + hunk.added for hunk in swap)
