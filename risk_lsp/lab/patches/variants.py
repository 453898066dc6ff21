"""Where fixes come from: passing programs nearby, small edits, other programs' lines; and fixes cut down (ddmin)."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise
from typing import TypeVar

from risk_lsp.edits.candidates import mending_edits
from risk_lsp.edits.hunks import Hunk
from risk_lsp.edits.lexemes import Code, read_code
from risk_lsp.edits.renaming import bound_names
from risk_lsp.edits.slips import Edit, small_edits
from risk_lsp.text.document import LineIndex, Span


@dataclass(frozen=True)
class PassingProgram:
    """A passing program. `source` says where it is from: "passing program", "reference" or "fixed program"."""

    program: str
    source: str


class ProgramPool:
    """The passing programs of one problem; those whose code is equal count once."""

    def __init__(self, candidates: Iterable[PassingProgram]) -> None:
        self._entries: dict[tuple[tuple[int, tuple[str, ...]], ...], tuple[PassingProgram, Counter[str]]] = {}
        for candidate in candidates:
            self.add(candidate)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, candidate: PassingProgram) -> None:
        """Add a passing program, for example one that has just been fixed."""
        code = read_code(candidate.program)
        key = tuple((line.level, line.words) for line in code.lines)
        if key not in self._entries:
            self._entries[key] = (candidate, _profile(code, bound_names(candidate.program)))

    def distance(self, program: str) -> int:
        """How far the nearest candidate is from `program`; 0 if there is none."""
        profile = _profile(read_code(program), bound_names(program))
        return min((_distance(profile, other) for _, other in self._entries.values()), default=0)

    def nearest(self, program: str, count: int) -> list[PassingProgram]:
        """The candidates that share most with `program`, own names counting half; nearest first."""
        profile = _profile(read_code(program), bound_names(program))
        scored = ((_distance(profile, other), index) for index, (_, other) in enumerate(self._entries.values()))
        order = [index for _, index in heapq.nsmallest(count, scored)]
        entries = list(self._entries.values())
        return [entries[index][0] for index in order]


def _profile(code: Code, own_names: set[str]) -> Counter[str]:
    """Words and pairs of words of a program, the latter with own names all alike."""
    profile: Counter[str] = Counter()
    for line in code.lines:
        words = ["$" if word in own_names else word for word in line.words]
        profile.update(line.words)
        profile.update(f"{first} {second}" for first, second in zip(["", *words], [*words, ""], strict=True))
    return profile


def _distance(own: Counter[str], other: Counter[str]) -> int:
    common = sum((own & other).values())
    return sum(own.values()) + sum(other.values()) - 2 * common


# Of one kind of edit, the likelier ones to mend a program come first; names are many and seldom the reason.
_PRIORS = (
    *("import", "return", "comparison operator", "bound shifted", "indentation", "constant", "conversion", "twin"),
    *("condition negated", "arithmetic operator", "boolean operator", "call dropped", "sign or negation dropped"),
    *("accumulation dropped", "statement deleted", "argument order", "statement doubled", "name"),
)

# What one passing program has in one place: the hunks of a line, or of lines that are missing there.
Swap = tuple[Hunk, ...]


def edits_behind(program: str, given: int, suspects: set[int]) -> list[Edit]:
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
    """Differences in one place each, those that most of the programs have in common first, then the smaller ones."""
    swaps = Counter(swap for hunks in differences for swap in set(_places(hunks)))
    first = {_key(swap): swap for swap in reversed(list(swaps))}
    votes: Counter[tuple[tuple[Span, str], ...]] = Counter()
    for swap, count in swaps.items():
        votes[_key(swap)] += count
    return [
        first[key]
        for key in sorted(
            first, key=lambda key: (-votes[key], sum(hunk.removed + hunk.added for hunk in first[key]), key)
        )
    ]


def pair_swaps(swaps: Sequence[Swap]) -> Iterator[Swap]:
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


Change = TypeVar("Change")
# For each set of changes: does the program work with them?
Judge = Callable[[Sequence[Sequence[Change]]], Sequence[bool]]

# Up to so many changes, every subset is tried; beyond, only those with one change less.
_ALL_SUBSETS = 4


def minimise(changes: Sequence[Change], works: Judge[Change]) -> list[Change]:
    """A subset of `changes`, which all together work, such that it works no more if any one of them is left out.

    If few are left, no strict subset of them works at all. Sets are judged several at a time. The order of the changes
    is kept; neighbours are tried together first.
    """
    kept = list(changes)
    parts = 2
    while len(kept) >= 2:
        parts = min(parts, len(kept))
        bounds = [len(kept) * part // parts for part in range(parts + 1)]
        pieces = [kept[start:end] for start, end in pairwise(bounds)]
        smaller = _first_that_works(pieces, works)
        if smaller is not None:
            kept, parts = smaller, 2
            continue
        rests = [[change for other in pieces if other is not piece for change in other] for piece in pieces]
        smaller = _first_that_works(rests, works) if parts > 2 else None
        if smaller is not None:
            kept, parts = smaller, max(parts - 1, 2)
        elif parts == len(kept):
            break
        else:
            parts *= 2
    if len(kept) > _ALL_SUBSETS:
        return kept
    # Those of one change and of one less have been tried.
    for count in range(2, len(kept) - 1):
        smaller = _first_that_works([list(subset) for subset in combinations(kept, count)], works)
        if smaller is not None:
            return smaller
    return kept


def _first_that_works(sets: list[list[Change]], works: Judge[Change]) -> list[Change] | None:
    return next((changes for changes, does in zip(sets, works(sets), strict=True) if does), None)
