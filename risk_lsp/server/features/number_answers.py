"""What is answered about the numbers of ranges and lines: each with what may be said of it, for programs and people."""

from __future__ import annotations

from typing import Any

from risk_lsp.server.documents.line_view import LineView
from risk_lsp.text.document import Part, Span


def query_answer(view: LineView, part: Part, spans: list[Span]) -> dict[str, Any]:
    """One of each per range, in order: {"version", "probabilities", "standings": what may be said of them, "labels" and
    "sentences": that in words}.

    A range has the rank of the first to read of its lines.
    """
    here = view.placed
    probabilities = here.risks.probabilities([span.start for span in spans], [span.end for span in spans]).tolist()
    standings = [here.of_span(span, view.ranks) for span in spans]
    said = list(zip(standings, probabilities, strict=True))
    return {
        "version": part.version,
        "probabilities": probabilities,
        "standings": [standing.to_json() for standing in standings],
        "labels": [standing.short(probability) for standing, probability in said],
        "sentences": [standing.sentence(probability) for standing, probability in said],
    }


def lines_answer(view: LineView, part: Part) -> dict[str, Any]:
    """One of each per line: {"version", "lines": the probability or null, "labels": "41%" or "1st" or null, "steps":
    for a heat map, "outside": None or why, "ranks": number or null, "of": how many lines have one, "places": one per
    line, "orders": by place, why its lines give an order alone}."""
    probabilities = [None if value != value else value for value in view.probabilities.tolist()]
    lines = range(part.lines.start, part.lines.stop)
    return {
        "version": part.version,
        "lines": [probabilities[line] for line in lines],
        "labels": [_label(view, line, probabilities[line]) for line in lines],
        "steps": list(view.steps[lines.start : lines.stop]),
        "outside": view.outside,
        "ranks": [rank or None for rank in view.ranks[lines.start : lines.stop].tolist()],
        "of": int(view.ranks.max(initial=0)),
        "places": [place.value for place in view.placed.places_of_lines()[lines.start : lines.stop]],
        "orders": view.placed.orders(),
    }


def _label(view: LineView, line: int, probability: float | None) -> str | None:
    return None if probability is None else view.standing(line).short(probability) or None
