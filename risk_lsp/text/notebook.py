"""A notebook's Python cells as one document, line for line, and what IPython adds to Python in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from risk_lsp.text.document import Document, Part, TextChange

# At the start of a line. `% b` and `!= b` continue an expression, and an IPython user writes no magic like that.
_SPECIAL = re.compile(r"(?<![^\r\n])[ \t]*(?=%{1,2}[A-Za-z_]|!(?!=)|\?)")
_CELL_MAGIC = re.compile(r"\s*%%(\w+)")
_TAKE_PYTHON = frozenset({"capture", "debug", "memit", "mprun", "prun", "python", "python3", "time", "timeit"})


def is_python_cell(text: str) -> bool:
    """Whether a code cell holds Python, and is not handed to another language as a whole (`%%bash`, `%%writefile`)."""
    magic = _CELL_MAGIC.match(text)
    return magic is None or magic[1] in _TAKE_PYTHON


def without_magics(text: str) -> str:
    """The text with every line that is no Python made a comment, by changing one ASCII character to another.

    Magics in the middle of a line (`files = !ls`) stay: readers have to bear with text that does not parse anyway.
    """
    places = [found.end() for found in _SPECIAL.finditer(text)]
    if not places:
        return text
    characters = list(text)
    for place in places:
        characters[place] = "#"
    return "".join(characters)


_LANGUAGE = "python"
_FRAGMENT = "#cells"  # apart from the notebook's own file, which may be open as a text at the same time


def is_notebook(uri: str) -> bool:
    """Whether this is the URI of a notebook's document, which joins its cells."""
    return uri.endswith(_FRAGMENT)


class Cell(NamedTuple):
    """A cell's place in its notebook; its text is a document of its own."""

    uri: str
    is_code: bool


class CellSplice(NamedTuple):
    """`removed` cells from place `start` on are replaced by others. Places past the end mean the end."""

    start: int
    removed: int
    cells: Sequence[Cell]


class CellEdit(NamedTuple):
    """Changes of one cell's text, in order."""

    uri: str
    version: int
    changes: Sequence[TextChange]


@dataclass(frozen=True)
class NotebookChange:
    """What one notification says: in this order cells come, go and move, become of another kind, and are edited."""

    version: int
    splice: CellSplice | None = None
    opened: Sequence[Document] = ()
    closed: Sequence[str] = ()
    kinds: Sequence[Cell] = ()
    edits: Sequence[CellEdit] = field(default=())


class Notebook:
    """An immutable snapshot: the cells in order, the documents of those that are open, and what is scored of them.

    `document` joins the texts of the cells that hold Python, with a line break between two, and `parts` says where each
    is in it. A snapshot whose joined text is the same as that of the one before has the same document, too.
    """

    def __init__(self, uri: str, version: int, cells: Iterable[Cell], documents: Mapping[str, Document]) -> None:
        self.uri = uri
        self.version = version
        self.cells = tuple({cell.uri: cell for cell in cells}.values())
        self.documents = dict(documents)
        python = []
        for cell in self.cells:
            document = self.documents.get(cell.uri)
            is_ours = document is not None and cell.is_code and document.language_id == _LANGUAGE
            if is_ours and document is not None and is_python_cell(document.text):
                python.append(cell.uri)
        self._python = tuple(python)
        texts = [without_magics(self.documents[uri].text) for uri in self._python]
        ends = [_separator(text) for text in texts[:-1]] + [""]
        text = "".join(part for pair in zip(texts, ends, strict=False) for part in pair)
        self._set_document(Document(uri + _FRAGMENT, version, text, _LANGUAGE))

    def _set_document(self, document: Document) -> None:
        self.document = document
        parts, first = [], 0
        for uri in self._python:
            cell = self.documents[uri]
            parts.append(Part(uri, cell.version, document, first, cell.lines.count))
            first += cell.lines.count
        self.parts = tuple(parts)
        self._part_of = {part.uri: part for part in self.parts}

    def part(self, uri: str) -> Part | None:
        """The part that is a cell's text; None for a cell that holds no Python or has no text."""
        return self._part_of.get(uri)

    def apply_change(self, change: NotebookChange) -> Notebook:
        """The notebook after cells came, went, moved or changed their kind; texts are left to `replace_cell`."""
        cells = list(self.cells)
        if change.splice is not None:
            start, removed, new = change.splice
            cells[start : start + removed] = new
        kinds = {cell.uri: cell.is_code for cell in change.kinds}
        cells = [Cell(cell.uri, kinds.get(cell.uri, cell.is_code)) for cell in cells]
        closed = frozenset(change.closed)
        documents = {uri: document for uri, document in self.documents.items() if uri not in closed}
        documents.update({document.uri: document for document in change.opened})
        return self._succeeded_by(Notebook(self.uri, change.version, cells, documents))

    def replace_cell(self, cell: Document, version: int) -> Notebook:
        """The notebook with another text in one of its cells, made by copying as little as possible."""
        documents = {**self.documents, cell.uri: cell}
        part = self.part(cell.uri)
        if part is None or not is_python_cell(cell.text):
            return self._succeeded_by(Notebook(self.uri, version, self.cells, documents))
        place = self._python.index(cell.uri)
        is_last = place + 1 == len(self.parts)
        end = self.document.lines.length if is_last else self.parts[place + 1].start
        text = without_magics(cell.text)
        lines = self.document.lines.splice(part.start, end, text if is_last else text + _separator(text))
        after = Notebook.__new__(Notebook)
        after.uri, after.version, after.cells, after.documents = self.uri, version, self.cells, documents
        after._python = self._python
        after._set_document(Document(self.document.uri, version, lines, _LANGUAGE))
        return after

    def _succeeded_by(self, after: Notebook) -> Notebook:
        """The notebook given, with this one's document if the joined text is still the same."""
        if after.document.text == self.document.text and after._python == self._python:
            after._set_document(self.document)
        return after


def _separator(text: str) -> str:
    """A line break that stays one of its own after the text, also where that ends with a carriage return."""
    return "\r\n" if text.endswith("\r") else "\n"
