"""The protocol's types to ours and back, and what the URIs of clients mean."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_to_bytes

from lsprotocol import types
from lsprotocol.validators import UINTEGER_MAX_VALUE

from risk_lsp.errors import RiskError
from risk_lsp.text.document import Document, Part, Position, PositionEncoding, Span, TextChange, to_offset, to_position
from risk_lsp.text.notebook import Cell, CellEdit, CellSplice, Notebook, NotebookChange

if TYPE_CHECKING:
    from risk_lsp.server.documents.ignored_lines import Insertion

_PARTS = re.compile(r"(?s)(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(.*)")  # RFC 3986, appendix B
_DRIVE = re.compile(rb"/([A-Za-z]):(?=/|\Z)")
_UNRESERVED = b"/~"  # beside letters, digits and "_.-", which are never encoded


def path_of(uri: str, *, windows: bool = os.name == "nt") -> str | None:
    """The path of a file: URI on this kind of system; None for another URI, or if no file can have that path.

    Bytes that are not UTF-8 come out as Python writes them in paths. A host other than localhost makes a UNC path.
    """
    scheme, host, path = _split_uri(uri)
    if scheme != "file" or not path.startswith(b"/") or b"\0" in path:
        return None
    if host not in ("", "localhost"):
        path = b"//" + os.fsencode(host) + path
    elif windows and _DRIVE.match(path):
        path = path[1:2].lower() + path[2:]
    text = path.decode("utf-8", "surrogateescape")
    return text.replace("/", "\\") if windows else text


def name_of(uri: str) -> str:
    """The last part of the path, for people: unprintable characters are replaced."""
    name = _split_uri(uri)[2].rstrip(b"/").rpartition(b"/")[2].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in name)


def normal_uri(uri: str) -> str:
    """One spelling for all that mean the same: clients differ in what they encode, and in the case of drive letters.

    A path with a drive letter, or on another host, is taken without regard to case, as Windows takes it.
    """
    scheme, host, path = _split_uri(uri)
    if not scheme:
        return uri  # no URI at all
    rest = _PARTS.fullmatch(uri)[4]  # type: ignore[index]  # which any text matches
    if scheme == "file" and host == "localhost":
        host = ""
    if scheme == "file" and (host or _DRIVE.match(path)):
        path = path.decode("utf-8", "surrogateescape").casefold().encode("utf-8", "surrogateescape")
    authority = f"//{host}" if host or scheme == "file" else ""
    return f"{scheme}:{authority}{quote_from_bytes(path, safe=_UNRESERVED)}{rest}"


def _split_uri(uri: str) -> tuple[str, str, bytes]:
    """Scheme and host in lower case, and the decoded path. `;` is part of a path, as in RFC 3986."""
    found = _PARTS.fullmatch(uri)
    assert found is not None  # every part may be empty
    scheme, host, path, _ = found.groups()
    return (scheme or "").lower(), (host or "").lower(), unquote_to_bytes(path.encode("utf-8", "surrogatepass"))


def document_of(item: types.TextDocumentItem) -> Document:
    """The first snapshot of a document that was opened."""
    return Document(item.uri, item.version, item.text, str(item.language_id))


def changes_of(events: Iterable[types.TextDocumentContentChangeEvent]) -> list[TextChange]:
    """The edits of one notification, in order."""
    changes = []
    for event in events:
        start = end = None  # the whole text
        if isinstance(event, types.TextDocumentContentChangePartial):
            start, end = _own_position(event.range.start), _own_position(event.range.end)
        changes.append(TextChange(start, end, event.text))
    return changes


def notebook_of(params: types.DidOpenNotebookDocumentParams) -> Notebook:
    """The first snapshot of a notebook that was opened."""
    notebook = params.notebook_document
    documents = {item.uri: document_of(item) for item in params.cell_text_documents}
    return Notebook(notebook.uri, notebook.version, map(_cell_of, notebook.cells), documents)


def notebook_change_of(params: types.DidChangeNotebookDocumentParams) -> NotebookChange:
    """The changes of one notification; those of metadata and results are left out."""
    version, cells = params.notebook_document.version, params.change.cells
    if cells is None:
        return NotebookChange(version)
    splice, opened, closed = None, [], []
    if cells.structure is not None:
        array = cells.structure.array
        splice = CellSplice(array.start, array.delete_count, [_cell_of(cell) for cell in (array.cells or ())])
        opened = [document_of(item) for item in (cells.structure.did_open or ())]
        closed = [item.uri for item in (cells.structure.did_close or ())]
    kinds = [_cell_of(cell) for cell in (cells.data or ())]
    edits = [
        CellEdit(content.document.uri, content.document.version, changes_of(content.changes))
        for content in (cells.text_content or ())
    ]
    return NotebookChange(version, splice=splice, opened=opened, closed=closed, kinds=kinds, edits=edits)


def position_of(value: object) -> types.Position | None:
    """A position from plain JSON; None for anything else, or for numbers that the protocol does not allow."""
    line, character = (value.get("line"), value.get("character")) if isinstance(value, Mapping) else (None, None)
    if type(line) is not int or type(character) is not int:
        return None
    in_range = 0 <= line <= UINTEGER_MAX_VALUE and 0 <= character <= UINTEGER_MAX_VALUE
    return types.Position(line, character) if in_range else None


def range_from_json(value: object) -> types.Range:
    """A range from plain JSON. Raises ValueError if it is none."""
    ends = (value.get("start"), value.get("end")) if isinstance(value, Mapping) else (None, None)
    start, end = map(position_of, ends)
    if start is None or end is None:
        raise ValueError
    return types.Range(start, end)


def range_of(part: Part, span: Span, encoding: PositionEncoding) -> types.Range:
    """A span of the part's document as the client's range, which counts lines from the start of the part."""
    ends = [part.from_document(to_position(part.document, offset, encoding)) for offset in (span.start, span.end)]
    return types.Range(*(types.Position(end.line, end.character) for end in ends))


def span_of(part: Part, range_: types.Range, encoding: PositionEncoding) -> Span:
    """A client's range as offsets into the part's document, clamped to the part. Its ends may come in any order."""
    start = offset_of(part, range_.start, encoding)
    end = offset_of(part, range_.end, encoding)
    return Span(min(start, end), max(start, end))


def offset_of(part: Part, position: types.Position, encoding: PositionEncoding) -> int:
    """A client's position as an offset into the part's document, clamped to the part."""
    return to_offset(part.document, part.to_document(_own_position(position)), encoding)


def asked_span(part: Part, range_: types.Range, encoding: PositionEncoding) -> Span:
    """What a person means by a range, without the white space around; an empty one means its line.

    Raises RiskError if there is nothing but white space.
    """
    span = span_of(part, range_, encoding)
    if span.start == span.end:
        lines = part.document.lines
        line = lines.line_of(span.start)
        span = Span(lines.start(line), lines.content_end(line))
    text = part.document.lines.slice(span.start, span.end)
    if not text.strip():
        raise RiskError("there is nothing but white space", "choose a line or a selection with content")
    start = span.start + len(text) - len(text.lstrip())
    return Span(start, start + len(text.strip()))


def edit_inserting(
    part: Part, insertion: Insertion, encoding: PositionEncoding, versioned: bool
) -> types.WorkspaceEdit:
    """An edit that inserts text. If `versioned`, it names the version, which the client checks."""
    place = range_of(part, Span(insertion.offset, insertion.offset), encoding)
    edit = types.TextEdit(place, insertion.text)
    if not versioned:
        return types.WorkspaceEdit({part.uri: [edit]})
    identifier = types.OptionalVersionedTextDocumentIdentifier(part.uri, part.version)
    return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(identifier, [edit])])


def _cell_of(cell: types.NotebookCell) -> Cell:
    return Cell(cell.document, cell.kind is types.NotebookCellKind.Code)


def _own_position(position: types.Position) -> Position:
    return Position(position.line, position.character)
