"""Pictures of terminals, before a terminal is needed."""

from __future__ import annotations

import re

import pytest

from tests.editors.artefacts import drawing

CELL = 12.2  # the width of one, in the drawing's units


def widths(svg: str) -> dict[str, float]:
    """Texts of a drawing, and how wide they are, in cells."""
    found = re.findall(r'textLength="([\d.]+)"[^>]*>([^<]*)</text>', svg)
    return {text: round(float(length) / CELL, 2) for length, text in found}


@pytest.mark.parametrize("attributes", ["4", "4:3", "0;4:3", "7;4:3", "4:3;1"])
def test_an_underline_of_any_style_is_drawn(attributes: str) -> None:
    assert "text-decoration: underline" in drawing(f"\x1b[{attributes}mx = 1\x1b[0m y", 20, "")


@pytest.mark.parametrize("attributes", ["1", "24", "38;2;4;4;4"])
def test_other_attributes_draw_no_underline(attributes: str) -> None:
    assert "text-decoration: underline" not in drawing(f"\x1b[{attributes}mx = 1\x1b[0m y", 20, "")


@pytest.mark.parametrize(("text", "cells"), [("abc", 3), ("漢字", 4), ("cafe\u0301", 4), ("🙂", 2)])
def test_a_text_is_as_wide_as_the_cells_that_it_takes(text: str, cells: int) -> None:
    assert widths(drawing(text, 20, ""))[text] == cells


def test_nothing_is_fetched() -> None:
    assert not re.search(r"url\([^#)]|@import|@font-face", drawing("x", 20, ""))
