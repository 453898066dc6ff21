"""Why the numbers may not hold for a text, and where that is no help."""

from __future__ import annotations

import pytest

from risk_lsp.risk.presentation import reason_outside
from risk_lsp.text.document import LineIndex

LICENCE = "# Copyright 2026 Somebody\n# Permission is hereby granted, free of charge, to any person\n\n"
IMPORTS = "from __future__ import annotations\n\nimport os\nfrom sys import (\n    argv,\n    path,\n)\n"
FUNCTION = "def f(x):\n    y = x + 1\n    return y\n"
PROGRAM = FUNCTION * 3


def unlike(text: str) -> bool:
    return reason_outside("python", LineIndex(text), 1.0) is not None


@pytest.mark.parametrize(
    "text",
    ["", "\n", "x = 1\n", "__version__ = '1'", LICENCE, LICENCE + IMPORTS, '"""A package."""\n', IMPORTS + FUNCTION],
    ids=["empty", "blank", "one line", "no line end", "licence", "licence and imports", "docstring", "and a function"],
)
def test_a_text_with_little_to_read_is_not_said_to_be_unlike_others(text: str) -> None:
    assert not unlike(text)


@pytest.mark.parametrize("text", [PROGRAM, LICENCE + IMPORTS + PROGRAM])
def test_a_program_may_be(text: str) -> None:
    assert unlike(text)


def test_a_language_that_was_not_measured_is_told_of_however_short_the_text_is() -> None:
    assert reason_outside("rust", LineIndex(""), None) is not None
