"""Where the lines of open documents are, between one look at the repository and the next."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.probe.calibration import PLACES, Place
from risk_lsp.risk.changes import TextPlace
from risk_lsp.server.documents.document_places import DocumentPlaces, after_edit
from risk_lsp.text.document import Document, LineIndex
from risk_lsp.text.tracking import Splice, difference

URI = "file:///project/a.py"
FOUR = "a = 1\nb = 2\nc = 3\nd = 4\n"
AT_REST = TextPlace(Place.AT_REST)


def document(text: str = FOUR, uri: str = URI) -> Document:
    return Document(uri, 1, text, "python")


def edited(before: str, after: str, changed: Sequence[int] = ()) -> list[int]:
    """The changed lines after an edit, if those were changed before it."""
    lines = LineIndex(before)
    mask = np.isin(np.arange(lines.count), changed)
    found = after_edit(mask, lines, difference(before, after))
    assert len(found) == LineIndex(after).count
    return np.flatnonzero(found).tolist()


class Desk:
    """Places of one document that git calls `found`, and how often they changed."""

    def __init__(self, found: TextPlace, uri: str = URI) -> None:
        self.found = found
        self.told: list[str] = []
        self.asked: list[Path] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.places = DocumentPlaces(self.told.append, self._ask)
        self.document = document(uri=uri)

    def _ask(self, paths: Sequence[Path], ask_git: bool) -> list[TextPlace]:
        self.may_answer.wait(10)
        self.asked += paths
        return [self.found for _ in paths]

    async def look(self) -> None:
        self.places.look_up(self.document, ask_git=True)
        await self.places.wait_until_settled(self.document.uri)

    def type(self, text: str) -> None:
        """Make `text` of the document."""
        self.places.follow(self.document, difference(self.document.text, text))
        self.document = document(text, self.document.uri)

    def lines(self, setting: str = "auto", generated: Sequence[int] = ()) -> str:
        """The place of each line, by its first letter."""
        found = self.places.lines(self.document, setting, frozenset(generated))
        return "".join(PLACES[number].value[0] for number in found.tolist())


def test_a_line_that_is_typed_in_has_changed() -> None:
    assert edited(FOUR, FOUR.replace("b = 2", "b = 20")) == [1]


def test_whole_lines_that_are_put_in_leave_those_around_them() -> None:
    assert edited(FOUR, FOUR.replace("b = 2\n", "b = 2\nx = 9\ny = 8\n")) == [2, 3]


def test_lines_that_are_taken_out_leave_nothing_changed() -> None:
    assert edited(FOUR, FOUR.replace("b = 2\n", "")) == []


def test_a_line_that_is_begun_at_the_end_of_another_leaves_that_one() -> None:
    lines = LineIndex(FOUR)
    assert np.flatnonzero(after_edit(np.zeros(5, np.bool_), lines, Splice(5, 5, "", "\nx = 9"))).tolist() == [1]


def test_lines_that_are_joined_have_changed() -> None:
    assert edited(FOUR, FOUR.replace("2\nc", "2; c")) == [1]


def test_changed_lines_move_with_edits_above_them() -> None:
    assert edited(FOUR, "# new\n" + FOUR, changed=[2]) == [0, 3]


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c c\n", "\n"]), max_size=6).map("".join)


@given(LINES, LINES, st.sets(st.integers(0, 6)))
def test_after_any_edit_there_is_one_mark_for_each_line(before: str, after: str, changed: set[int]) -> None:
    edited(before, after, sorted(changed))


async def test_a_document_is_where_git_says_that_its_file_is() -> None:
    desk = Desk(TextPlace(Place.AT_REST, (range(2, 3),)))
    await desk.look()

    assert (desk.lines(), desk.asked, desk.told) == ("acaaa", [Path("/project/a.py")], [URI])


async def test_until_anything_is_known_a_document_is_generated() -> None:
    assert Desk(AT_REST).lines() == "ggggg"


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "vscode-vfs://github/a/b.py"])
async def test_a_text_without_a_file_is_generated_and_nobody_is_asked(uri: str) -> None:
    desk = Desk(AT_REST, uri)
    await desk.look()

    assert (desk.lines(), desk.asked) == ("ggggg", [])


async def test_what_is_typed_between_two_looks_has_changed() -> None:
    desk = Desk(AT_REST)
    await desk.look()
    desk.type("# new\n" + FOUR.replace("d = 4", "d = 40"))

    assert desk.lines() == "caaaca"


async def test_a_look_sees_the_edits_that_came_while_git_was_asked() -> None:
    desk = Desk(TextPlace(Place.AT_REST, (range(4, 5),)))
    desk.may_answer.clear()
    looking = asyncio.create_task(desk.look())
    await asyncio.sleep(0)
    desk.type("# new\n" + FOUR)
    desk.may_answer.set()
    await looking

    assert desk.lines() == "caaaca"


async def test_a_save_forgets_what_was_typed_where_git_sees_no_difference() -> None:
    desk = Desk(AT_REST)
    await desk.look()
    desk.type(FOUR.replace("a = 1", "a = 10"))
    desk.type(FOUR)
    assert desk.lines() == "caaaa"
    await desk.look()

    assert desk.lines() == "aaaaa"
    assert desk.told == [URI, URI]


async def test_a_look_that_finds_nothing_new_tells_nobody() -> None:
    desk = Desk(AT_REST)
    await desk.look()
    await desk.look()

    assert desk.told == [URI]


async def test_generated_lines_are_generated_anywhere() -> None:
    desk = Desk(AT_REST)
    await desk.look()

    assert desk.lines(generated=[1, 2, 99]) == "aggaa"
    assert desk.lines("atRest", generated=[1]) == "agaaa"


async def test_a_setting_outweighs_what_git_says() -> None:
    desk = Desk(TextPlace(Place.AT_REST, (range(1, 3),)))
    await desk.look()

    assert (desk.lines("generated"), desk.lines("atRest")) == ("ggggg", "aaaaa")


async def test_a_document_that_was_closed_is_forgotten() -> None:
    desk = Desk(AT_REST)
    await desk.look()
    desk.places.forget(URI)

    assert desk.lines() == "ggggg"


async def test_a_document_that_is_closed_while_git_is_asked_hears_nothing() -> None:
    desk = Desk(AT_REST)
    desk.may_answer.clear()
    desk.places.look_up(desk.document, ask_git=True)
    desk.places.forget(URI)
    desk.may_answer.set()
    await asyncio.sleep(0.1)

    assert (desk.places.is_settled(URI), desk.told) == (True, [])


@pytest.mark.parametrize(("changed", "lines"), [((), "aaaaa"), ((range(1, 2),), "ccccc")])
async def test_a_notebook_is_changed_as_a_whole(changed: tuple[range, ...], lines: str) -> None:
    desk = Desk(TextPlace(Place.AT_REST, changed), "file:///project/a.ipynb#cells")
    await desk.look()

    assert desk.lines() == lines
    assert desk.asked == [Path("/project/a.ipynb")]
