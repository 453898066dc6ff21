"""An edit must not cost work per line or per character of the document. The bound leaves room for a busy machine.

In plain pygls it does: each edit, and each look at the lines behind it, splits the whole text.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import process_time

import pytest
from lsprotocol import types
from pygls.workspace import TextDocument

from risk_lsp.text.document import Document, Position, PositionEncoding, TextChange, apply_changes

LINES = 20_000
EDITS = 200


def median_edit_seconds(document: Document, character: str) -> float:
    """The median time of edits all over the document, which replace one character each."""
    seconds = []
    for edit in range(EDITS):
        line = edit * 7919 % LINES
        change = TextChange(Position(line, 4), Position(line, 5), character)
        start = process_time()
        document = apply_changes(document, [change], edit, PositionEncoding.UTF16)
        seconds.append(process_time() - start)
    return median(seconds)


@pytest.mark.parametrize("line", ["    value = compute(alpha)", "    valué = '→'", "    value = '😀'"])
@pytest.mark.parametrize("character", ["x", "\n"], ids=["same lines", "new lines"])
def test_an_edit_of_a_long_document_takes_less_than_1_ms(line: str, character: str) -> None:
    document = Document("file:///long.py", 1, "\n".join([line] * LINES), "python")
    assert median_edit_seconds(document, character) < 0.001


def test_where_lines_are_is_known_behind_an_edit_and_in_plain_pygls_it_is_found_out_each_time() -> None:
    text = "\n".join(["    value = compute(alpha)"] * LINES)
    ours = Document("file:///long.py", 1, text, "python")
    theirs = TextDocument("file:///long.py", text, 1, "python")
    place = types.Position(LINES // 2, 4)
    edit = types.TextDocumentContentChangePartial(types.Range(place, types.Position(LINES // 2, 5)), "x")
    change = TextChange(Position(LINES // 2, 4), Position(LINES // 2, 5), "x")

    def take_ours() -> None:
        assert apply_changes(ours, [change], 2, PositionEncoding.UTF16).lines.count == LINES

    def take_theirs() -> None:
        theirs.apply_change(edit)
        assert len(theirs.lines) == LINES

    assert median_seconds(take_theirs) > 5 * median_seconds(take_ours)


def median_seconds(work: Callable[[], None]) -> float:
    """The median time of a call."""
    seconds = []
    for _ in range(21):
        start = process_time()
        work()
        seconds.append(process_time() - start)
    return median(seconds)
