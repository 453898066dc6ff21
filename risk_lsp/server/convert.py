"""The protocol's types to ours and back; the only place that knows both."""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol import types

from risk_lsp.text.comments import Insertion
from risk_lsp.text.document import Document, TextChange
from risk_lsp.text.positions import Position, PositionEncoding, to_offset, to_position
from risk_lsp.text.spans import Span


def document_of(item: types.TextDocumentItem) -> Document:
    """The first snapshot of a document that was opened."""
    return Document(item.uri, item.version, item.text, str(item.language_id))


def changes_of(events: Iterable[types.TextDocumentContentChangeEvent]) -> list[TextChange]:
    """The edits of one notification, in order."""
    return [_change_of(event) for event in events]


def range_of(document: Document, span: Span, encoding: PositionEncoding) -> types.Range:
    """A span as the client counts it."""
    return types.Range(
        _protocol_position(to_position(document, span.start, encoding)),
        _protocol_position(to_position(document, span.end, encoding)),
    )


def span_of(document: Document, range_: types.Range, encoding: PositionEncoding) -> Span:
    """A client's range as offsets, clamped to the document; a range that runs backwards is turned round."""
    start = offset_of(document, range_.start, encoding)
    end = offset_of(document, range_.end, encoding)
    return Span(min(start, end), max(start, end))


def offset_of(document: Document, position: types.Position, encoding: PositionEncoding) -> int:
    """A client's position as an offset, clamped to the document."""
    return to_offset(document, Position(position.line, position.character), encoding)


def edit_inserting(
    document: Document, insertion: Insertion, encoding: PositionEncoding, versioned: bool
) -> types.WorkspaceEdit:
    """An edit that inserts text; `versioned` for clients that check that it is of the version they show."""
    place = range_of(document, Span(insertion.offset, insertion.offset), encoding)
    edit = types.TextEdit(place, insertion.text)
    if not versioned:
        return types.WorkspaceEdit({document.uri: [edit]})
    identifier = types.OptionalVersionedTextDocumentIdentifier(document.uri, document.version)
    return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(identifier, [edit])])


def _change_of(event: types.TextDocumentContentChangeEvent) -> TextChange:
    if isinstance(event, types.TextDocumentContentChangePartial):
        return TextChange(_own_position(event.range.start), _own_position(event.range.end), event.text)
    return TextChange(None, None, event.text)


def _own_position(position: types.Position) -> Position:
    return Position(position.line, position.character)


def _protocol_position(position: Position) -> types.Position:
    return types.Position(position.line, position.character)
