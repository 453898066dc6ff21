"""Passing programs of a problem, nearest first: where most fixes come from."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from risk_lsp.patches.lexemes import Code, read_code
from risk_lsp.patches.renaming import bound_names


@dataclass(frozen=True)
class Candidate:
    """A passing program. `source` says where it is from: "passing program", "reference" or "fixed program"."""

    program: str
    source: str


class CandidatePool:
    """The passing programs of one problem; those whose code is equal count once."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._entries: dict[tuple[tuple[int, tuple[str, ...]], ...], tuple[Candidate, Counter[str]]] = {}
        for candidate in candidates:
            self.add(candidate)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, candidate: Candidate) -> None:
        """Add a passing program, for example one that has just been fixed."""
        code = read_code(candidate.program)
        key = tuple((line.level, line.words) for line in code.lines)
        if key not in self._entries:
            self._entries[key] = (candidate, _profile(code, bound_names(candidate.program)))

    def distance(self, program: str) -> int:
        """How far the nearest candidate is from `program`; 0 if there is none."""
        profile = _profile(read_code(program), bound_names(program))
        return min((_distance(profile, other) for _, other in self._entries.values()), default=0)

    def nearest(self, program: str, count: int) -> list[Candidate]:
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
