"""Regions that a model seems to have written, and showing those alone."""

from __future__ import annotations

from typing import Any

import pytest

from risk_lsp.server.documents.document_places import GeneratedRegions
from risk_lsp.server.documents.open_documents import OpenDocuments
from risk_lsp.text.document import Document, Position, PositionEncoding, Span, TextChange
from tests.server.documents.test_generated import FUNCTION
from tests.server.lsp_client import LspClient, ResponseError
from tests.server.test_settings_in_force import reconfigure, runs

URI, OTHER = "file:///a.py", "file:///b.py"
HUMAN = "import math\n\nprint(math.pi)\n"
LENGTH = len(FUNCTION.splitlines())


class Desk:
    """Open documents whose edits are followed."""

    def __init__(self, most_lines: int = 0) -> None:
        self.regions = GeneratedRegions()
        self.documents = OpenDocuments(
            PositionEncoding.UTF16,
            lambda document, edit: self.regions.follow(document, edit, self.documents.all(), most_lines),
        )
        for uri in (URI, OTHER):
            self.documents.open(Document(uri, 1, HUMAN, "python"))

    def edit(self, start: int, end: int, text: str, uri: str = URI) -> None:
        """Replace the lines [start, end)."""
        assert self.documents.change(uri, 2, [TextChange(Position(start, 0), Position(end, 0), text)])

    def replace(self, text: str) -> None:
        assert self.documents.change(URI, 2, [TextChange(None, None, text)])

    def document(self, uri: str = URI) -> Document:
        document = self.documents.get(uri)
        assert document is not None
        return document

    def lines(self, uri: str = URI) -> list[int]:
        return sorted(self.regions.lines(self.document(uri)))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_person_may_have_every_longer_insertion_counted() -> None:
    desk = Desk(most_lines=2)
    desk.edit(0, 0, "a = 1\nb = 2\n\nc = 3\n")
    desk.edit(0, 0, "d = 4\ne = 5\n")

    assert desk.regions.lines(desk.document()) == frozenset(range(2, 6))


def test_longer_insertions_that_were_removed_a_moment_ago_are_what_they_were_then() -> None:
    desk = Desk(most_lines=2)
    unmarked = FUNCTION
    desk.edit(0, 0, unmarked)
    desk.regions.unmark(desk.document(), Span(0, len(unmarked)))
    desk.edit(0, LENGTH, "")
    desk.edit(0, 0, unmarked)

    assert desk.regions.lines(desk.document()) == frozenset()


def test_a_function_inserted_at_once_is_a_region_and_the_rest_is_not(desk: Desk) -> None:
    desk.edit(1, 1, FUNCTION)
    assert desk.lines() == list(range(1, 1 + LENGTH))


def test_a_region_moves_with_edits_above_and_grows_with_edits_inside(desk: Desk) -> None:
    desk.edit(1, 1, FUNCTION)
    desk.edit(0, 0, "# one\n# two\n")
    desk.edit(5, 5, "    # inside\n")
    assert desk.lines() == list(range(3, 4 + LENGTH))


def test_a_client_that_sends_whole_texts_gets_the_same(desk: Desk) -> None:
    desk.replace("import math\n" + FUNCTION + "\nprint(math.pi)\n")
    desk.replace("# one\nimport math\n" + FUNCTION + "\nprint(math.tau)\n")
    assert desk.lines() == list(range(2, 2 + LENGTH))


def test_typing_makes_no_region(desk: Desk) -> None:
    for place, line in enumerate(FUNCTION.splitlines(keepends=True)):
        desk.edit(place, place, line)
    assert desk.lines() == []


