"""What is to be repaired and at what cost, what came of it, and whether a program may be offered at all."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Literal

from risk_lsp.edits.candidates import cuts_code_off
from risk_lsp.errors import BadInput
from risk_lsp.repair.tree import Cost, NodeVerdict, RepairTree, Replacement
from risk_lsp.text.document import Span
from risk_lsp.text.structure import parses
from risk_lsp.text.tracking import difference


@dataclass(frozen=True)
class Budget:
    """Where a repair ends. tokens: read and written by an asked model. executions: programs run against the tests."""

    tokens: int = 20_000
    executions: int = 200
    seconds: float = 120.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise BadInput(f"a budget of {value} {name} allows nothing", f"give {name} above zero")


@dataclass(frozen=True)
class RepairRequest:
    """A document and what to repair in it; offsets are code points of `text`.

    span: the part to repair, None for all. hint: what the person says about it. name: for prompts and the record, such
    as the file's name. given: nothing in front of this offset is changed.
    """

    text: str
    language_id: str = "python"
    span: Span | None = None
    hint: str = ""
    name: str = ""
    given: int = 0
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        span = self.span
        if span is not None and not 0 <= span.start <= span.end <= len(self.text):
            raise BadInput(
                f"the span {span.start}-{span.end} is outside of the text", "ask again for the text as it is"
            )


Status = Literal["repaired", "suggested", "passing", "not found"]


@dataclass(frozen=True)
class Offer:
    """A change that a person may accept; nothing has applied it.

    edits: in the order of the text; no two touch. text: the document after them. The risks are probabilities, of the
    whole document and of the span that was asked about, before and after. verdict: None where nothing was run.
    """

    edits: tuple[Replacement, ...]
    text: str
    risk_before: float
    risk_after: float
    span_risk_before: float
    span_risk_after: float
    verdict: NodeVerdict | None
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
    """The smallest replacements that turn one text into another: one for each run of changed lines, without common
    ends.
    """
    olds, news = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for line in olds:
        starts.append(starts[-1] + len(line))
    found = []
    for kind, one, two, three, four in difflib.SequenceMatcher(None, olds, news, autojunk=False).get_opcodes():
        if kind != "equal":
            start, end, _, inserted = difference(before[starts[one] : starts[two]], "".join(news[three:four]))
            found.append(Replacement(starts[one] + start, starts[one] + end, inserted))
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


def is_sound(request: RepairRequest, made: str) -> bool:
    """Whether a program may be offered: it differs from the request's; Python parses and loses no reachable code."""
    if request.language_id == "python" and (not parses(made) or cuts_code_off(request.text, made)):
        return False
    return made != request.text
