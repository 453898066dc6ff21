"""What a client hears of lines, functions and ranges: inlay hints, code lenses, and answers to requests for numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from lsprotocol import types
from lsprotocol.converters import get_converter

from risk_lsp.server.documents.document_places import WrittenSpan
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.wire.convert import range_of
from risk_lsp.text.document import Document, Part, PositionEncoding, Span, stripped_line_span
from risk_lsp.text.tracking import match_lines

_converter = get_converter()
_NO_COMMAND = ""  # to clients: text alone


def inlay_hints(view: LineView, part: Part, where: types.Range, encoding: PositionEncoding) -> list[types.InlayHint]:
    """The probability or rank at the end of each line of the part that is shown, for lines in a range."""
    document = part.document
    hints = []
    for before, line in _where_now(view.analysis.document, document, view.shown).items():
        if line in part.lines and where.start.line <= line - part.first_line <= where.end.line:
            _, behind = stripped_line_span(document, line)
            end = range_of(part, Span(behind, behind), encoding).end
            standing, probability = view.standing(before), float(view.numbers[before])
            label = standing.short(probability)
            tooltip = standing.sentence(probability).removeprefix(label).strip()
            hints.append(types.InlayHint(end, label, tooltip=tooltip, padding_left=True))
    return hints


def code_lenses(view: LineView, part: Part, encoding: PositionEncoding) -> list[types.CodeLens]:
    """The probability or rank of each function of the part, at the line where it starts."""
    document = part.document
    then = view.analysis.document
    functions = view.placed.functions(view.analysis.structure)
    starts = [then.lines.line_of(function.node.span.start) for function, _ in functions]
    now = _where_now(then, document, starts)
    lenses = []
    for start, (function, standing) in zip(starts, functions, strict=True):
        if now.get(start) in part.lines:
            title = standing.sentence(function.probability, "functions")
            place = range_of(part, stripped_line_span(document, now[start]), encoding)
            lenses.append(types.CodeLens(place, types.Command(title, _NO_COMMAND)))
    return lenses


def _where_now(then: Document, now: Document, lines: Iterable[int]) -> dict[int, int]:
    """Where some of the lines of one version are in another, if their content is the same there."""
    if then is now:
        return {line: line for line in lines}
    places = {before: line for line, before in enumerate(match_lines(then, now).old.tolist()) if before >= 0}
    kept = [line for line in lines if line in places and _content(then, line) == _content(now, places[line])]
    return {line: places[line] for line in kept}


def _content(document: Document, line: int) -> str:
    return document.lines.slice(document.lines.start(line), document.lines.content_end(line))


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
    labels: list[str | None] = []
    for line in lines:
        probability = probabilities[line]
        labels.append(None if probability is None else view.standing(line).short(probability) or None)
    return {
        "version": part.version,
        "lines": [probabilities[line] for line in lines],
        "labels": labels,
        "steps": list(view.steps[lines.start : lines.stop]),
        "outside": view.outside,
        "ranks": [rank or None for rank in view.ranks[lines.start : lines.stop].tolist()],
        "of": int(view.ranks.max(initial=0)),
        "places": [place.value for place in view.placed.places_of_lines()[lines.start : lines.stop]],
        "orders": view.placed.orders(),
    }


def written_answer(written: Iterable[WrittenSpan], part: Part, encoding: PositionEncoding) -> dict[str, Any]:
    """{"version", "regions": for each text that the hosted model wrote its "range", "model", "bundle", "time" (UTC),
    "textHash", "promptHash", and "isUnchanged": whether it is as it was accepted}."""
    index, regions = part.document.lines, []
    for span, origin, is_unchanged in written:
        if index.line_of(span.start) in part.lines and index.line_of(span.end - 1) in part.lines:
            moment = datetime.fromtimestamp(int(origin.at), timezone.utc)
            regions.append(
                {
                    "range": _converter.unstructure(range_of(part, span, encoding)),
                    "model": origin.model,
                    "bundle": origin.bundle,
                    "time": moment.isoformat().replace("+00:00", "Z"),
                    "textHash": origin.text_hash,
                    "promptHash": origin.prompt_hash,
                    "isUnchanged": is_unchanged,
                }
            )
    return {"version": part.version, "regions": regions}
