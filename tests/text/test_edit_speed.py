"""An edit must not cost work per line or per character of the document. The bound leaves room for a busy machine."""

from __future__ import annotations

from statistics import median
from time import perf_counter

import pytest

from risk_lsp.text.document import Document, TextChange, apply_changes
from risk_lsp.text.positions import Position, PositionEncoding

LINES = 20_000
EDITS = 200


def median_edit_seconds(document: Document, character: str) -> float:
    """The median time of edits all over the document, which replace one character each."""
    seconds = []
    for edit in range(EDITS):
        line = edit * 7919 % LINES
        change = TextChange(Position(line, 4), Position(line, 5), character)
        start = perf_counter()
        document = apply_changes(document, [change], edit, PositionEncoding.UTF16)
        seconds.append(perf_counter() - start)
    return median(seconds)


@pytest.mark.parametrize("line", ["    value = compute(alpha)", "    valué = '→'", "    value = '😀'"])
@pytest.mark.parametrize("character", ["x", "\n"], ids=["same lines", "new lines"])
def test_an_edit_of_a_long_document_takes_less_than_1_ms(line: str, character: str) -> None:
    document = Document("file:///long.py", 1, "\n".join([line] * LINES), "python")
    assert median_edit_seconds(document, character) < 0.001
