"""The cells of a notebook and the document they make: positions, edits, and which cells take part."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text.document import (
    Document,
    LineIndex,
    Position,
    PositionEncoding,
    TextChange,
    apply_changes,
    to_offset,
    to_position,
)
from risk_lsp.text.notebook import Cell, CellSplice, Notebook, NotebookChange

from .naive import encodings, partial_changes, positions, texts

pytestmark = pytest.mark.usefixtures("small_pieces")

cell_texts = st.lists(st.one_of(texts, texts.map("%a\n{}".format), texts.map("!{}\r".format)), max_size=5)


def cell(name: str, text: str, language: str = "python", version: int = 1) -> Document:
    return Document(name, version, text, language)


def notebook(texts: Sequence[str]) -> Notebook:
    documents = {f"cell:{place}": cell(f"cell:{place}", text) for place, text in enumerate(texts)}
    return Notebook("file:///a.ipynb", 1, [Cell(uri, True) for uri in documents], documents)


def texts_in(notebook: Notebook) -> list[str]:
    """What each part holds, its line break to the next one left out."""
    lines = notebook.document.lines
    return [lines.slice(part.start, lines.content_end(part.lines[-1])) for part in notebook.parts]


def names(notebook: Notebook) -> list[str]:
    return [part.uri for part in notebook.parts]


@given(cell_texts, st.data(), positions, encodings)
def test_a_position_in_a_cell_is_at_the_same_character_of_the_document(
    contents: list[str], data: st.DataObject, position: Position, encoding: PositionEncoding
) -> None:
    made = notebook([*contents, "a😀\r", "b"])
    part = data.draw(st.sampled_from(made.parts))
    document = made.documents[part.uri]
    offset = to_offset(made.document, part.to_document(position), encoding)
    assert offset - part.start == to_offset(document, position, encoding)
    back = part.from_document(to_position(made.document, offset, encoding))
    assert back == to_position(document, offset - part.start, encoding)


@given(cell_texts)
def test_every_cell_has_its_own_lines_and_no_line_belongs_to_two(contents: list[str]) -> None:
    made = notebook(contents)
    lines = [line for part in made.parts for line in part.lines]
    assert lines == list(range(made.document.lines.count if contents else 0))
    assert [part.line_count for part in made.parts] == [LineIndex(text).count for text in contents]


@given(cell_texts.filter(bool), st.lists(st.tuples(st.integers(0, 4), partial_changes), max_size=5), encodings)
def test_edits_of_cells_lead_to_what_the_edited_cells_would_make(
    contents: list[str], edits: list[tuple[int, TextChange]], encoding: PositionEncoding
) -> None:
    made = notebook(contents)
    for version, (place, change) in enumerate(edits, start=2):
        before = made.documents[f"cell:{place % len(contents)}"]
        made = made.replace_cell(apply_changes(before, [change], version, encoding), version)
    anew = Notebook(made.uri, made.version, made.cells, made.documents)
    assert made.document.text == anew.document.text
    assert made.document.lines.starts.tolist() == anew.document.lines.starts.tolist()
    assert [(p.uri, p.version, p.lines) for p in made.parts] == [(p.uri, p.version, p.lines) for p in anew.parts]


def test_the_texts_are_joined_by_one_line_break() -> None:
    made = notebook(["a = 1", "b = 2\n", "", "c\r", "\nd"])
    assert made.document.text == "a = 1\nb = 2\n\n\nc\r\r\n\nd"
    assert (made.document.language_id, made.document.version) == ("python", 1)


def test_cells_without_python_are_left_out() -> None:
    documents = [
        cell("code", "a"),
        cell("text", "# Title", "markdown"),
        cell("bash", "%%bash\nls"),
        cell("r", "x", "r"),
    ]
    cells = [Cell("code", True), Cell("text", False), Cell("bash", True), Cell("r", True), Cell("unheard of", True)]
    made = Notebook("n", 1, cells, {document.uri: document for document in documents})
    assert (names(made), made.document.text) == (["code"], "a")
    assert made.part("text") is None


def test_cells_come_go_and_move() -> None:
    made = notebook(["a", "b", "c"])
    added = NotebookChange(2, CellSplice(1, 0, [Cell("new", True)]), opened=[cell("new", "n")])
    assert texts_in(made.apply_change(added)) == ["a", "n", "b", "c"]
    removed = NotebookChange(2, CellSplice(0, 2, []), closed=["cell:0", "cell:1"])
    assert texts_in(made.apply_change(removed)) == ["c"]
    moved = NotebookChange(2, CellSplice(0, 2, [Cell("cell:1", True), Cell("cell:0", True)]))
    assert texts_in(made.apply_change(moved)) == ["b", "a", "c"]


def test_a_cell_that_becomes_text_leaves_and_one_that_becomes_code_again_is_back() -> None:
    made = notebook(["a", "b"])
    as_text = made.apply_change(NotebookChange(2, kinds=[Cell("cell:0", False)]))
    assert texts_in(as_text) == ["b"]
    assert texts_in(as_text.apply_change(NotebookChange(3, kinds=[Cell("cell:0", True)]))) == ["a", "b"]


def test_typing_a_magic_of_another_language_takes_the_cell_out() -> None:
    made = notebook(["a", "b"])
    foreign = made.replace_cell(cell("cell:0", "%%bash\na", version=2), 2)
    assert texts_in(foreign) == ["b"]
    assert texts_in(foreign.replace_cell(cell("cell:0", "a", version=3), 3)) == ["a", "b"]


@pytest.mark.parametrize(
    "change",
    [
        NotebookChange(2),
        NotebookChange(2, CellSplice(1, 0, [Cell("title", False)]), opened=[cell("title", "# Title", "markdown")]),
        NotebookChange(2, kinds=[Cell("cell:0", True)]),
    ],
    ids=["results", "a text cell", "the same kind"],
)
def test_a_change_of_what_is_not_scored_leaves_the_document_as_it_is(change: NotebookChange) -> None:
    made = notebook(["a", "b"])
    after = made.apply_change(change)
    assert after.document is made.document
    assert after.version == 2


def test_a_position_outside_of_a_cell_is_clamped_into_it() -> None:
    first, second = notebook(["ab\nc", "d"]).parts
    assert to_offset(first.document, first.to_document(Position(7, 0)), PositionEncoding.UTF16) == 4
    assert second.to_document(Position(-1, 5)) == Position(2, 0)


@pytest.mark.parametrize(
    "splice", [CellSplice(9, 9, []), CellSplice(0, 99, []), CellSplice(1, 0, [Cell("cell:0", True)])]
)
def test_places_that_are_not_there_and_cells_named_twice_do_no_harm(splice: CellSplice) -> None:
    after = notebook(["a", "b"]).apply_change(NotebookChange(2, splice))
    assert len(set(names(after))) == len(after.parts)
