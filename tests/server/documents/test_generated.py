"""What looks generated."""

from __future__ import annotations

import pytest

from risk_lsp.server.documents.document_places import looks_generated

FUNCTION = """def mean(values):
    total = sum(values)
    count = len(values)
    if count == 0:
        raise ValueError("no values")
    return total / count
"""


def generated(text: str, known: str = "") -> bool:
    lines = {line.strip() for line in known.splitlines()}
    return looks_generated(text, lines.__contains__)


def test_a_function_that_appears_at_once_looks_generated() -> None:
    assert generated(FUNCTION)


@pytest.mark.parametrize(
    "typed",
    ["", "\n", "x", "    return total / count\n", "if x:\n    y = 1\nelse:\n    z = 2\n", "x" * 500, "\n" * 500],
)
def test_what_a_person_or_a_completion_inserts_does_not(typed: str) -> None:
    assert not generated(typed)


def test_what_was_there_before_does_not_whatever_its_layout() -> None:
    assert not generated(FUNCTION, FUNCTION)
    assert not generated(FUNCTION.replace("    ", "\t\t"), FUNCTION)


def test_a_few_new_lines_among_known_ones_do_not() -> None:
    assert not generated(FUNCTION + "print(mean([1, 2, 3]))\n", FUNCTION)


def test_new_lines_that_come_with_a_few_known_ones_do() -> None:
    assert generated("import os\n\n" + FUNCTION, "import os\n")
