"""Differences between programs as hunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.edits.hunks import Difference, Hunk, apply_hunks, edited_spans
from risk_lsp.edits.lexemes import LineAligner, read_code

STATEMENTS = ["x = 1", "y = x + 1", "f(x)", "return x", "return x - y", "z = [x, y]", "x = not y"]
LINES = st.tuples(st.integers(0, 1), st.sampled_from(STATEMENTS))
PROGRAMS = st.lists(LINES, min_size=1, max_size=8).map(
    lambda lines: "def f(a):\n    if a:\n" + "".join("    " * (1 + level) + line + "\n" for level, line in lines)
)


def hunks_between(own: str, other: str, given_text: str = "") -> list[Hunk]:
    return Difference(read_code(own), read_code(other), len(given_text), LineAligner()).hunks()


def marked(own: str, hunks: list[Hunk]) -> list[str]:
    return [own[slice(*span)] for span in edited_spans(hunks)]


def code(text: str) -> list[tuple[int, tuple[str, ...]]]:
    return [(line.level, line.words) for line in read_code(text).lines]


@given(own=PROGRAMS, other=PROGRAMS)
def test_all_hunks_together_make_the_other_program(own: str, other: str) -> None:
    assert code(apply_hunks(own, hunks_between(own, other))) == code(other)


def test_comments_stay_where_they_are() -> None:
    own = 'def f(x):\n    """Docs."""\n    # first\n    y = x  # second\n    return y\n'
    other = "def f(x):\n    # other\n    y = x + 1\n    return y\n"

    assert apply_hunks(own, hunks_between(own, other)) == own.replace("y = x", "y = x + 1")


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        ("a = b + c\n", "a = b - c\n", ["+"]),
        ("a = not b\n", "a = b\n", ["not"]),
        ("a = f(b)\n", "a = f(b, c)\n", [")"]),
        ("return x\n", "return x + 1\n", ["x"]),
        ("x = 1\ny = 2\n", "x = 1\nz = 3 * x\ny = 2\n", ["y"]),
        ("x = 1\n", "x = 1\nprint(x)\n", ["x"]),
        ("x = 1\ny = 2\n", "x = 1\n", ["y", "=", "2"]),
        ("x = 1\ny = 2\n", "x = 0\nz = 3 * x\ny = 2\n", ["1"]),
        ("x = 1\ny = 2\n", "x = 1\nz = 3 * x\ny = 4\n", ["2"]),
        ("if x:\n    y = 1\n    z = 2\n", "if x:\n    y = 1\nz = 2\n", ["z"]),
    ],
)
def test_what_a_hunk_marks(own: str, other: str, expected: list[str]) -> None:
    assert marked(own, hunks_between(own, other)) == expected


def test_words_do_not_run_together() -> None:
    assert apply_hunks("x=-y\n", hunks_between("x=-y\n", "x = not y\n")) == "x=not y\n"


class TestWhatTheModelWasGiven:
    PROMPT = 'def f(x):\n    """Double it."""\n'

    def test_is_never_touched(self) -> None:
        own = self.PROMPT + "    return x\n"
        other = "def f(x: int) -> int:\n    return 2 * x\n"

        assert apply_hunks(own, hunks_between(own, other, self.PROMPT)) == self.PROMPT + "    return 2 * x\n"

    def test_an_import_moves_behind_it(self) -> None:
        own = self.PROMPT + "    return x\n"
        other = "import math\ndef f(x):\n    return math.ceil(x)\n"

        assert apply_hunks(own, hunks_between(own, other, self.PROMPT)) == (
            self.PROMPT + "    import math\n    return math.ceil(x)\n"
        )

    def test_a_helper_moves_to_the_end(self) -> None:
        own = self.PROMPT + "    return x"
        other = "def g(x):\n    return 2 * x\ndef f(x):\n    return g(x)\n"

        assert apply_hunks(own, hunks_between(own, other, self.PROMPT)) == (
            self.PROMPT + "    return g(x)\ndef g(x):\n    return 2 * x"
        )

    def test_nothing_can_be_marked_where_the_model_wrote_no_code(self) -> None:
        own = self.PROMPT + "    # doubles it\n"

        assert hunks_between(own, "def f(x):\n    return 2 * x\n", self.PROMPT) == []
