"""What one edit can make of a program: the bugs that people and models make are among what it mends."""

from __future__ import annotations

import ast

import pytest

from risk_lsp.edits.candidates import candidates, cuts_code_off, syntax_mends
from risk_lsp.text.document import Span

MENDED = [
    ("def f(a, b):\n    return a - b\n", "def f(a, b):\n    return b - a\n"),
    ("def f(s):\n    return len(set(s))\n", "def f(s):\n    return len(set(s.lower()))\n"),
    ("def f(a, b):\n    return a == b\n", "def f(a, b):\n    return set(a) == set(b)\n"),
    ("def f(x):\n    return abs(x) + 1\n", "def f(x):\n    return abs(x)\n"),
    ("def f(x, y):\n    return x and y and x > y\n", "def f(x, y):\n    return x or y or x > y\n"),
    ("def f(xs):\n    return sorted(xs)\n", "def f(xs):\n    return sorted(xs, reverse=True)\n"),
    ("def f(xs):\n    return max(xs)\n", "def f(xs):\n    return max(xs, default=0)\n"),
    ("def f(xs):\n    return [x for x in xs if x]\n", "def f(xs):\n    return [x for x in xs ]\n"),
    ("def f(s):\n    return s.isupper()\n", "def f(s):\n    return s.islower()\n"),
    ("def f(n):\n    return 1 / n\n", "def f(n):\n    if n < 2:\n        return 1\n    return 1 / n\n"),
    (
        "def f(xs):\n    for x in xs:\n        y = x\n        return y\n",
        "def f(xs):\n    for x in xs:\n        y = x\n    return y\n",
    ),
    (
        "def f(x):\n    if x:\n        return True\n    return False\n",
        "def f(x):\n    if x:\n        return False\n    return True\n",
    ),
    ("def f(xs):\n    return countt(xs)\n\n\ndef count(xs):\n    return 1\n", None),
]


@pytest.mark.parametrize(("broken", "mended"), [pair for pair in MENDED if pair[1] is not None])
def test_a_common_bug_is_mended_by_one_of_the_candidates(broken: str, mended: str) -> None:
    assert mended in {candidate.text for candidate in candidates(broken)}


@pytest.mark.parametrize("broken", [pair[0] for pair in MENDED])
def test_every_candidate_parses_and_none_comes_twice(broken: str) -> None:
    found = [candidate.text for candidate in candidates(broken)]

    for text in found:
        ast.parse(text)
    assert len(set(found)) == len(found)
    assert broken not in found


def test_brackets_and_spaces_alone_make_no_candidate() -> None:
    texts = {candidate.text for candidate in candidates("def f(x):\n    return (x)\n")}

    assert "def f(x):\n    return x\n" not in texts


def test_nothing_in_front_of_what_was_given_is_touched() -> None:
    text = "def f(a, b):\n    a = a + 1\n    return a - b\n"
    given = text.index("    return")

    assert all(candidate.text.startswith(text[:given]) for candidate in candidates(text, given=given))


def test_edits_stay_within_what_was_asked_about() -> None:
    text = "def f(a, b):\n    a = a + 1\n    return a - b\n"
    span = Span(text.index("    return"), len(text))

    assert {candidate.text[: span.start] for candidate in candidates(text, within=span)} == {text[: span.start]}


def test_no_candidate_merely_cuts_code_off() -> None:
    text = "def f(x):\n    for y in x:\n        if y:\n            return y\n        x = y\n    return x\n"

    assert not any(cuts_code_off(text, candidate.text) for candidate in candidates(text))


@pytest.mark.parametrize(
    "broken",
    [
        "def f(x):\n    return (x + 1\n",
        "def f(x)\n    return x\n",
        "def f(x):\n    if x:\n    return 1\n    return 2\n",
        "def f(x):\n    return x\n\nHere is how it works: it returns x.\n",
        "  def f(x):\n      return x\n",
        'def f(x):\n    return "x\n',
    ],
)
def test_a_program_that_does_not_parse_gets_candidates_that_do(broken: str) -> None:
    found = candidates(broken)

    assert found
    for candidate in found:
        ast.parse(candidate.text)


def test_mends_of_syntax_leave_what_was_given_alone() -> None:
    text = "import math\n\n\ndef f(x):\n    return (math.floor(x)\n"
    given = text.index("    return")

    assert all(edit.apply(text).startswith(text[:given]) for edit in syntax_mends(text, given))


def test_characters_outside_of_ascii_do_not_move_edits() -> None:
    text = "def f(é, b):\n    s = 'é𝄞'; return é - b\n"

    assert "def f(é, b):\n    s = 'é𝄞'; return b - é\n" in {candidate.text for candidate in candidates(text)}
