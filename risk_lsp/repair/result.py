"""What a repair came to: what may be offered, and what to say."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from risk_lsp.repair.tree import Cost, RepairTree, Replacement, Verdict

Status = Literal["repaired", "suggested", "passing", "not found"]


@dataclass(frozen=True)
class Offer:
    """A change that a person may accept; it was never applied.

    edits: in the order of the text, apart from one another. text: the document after them. The risks are of the whole
    document and of what was asked about. verdict: None where nothing was run.
    """

    edits: tuple[Replacement, ...]
    text: str
    risk_before: float
    risk_after: float
    span_risk_before: float
    span_risk_after: float
    verdict: Verdict | None
    source: str


@dataclass(frozen=True)
class RepairResult:
    """offers: best first; none unless `status` is "repaired" or "suggested". message, hint: for people."""

    status: Status
    offers: tuple[Offer, ...]
    message: str
    hint: str
    cost: Cost
    tree: RepairTree


def replacements_between(before: str, after: str) -> tuple[Replacement, ...]:
    """Minimal replacements from one text to another: by lines, each cut down to what differs in it."""
    olds, news = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for line in olds:
        starts.append(starts[-1] + len(line))
    found = []
    for kind, one, two, three, four in difflib.SequenceMatcher(None, olds, news, autojunk=False).get_opcodes():
        if kind != "equal":
            found.append(_trimmed(starts[one], before[starts[one] : starts[two]], "".join(news[three:four])))
    return tuple(found)


def changed_lines(before: str, after: str) -> int:
    """How many lines a change touches: of each stretch that differs, the longer side counts."""
    olds, news = before.splitlines(), after.splitlines()
    codes = difflib.SequenceMatcher(None, olds, news, autojunk=False).get_opcodes()
    return sum(max(two - one, four - three) for kind, one, two, three, four in codes if kind != "equal")


def unified_diff(before: str, after: str, name: str) -> str:
    """A diff that `patch` and git take."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _trimmed(start: int, old: str, new: str) -> Replacement:
    shortest = min(len(old), len(new))
    head = next((at for at in range(shortest) if old[at] != new[at]), shortest)
    tail = next((at for at in range(shortest - head) if old[-1 - at] != new[-1 - at]), shortest - head)
    return Replacement(start + head, start + len(old) - tail, new[head : len(new) - tail])
