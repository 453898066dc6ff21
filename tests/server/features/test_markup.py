"""Prose in a markdown hover: nothing in it is taken for markup, and nothing is escaped without need."""

from __future__ import annotations

import pytest

from risk_lsp.server.features.hover import MARKDOWN


@pytest.mark.parametrize(
    ("prose", "written"),
    [
        ("of lines scored 5-10%, 7% were edited (n = 3)", "of lines scored 5-10%, 7% were edited (n = 3)"),
        ("a_b * c", r"a\_b \* c"),
        ("<b>", r"\<b>"),
        ("- one\n  # two\n> three", "\\- one\n  \\# two\n\\> three"),
        ("[a](b) `c` \\", "\\[a\\](b) \\`c\\` \\\\"),
    ],
)
def test_prose_stays_prose(prose: str, written: str) -> None:
    assert MARKDOWN.text(prose) == written
