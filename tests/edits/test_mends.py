"""Mends of what models often leave out, and the order in which edits are tried."""

from __future__ import annotations

import pytest

from risk_lsp.edits.candidates import mending_edits
from risk_lsp.lab.patches.search import edits_behind


def mended(text: str, operator: str, given: int = 0) -> list[str]:
    return [edit.apply(text) for edit in mending_edits(text, given) if edit.operator == operator]


@pytest.mark.parametrize(
    ("operator", "program", "expected"),
    [
        ("return", "def f(a):\n    a + 1\n", "def f(a):\n    return a + 1\n"),
        ("return", "def f(a):\n    print(a)\n", "def f(a):\n    return (a)\n"),
        ("return", "def f(a):\n    b = a\n", "def f(a):\n    b = a\n    return b\n"),
        (
            "return",
            "def f(a):\n    for x in a:\n        b = x\n",
            "def f(a):\n    for x in a:\n        b = x\n    return b\n",
        ),
        ("import", "def f(a):\n    return math.pi\n", "import math\ndef f(a):\n    return math.pi\n"),
        (
            "import",
            "def f(a):\n    return Counter(a)\n",
            "from collections import Counter\ndef f(a):\n    return Counter(a)\n",
        ),
        ("conversion", "def f(a):\n    return a\n", "def f(a):\n    return list(a)\n"),
        (
            "indentation",
            "def f(a):\n    for x in a:\n        b = x\n        return b\n",
            "def f(a):\n    for x in a:\n        b = x\n    return b\n",
        ),
        ("condition negated", "def f(a):\n    return a\n", "def f(a):\n    return not (a)\n"),
    ],
)
def test_what_was_left_out_is_put_in(operator: str, program: str, expected: str) -> None:
    assert expected in mended(program, operator)


def test_a_function_that_returns_or_raises_at_its_end_lacks_no_return() -> None:
    assert mended("def f(a):\n    return a\n", "return") == []
    assert mended("def f(a):\n    raise ValueError(a)\n", "return") == []


def test_a_name_that_is_bound_needs_no_import() -> None:
    assert mended("def f(math):\n    return math + len(math)\n", "import") == []


def test_nothing_in_front_of_what_the_model_wrote_is_mended() -> None:
    text = "def f(a):\n    return math.pi\n"
    given = text.index("    return")

    assert mended(text, "import", given) == ["def f(a):\n    import math\n    return math.pi\n"]
    assert all(edit.span.start >= given for edit in mending_edits(text, given))


def test_what_does_not_parse_is_not_mended() -> None:
    assert mending_edits("def f(:\n", 0) == []


PROGRAM = "def f(a, b):\n    c = a + b\n    if a < c:\n        return b\n"


def test_suspected_lines_are_tried_before_all_others() -> None:
    lines = [PROGRAM.count("\n", 0, edit.span.start) for edit in edits_behind(PROGRAM, 0, {2})]

    assert set(lines) > {2}
    assert lines.index(2) == 0
    assert 2 not in lines[lines.count(2) :]


def test_other_names_are_tried_behind_all_that_is_likelier_to_mend_a_program() -> None:
    operators = [edit.operator for edit in edits_behind(PROGRAM, 0, set())]
    first = operators.index("name")

    assert {"comparison operator", "arithmetic operator", "condition negated"} <= set(operators[:first])
    assert set(operators[first:]) == {"name", "return value dropped"}
