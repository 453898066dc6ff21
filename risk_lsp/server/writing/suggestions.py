"""Texts that were offered for a place of a document, and what is known of the document once one was accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from risk_lsp.probe.calibration import Place, Priors, all_lines
from risk_lsp.risk.presentation import PlacedRisk, heat_steps, percent, place_risks
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import WrittenText
from risk_lsp.server.documents.analysis import Analysis
from risk_lsp.text.document import Document, PositionEncoding, Span, to_position
from risk_lsp.text.tracking import difference


@dataclass(frozen=True)
class Suggestion:
    """A text that may replace the characters `replaced` of a snapshot.

    `why` says why its numbers are no percentages; None where they are.
    """

    id: int
    before: Document
    after: Document
    replaced: Span
    written: WrittenText
    placed: PlacedRisk
    why: str | None

    @property
    def probability(self) -> float:
        """The probability that the text has to be edited."""
        return self.placed.risks.probability(*self.written.span)

    def lines(self) -> list[tuple[Span, float]]:
        """The lines of the text that are not blank, as spans of the document with it, and the probability of each."""
        index, span = self.after.lines, self.written.span
        found = []
        for line in range(index.line_of(span.start), index.line_of(max(span.start, span.end - 1)) + 1):
            start, end = index.stripped[line].tolist()
            own = Span(max(start, span.start), min(end, span.end))
            if own.start < own.end:
                found.append((own, self.placed.risks.probability(*own)))
        return found

    def words(self, threshold: float) -> str:
        """What a person is told beside the text: "1 line worth a look, 38%"; without a number where it is none."""
        numbers = [probability for _, probability in self.lines()]
        many = sum(number >= threshold for number in numbers)
        said = f"{many or 'no'} {'line' if many < 2 else 'lines'} worth a look"
        return said if self.why is not None else f"{said}, {percent(max(numbers, default=0.0))}"

    def to_json(self, threshold: float, encoding: PositionEncoding) -> dict[str, Any]:
        """All that is known of the text, for programs; places count from where the text begins."""
        lines = self.lines()
        steps = heat_steps(np.array([probability for _, probability in lines]), threshold)
        risks, span = self.placed.risks, self.written.span
        starts, ends = np.maximum(risks.starts, span.start), np.minimum(risks.ends, span.end)
        inside = np.flatnonzero(starts < ends)
        numbers = risks.token_probabilities(inside)
        return {
            "words": self.words(threshold),
            "gives": "order" if self.why is not None else "percent",
            **({} if self.why is None else {"why": self.why}),
            "probability": self.probability,
            "lines": [
                {**self._place(own, encoding), "probability": probability, "step": step}
                for (own, probability), step in zip(lines, steps, strict=True)
            ],
            "tokens": [
                {**self._place(Span(start, end), encoding), "probability": probability}
                for start, end, probability in zip(
                    starts[inside].tolist(), ends[inside].tolist(), numbers.tolist(), strict=True
                )
            ],
            "meanLogProbability": self.written.log_probability,
        }

    def _place(self, span: Span, encoding: PositionEncoding) -> dict[str, Any]:
        first = to_position(self.after, self.written.start, encoding)
        found = {}
        for name, offset in zip(("start", "end"), span, strict=True):
            line, character = to_position(self.after, offset, encoding)
            before = first.character if line == first.line else 0
            found[name] = {"line": line - first.line, "character": character - before}
        return found


@dataclass(frozen=True)
class AcceptedText:
    """What stands in the newest text of a suggestion: all of it, or its beginning; and what is known of that text.

    risks: None where nothing is known that would not have to be read again. known: None for all of the text.
    """

    span: Span
    risks: RiskMap | None
    known: tuple[Span, ...] | None
    prompt_hash: str


class Suggestions:
    """The texts that were offered last, and those before them: an editor may ask again before it says what it took."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._offered: dict[int, Suggestion] = {}
        self._before: dict[int, Suggestion] = {}

    def describe(
        self, document: Document, replaced: Span, written: WrittenText, priors: Priors, outside: str | None
    ) -> Suggestion:
        """A text as a suggestion, which nobody can accept unless it is offered."""
        lines = document.lines.splice(replaced.start, replaced.end, written.text)
        after = Document(document.uri, document.version, lines, document.language_id)
        places = all_lines(Place.GENERATED, lines.count)
        here = place_risks(written.risk.risks, lines, places, priors, document.language_id)
        why = outside or here.orders().get(Place.GENERATED.value)
        return Suggestion(next(self._ids), document, after, replaced, written, here, why)

    def offer(self, found: Sequence[Suggestion]) -> list[Suggestion]:
        """Take note of what is offered now; returns it."""
        self._before, self._offered = self._offered, {each.id: each for each in found}
        return [*found]

    def forget(self) -> None:
        """Keep nothing."""
        self._before = self._offered = {}

    def get(self, suggestion_id: int) -> Suggestion | None:
        """One of them by its id."""
        return self._offered.get(suggestion_id) or self._before.get(suggestion_id)


def find_accepted(found: Suggestion, document: Document, last: Analysis | None) -> AcceptedText | None:
    """What became of a suggestion in the newest text of its document; None if it does not stand there.

    `last`: the last whole analysis of the document, of this or an earlier text.
    """
    if found.before.uri != document.uri:
        return None
    before, text, start = found.before.text, document.text, found.replaced.start
    prompt = found.written.prompt_hash
    length = len(text) - len(before) + (found.replaced.end - start)
    taken = found.written.text[:length] if length > 0 else ""
    if taken and text == before[:start] + taken + before[found.replaced.end :]:
        risks, known = _risks_after(found, document, len(taken), last)
        return AcceptedText(Span(start, start + len(taken)), risks, known, prompt)
    whole = found.written.text
    is_there = text.startswith(whole, start)
    return AcceptedText(Span(start, start + len(whole)), None, (), prompt) if is_there else None


def _risks_after(
    found: Suggestion, document: Document, taken: int, last: Analysis | None
) -> tuple[RiskMap, tuple[Span, ...] | None]:
    """The risks of the newest text: what the model saw of it while it wrote, and elsewhere what was known before."""
    seen, text = found.written.risk, document.text
    assert isinstance(seen.risks, RiskMap)  # the one kind there is
    own = Span(found.written.start, found.written.start + taken)
    around = next((known for known in seen.known if known.start <= own.start and own.end <= known.end), own)
    around = around if taken == len(found.written.text) else Span(around.start, own.end)
    if last is not None and isinstance(last.risks, RiskMap):
        edit = difference(last.document.text, text)
        # Where what was taken begins as what is behind it does, the difference may be found further down.
        changed = Span(min(edit.start, own.start), max(edit.start + len(edit.inserted), own.end))
        if around.start <= changed.start and changed.end <= around.end:
            removed = Span(changed.start, changed.end - len(text) + len(last.document.text))
            return last.risks.splice(removed, seen.risks.cut(changed, len(text))), None
    return seen.risks.cut(around, len(text)), (around,)
