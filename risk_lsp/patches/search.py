"""The search for the smallest patch that makes a failing program pass its problem's tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

from risk_lsp.patches.alignment import LineAligner
from risk_lsp.patches.candidates import CandidatePool
from risk_lsp.patches.edits import Edit, small_edits
from risk_lsp.patches.hunks import Difference, Hunk, Size, apply_hunks, size_of
from risk_lsp.patches.lexemes import Code, read_code
from risk_lsp.patches.mends import mending_edits
from risk_lsp.patches.minimise import minimise
from risk_lsp.patches.reachability import superseded_statements
from risk_lsp.patches.renaming import parses, renamed_like
from risk_lsp.patches.screening import Screen
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

# Of one kind of edit, the likelier ones to mend a program come first; names are many and seldom the reason.
_PRIORS = (
    *("import", "return", "comparison operator", "bound shifted", "indentation", "constant", "conversion", "twin"),
    *("condition negated", "arithmetic operator", "boolean operator", "call dropped", "sign or negation dropped"),
    *("accumulation dropped", "statement deleted", "argument order", "statement doubled", "name"),
)
_BATCH = 32
_SMALL = 2  # a patch of so few lexemes is not worth the search for a smaller one


@dataclass(frozen=True)
class SearchSettings:
    """What the search for one program may cost.

    budget: variants run, one that never ends counting for more; a minimisation that has begun is finished. neighbours:
    passing programs that are compared; minimised: how many of those that are nearest are cut down.
    """

    budget: int = 400
    neighbours: int = 12
    minimised: int = 4


@dataclass(frozen=True)
class Patch:
    """A patch that works: the fixed program, the hunks that lead to it, and where the fix came from."""

    fixed: str
    hunks: tuple[Hunk, ...]
    size: Size
    source: str


class PatchSearch:
    """Searches patches for the failing programs of one problem; patches that it finds serve the later programs."""

    def __init__(self, screen: Screen, pool: CandidatePool, entry_point: str | None, settings: SearchSettings) -> None:
        self._screen = screen
        self._pool = pool
        self._keep = {entry_point} if entry_point else set()
        self._settings = settings
        self._aligner = LineAligner()

    def patches(self, program: str, prompt_lines: int) -> list[Patch]:
        """Patches of a failing program that passed the screen, smallest first; each is minimal."""
        lines = LineIndex(program)
        given = lines.start(prompt_lines) if prompt_lines < lines.count else len(program)
        one = _OneProgram(self._screen, self._aligner, program, given)
        limit = self._screen.effort + self._settings.budget
        self._from_candidates(one, limit)
        self._from_edits(one, limit)
        return sorted(one.found, key=lambda patch: patch.size)

    def _from_candidates(self, one: _OneProgram, limit: int) -> None:
        differences: list[tuple[float, int, str, list[Hunk]]] = []
        for candidate in self._pool.nearest(one.program, self._settings.neighbours):
            for version in renamed_like(candidate.program, one.program, self._aligner, self._keep):
                difference = Difference(one.code, read_code(version), one.given, self._aligner)
                differences.append((difference.cost, len(differences), candidate.source, difference.hunks()))
        differences.sort(key=lambda item: item[:2])
        tried = [(source, hunks) for _, _, source, hunks in differences if hunks][: 4 * self._settings.minimised]
        working = one.works([hunks for _, hunks in tried])
        chosen = [item for item, does in zip(tried, working, strict=True) if does][: self._settings.minimised]
        for source, hunks in chosen:
            if one.best_change > _SMALL and self._screen.effort < limit:
                one.minimised(hunks, source)

    def _from_edits(self, one: _OneProgram, limit: int) -> None:
        if one.best_change <= _SMALL:
            return
        edits = _ordered(one)
        room = max(0, limit - self._screen.effort)
        texts = list(dict.fromkeys(edit.apply(one.program) for edit in edits))[: room * 3 // 4]
        mended = one.first_passing(texts, limit)
        if mended is None and one.best_change > 2 * _SMALL:
            room = max(0, limit - self._screen.effort)
            mended = one.first_passing(list(_pairs_applied(one.program, edits, room)), limit)
        if mended is not None:
            hunks = Difference(one.code, read_code(mended), one.given, self._aligner).hunks()
            if hunks and one.works([hunks])[0]:
                one.minimised(hunks, "small edit")


class _OneProgram:
    """The failing program under repair, and the patches found so far."""

    def __init__(self, screen: Screen, aligner: LineAligner, program: str, given: int) -> None:
        self.program = program
        self.given = given
        self.code: Code = read_code(program)
        self.found: list[Patch] = []
        self._screen = screen
        self._aligner = aligner
        self._superseded = superseded_statements(program)

    @property
    def best_change(self) -> float:
        """The size of the best patch so far."""
        return min((patch.size.changed for patch in self.found), default=float("inf"))

    @property
    def touched(self) -> list[Span]:
        """What the best patch touches."""
        best = min(self.found, key=lambda patch: patch.size, default=None)
        return [span for hunk in best.hunks for span in hunk.marked] if best else []

    def works(self, sets: Sequence[Sequence[Hunk]]) -> list[bool]:
        """Whether the program passes with each set of hunks, and has no code cut off by them."""
        return self._sound_and_passing([apply_hunks(self.program, hunks) for hunks in sets])

    def first_passing(self, texts: list[str], limit: int) -> str | None:
        """The first of some programs that passes without code cut off, if it is met before the effort is spent."""
        for start in range(0, len(texts), _BATCH):
            if self._screen.effort >= limit:
                return None
            batch = texts[start : start + _BATCH]
            found = next((text for text, does in zip(batch, self._sound_and_passing(batch), strict=True) if does), None)
            if found is not None:
                return found
        return None

    def _sound_and_passing(self, texts: list[str]) -> list[bool]:
        parsing = [parses(text) for text in texts]
        passed = iter(self._screen.passes([text for text, does in zip(texts, parsing, strict=True) if does]))
        return [
            does and next(passed) and superseded_statements(text) <= self._superseded
            for text, does in zip(texts, parsing, strict=True)
        ]

    def minimised(self, hunks: list[Hunk], source: str) -> None:
        """Cut a set of hunks that works down, by lines and then by lexemes, and keep the result."""
        lines = [list(group) for _, group in groupby(sorted(hunks, key=_by_line), key=lambda hunk: hunk.line)]
        kept = minimise(lines, lambda sets: self.works([_flat(chosen) for chosen in sets]))
        smallest = tuple(minimise(sorted(_flat(kept), key=_by_place), self.works))
        self.found.append(Patch(apply_hunks(self.program, smallest), smallest, size_of(smallest), source))


def _ordered(one: _OneProgram) -> list[Edit]:
    """Single edits of what the model wrote: those where the best patch is first, likely kinds before others."""
    within = Span(one.given, len(one.program))
    edits = [*mending_edits(one.program, one.given), *small_edits(one.program, within)]
    lines = LineIndex(one.program)
    suspects = {lines.line_of(span.start) for span in one.touched}
    return sorted(
        edits,
        key=lambda edit: (
            lines.line_of(edit.span.start) not in suspects,
            _PRIORS.index(edit.operator) if edit.operator in _PRIORS else len(_PRIORS),
            edit.span,
        ),
    )


def _pairs_applied(program: str, edits: list[Edit], count: int) -> Iterator[str]:
    """Programs with two of the likelier edits applied, `count` at most."""
    likely = [edit for edit in edits if edit.operator != "name"][:40]
    pairs = sorted(combinations(range(len(likely)), 2), key=sum)
    for first, second in pairs[:count]:
        early, late = sorted((likely[first], likely[second]))
        if early.span.end <= late.span.start:
            yield early.apply(late.apply(program))


def _flat(groups: Sequence[Sequence[Hunk]]) -> list[Hunk]:
    return [hunk for group in groups for hunk in group]


def _by_line(hunk: Hunk) -> tuple[int, Span]:
    return (hunk.line, hunk.span)


def _by_place(hunk: Hunk) -> tuple[Span, int]:
    return (hunk.span, hunk.order)
