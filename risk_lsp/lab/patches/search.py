"""The search for the smallest patch that makes a failing program pass its problem's tests.

Fixes come from passing programs nearby, small edits and other programs' lines, and are cut down (ddmin).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, islice, pairwise
from typing import TypeVar

from risk_lsp.edits.candidates import mending_edits, superseded_statements
from risk_lsp.edits.hunks import Difference, Hunk, Size, apply_hunks, edited_spans, size_of
from risk_lsp.edits.lexemes import Code, LineAligner, read_code
from risk_lsp.edits.renaming import bound_names, renamed_like
from risk_lsp.edits.slips import Edit, small_edits
from risk_lsp.lab.patches.programs import end_of_given
from risk_lsp.sandbox.verdicts import Screen
from risk_lsp.text.document import LineIndex, Span
from risk_lsp.text.structure import parses

_BATCH = 64
_SMALL = 2  # a patch of so few lexemes is not worth the search for a smaller one


# Gives programs that may be fixes.
Asked = Callable[[], Iterable[str]]


@dataclass(frozen=True)
class SearchSettings:
    """What the search for one program may cost.

    budget: variants run, one that never ends counting for more and one that shares a process for less; a minimisation
    that has begun is finished. neighbours: passing programs that are compared; minimised: how many of the nearest of
    those are cut down.
    """

    budget: int = 1000
    neighbours: int = 16
    minimised: int = 4


@dataclass(frozen=True)
class Patch:
    """A patch that works: the fixed program, the hunks that lead to it, and where the fix came from."""

    fixed: str
    hunks: tuple[Hunk, ...]
    size: Size
    source: str


class PatchSearch:
    """Searches patches for the failing programs of one problem."""

    def __init__(self, screen: Screen, pool: ProgramPool, entry_point: str | None, settings: SearchSettings) -> None:
        self._screen = screen
        self._pool = pool
        self._keep = {entry_point} if entry_point else set()
        self._settings = settings
        self._aligner = LineAligner()

    def patches(self, program: str, prompt_lines: int, asked: Asked = lambda: ()) -> list[Patch]:
        """Patches of a failing program that passed the screen, smallest first; each is minimal.

        `asked` gives programs that may be fixed; it is called where the other sources found no tiny patch.
        """
        one = self._one(program, prompt_lines)
        differences = self._differences(one)
        tried = differences[: 4 * self._settings.minimised]
        working = one.works([hunks for _, hunks in tried])
        chosen = [item for item, does in zip(tried, working, strict=True) if does][: self._settings.minimised]
        for source, hunks in chosen:
            if one.could_be_smaller:
                one.minimise(hunks, source)
        self._from_variants(one, [hunks for _, hunks in differences])
        if one.smallest > _SMALL:
            fixes = (Difference(one.code, read_code(text), one.given, self._aligner) for text in asked())
            given = [hunks for fix in fixes if (hunks := fix.hunks())]
            for hunks, does in zip(given, one.works(given), strict=True):
                if does:
                    one.minimise(hunks, "language model")
        return sorted(one.found, key=lambda patch: patch.size)

    def needed_of(self, program: str, prompt_lines: int, fixed: str, source: str) -> Patch | None:
        """The smallest part of the difference to a passing program that works; None where all of it does not."""
        one = self._one(program, prompt_lines)
        hunks = Difference(one.code, read_code(fixed), one.given, self._aligner).hunks()
        if not hunks or not one.works([hunks])[0]:
            return None
        one.minimise(hunks, source)
        return one.found[0]

    def _one(self, program: str, prompt_lines: int) -> _OneProgram:
        given = end_of_given(program, prompt_lines)
        return _OneProgram(self._screen, self._aligner, program, given, self._settings.budget)

    def _differences(self, one: _OneProgram) -> list[tuple[str, list[Hunk]]]:
        """Where the nearest passing programs come from, and the hunks that lead to them, the cheapest first."""
        differences: list[tuple[float, int, str, list[Hunk]]] = []
        for candidate in self._pool.nearest(one.program, self._settings.neighbours):
            for version in renamed_like(candidate.program, one.program, self._aligner, self._keep):
                difference = Difference(one.code, read_code(version), one.given, self._aligner)
                differences.append((difference.cost, len(differences), candidate.source, difference.hunks()))
        return [(source, hunks) for _, _, source, hunks in sorted(differences) if hunks]

    def _from_variants(self, one: _OneProgram, differences: list[list[Hunk]]) -> None:
        """Single edits and single lines of other programs, then two at a time."""
        edits = edits_behind(one.program, one.given, one.suspects())
        swaps = line_swaps(differences)
        stages = (
            ("small edit", ((edit.apply(one.program) for edit in edits), 1)),
            ("line of a passing program", ((apply_hunks(one.program, swap) for swap in swaps), 1)),
            ("two lines", ((apply_hunks(one.program, pair) for pair in pair_swaps(swaps)), 2)),
        )
        for source, (texts, lines) in stages:
            if not one.could_be_smaller or min((patch.size.lines for patch in one.found), default=lines + 1) <= lines:
                continue
            for text in one.first_promising(texts):
                hunks = Difference(one.code, read_code(text), one.given, self._aligner).hunks()
                if hunks and one.works([hunks])[0]:
                    one.minimise(hunks, source)
                    break


class _OneProgram:
    """The failing program under repair, and the patches found so far."""

    def __init__(self, screen: Screen, aligner: LineAligner, program: str, given: int, budget: int) -> None:
        self.program = program
        self.given = given
        self.code: Code = read_code(program)
        self.found: list[Patch] = []
        self._screen = screen
        self._aligner = aligner
        self._limit = screen.effort + budget
        self._superseded = superseded_statements(program)

    @property
    def could_be_smaller(self) -> bool:
        """Whether a smaller patch is worth looking for, and the budget allows it."""
        return self.smallest > _SMALL and self._screen.effort < self._limit

    @property
    def smallest(self) -> float:
        """How many lexemes the best patch so far removes or adds."""
        return min((patch.size.changed for patch in self.found), default=float("inf"))

    def suspects(self) -> set[int]:
        """The lines of the text, from 0, that the patches so far touch."""
        lines = LineIndex(self.program)
        return {lines.line_of(span.start) for patch in self.found for span in edited_spans(patch.hunks)}

    def works(self, sets: Sequence[Sequence[Hunk]]) -> list[bool]:
        """Whether the program passes with each set of hunks, and has no code cut off by them."""
        texts = [apply_hunks(self.program, hunks) for hunks in sets]
        parsing = [parses(text) for text in texts]
        passed = iter(self._screen.passes([text for text, does in zip(texts, parsing, strict=True) if does]))
        return [does and next(passed) and self._is_sound(text) for text, does in zip(texts, parsing, strict=True)]

    def first_promising(self, texts: Iterable[str]) -> Iterator[str]:
        """Programs that seem to pass, as they are met, until the effort is spent."""
        waiting = iter(texts)
        while self._screen.effort < self._limit and (batch := list(islice(waiting, _BATCH))):
            yield from filter(self._is_sound, self._screen.promising(batch))

    def minimise(self, hunks: list[Hunk], source: str) -> None:
        """Cut a set of hunks that works down, by lines and then by lexemes, and keep the result."""
        by_line = sorted(hunks, key=lambda hunk: (hunk.line, hunk.span))
        lines = [list(group) for _, group in groupby(by_line, key=lambda hunk: hunk.line)]
        lines.sort(key=lambda group: (group[0].span, group[0].order))
        kept = minimise(lines, lambda sets: self.works([_flat(chosen) for chosen in sets]))
        smallest = tuple(minimise(sorted(_flat(kept), key=lambda hunk: (hunk.span, hunk.order)), self.works))
        self.found.append(Patch(apply_hunks(self.program, smallest), smallest, size_of(smallest), source))

    def _is_sound(self, text: str) -> bool:
        return superseded_statements(text) <= self._superseded


def _flat(groups: Sequence[Sequence[Hunk]]) -> list[Hunk]:
    return [hunk for group in groups for hunk in group]


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