def test_undoing_a_deletion_brings_back_what_was_there(desk: Desk) -> None:
    for line, text in enumerate(FUNCTION.splitlines(keepends=True)):
        desk.edit(line, line, text)
    desk.edit(0, LENGTH, "")
    desk.edit(0, 0, FUNCTION)
    assert desk.lines() == [], "a person's text stays one"
    desk.regions.mark(desk.document(), Span(0, len(FUNCTION)))
    desk.edit(0, LENGTH, "")
    assert desk.lines() == []
    desk.edit(0, 0, FUNCTION)
    assert desk.lines() == list(range(LENGTH)), "and a marked one, too"


def test_a_move_or_copy_within_the_workspace_is_no_new_region(desk: Desk) -> None:
    for line, text in enumerate(FUNCTION.splitlines(keepends=True)):
        desk.edit(line, line, text)
    desk.edit(0, 0, FUNCTION, OTHER)
    assert desk.lines(OTHER) == []


def test_laying_a_region_out_anew_keeps_it(desk: Desk) -> None:
    desk.edit(0, 0, FUNCTION)
    desk.edit(0, LENGTH, FUNCTION.replace("    ", "\t"))
    assert desk.lines() == list(range(LENGTH))


def test_a_person_can_mark_a_region_and_unmark_a_part_or_all_of_it(desk: Desk) -> None:
    document = desk.document()
    desk.regions.mark(document, Span(0, 0))
    assert desk.lines() == [0]
    desk.regions.mark(document, Span(5, len(HUMAN)))
    assert desk.lines() == [0, 1, 2]
    desk.regions.unmark(document, Span(0, 13))
    assert desk.lines() == [2]
    desk.regions.unmark(document, Span(15, 15))
    assert desk.lines() == []


@pytest.mark.parametrize("text", ["", "\nx = 1\n"])
def test_marking_a_blank_line_marks_nothing(desk: Desk, text: str) -> None:
    desk.replace(text)
    desk.regions.mark(desk.document(), Span(0, 0))
    assert desk.lines() == []


BUGGY = FUNCTION.replace("count = len(values)", "count = len(values)  # BUG")


async def shown(client: LspClient, version: int, after: int = 0) -> list[int]:
    return [each["range"]["start"]["line"] for each in await client.diagnostics(URI, version, after)]


async def start(client: LspClient, **options: Any) -> None:
    await client.initialize(initializationOptions={"debounce": 0.0, **options})
    client.open(URI, "a = 1  # BUG\n")
    await client.diagnostics(URI, 1)


async def test_with_the_scope_generated_only_regions_are_shown(client: LspClient) -> None:
    await start(client, scope="generated")
    assert await shown(client, 1) == []
    at = {"line": 1, "character": 0}
    client.change(URI, 2, {"range": {"start": at, "end": at}, "text": BUGGY})
    assert await shown(client, 2) == [3]
    answer = await client.request("riskLsp/lines", {"uri": URI})
    assert (answer["steps"][0], answer["steps"][3]) == (0, 3)
    assert answer["lines"][0] > 0.6, "the number is known all the same"


async def test_the_scope_takes_effect_at_once_and_needs_no_run_of_the_model(client: LspClient, tmp_path: Any) -> None:
    await start(client)
    assert await shown(client, 1) == [0]
    seen = await reconfigure(client, {"scope": "generated"})
    assert await shown(client, 1, seen) == []
    seen = await reconfigure(client, {"scope": "document"})
    assert await shown(client, 1, seen) == [0]
    assert runs(tmp_path) == 1


async def test_regions_are_marked_and_unmarked_by_command(client: LspClient) -> None:
    await start(client, scope="generated")
    first_line = {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}
    seen = len(client.received)
    await client.execute("riskLsp.markGenerated", URI, first_line)
    assert await shown(client, 1, seen) == [0]
    seen = len(client.received)
    await client.execute("riskLsp.unmarkGenerated", URI, first_line)
    assert await shown(client, 1, seen) == []
    with pytest.raises(ResponseError, match=r"expected the arguments \[uri, range\]; the range is an LSP range"):
        await client.execute("riskLsp.markGenerated", URI, {"start": 1})
