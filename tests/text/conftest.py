from __future__ import annotations

from collections.abc import Iterator

import pytest

from risk_lsp.text import document as pieces


@pytest.fixture(scope="module")
def small_pieces() -> Iterator[None]:
    """Has edits cut texts into pieces of a few characters, so that short texts meet what only long ones would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_PIECE", 3)
        yield
