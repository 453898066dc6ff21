"""What a client does to its documents, however odd, is what the server makes of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from risk_lsp.text import document as pieces
from tests.attacks.fuzz_documents import fuzz_documents, fuzz_notebooks


@pytest.fixture(autouse=True)
def small_pieces() -> Iterator[None]:
    """Short texts in many pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_PIECE", 5)
        yield


def test_random_edits_in_three_encodings_give_the_text_lines_and_positions_of_the_naive_account(
    long: bool,
) -> None:
    assert fuzz_documents(edits=100_000 if long else 2_000) > 10


def test_random_edits_of_cells_give_the_notebook_that_would_be_made_anew(long: bool) -> None:
    fuzz_notebooks(edits=10_000 if long else 500)
