"""What is written into the text: inlay hints at the end of risky lines, code lenses above functions.

Between an edit and the next numbers, lines that the edit left alone keep theirs, so that nothing comes and goes.
"""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol import types

from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.wire.convert import range_of
from risk_lsp.text.document import Document, Part, PositionEncoding, Span, stripped_line_span
from risk_lsp.text.tracking import match_lines

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
