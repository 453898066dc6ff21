"""Small edits: every kind that is named is made, at its place, and what is made can be applied."""

from __future__ import annotations

import ast

import pytest

from risk_lsp.edits.slips import small_edits
from risk_lsp.text.document import Span

FUNCTION = "def f(a, b):\n    {line}\n    return a\n"


def variants(line: str, operator: str) -> list[str]:
    """What becomes of a line of a function by edits of one kind."""
    text = FUNCTION.format(line=line)
    span = Span(text.index(line), text.index(line) + len(line))
    edits = [edit for edit in small_edits(text, span) if edit.operator == operator]
    return [edit.apply(text)[span.start : len(edit.apply(text)) - len("\n    return a\n")] for edit in edits]


@pytest.mark.parametrize(
    ("operator", "line", "expected"),
    [
        ("comparison operator", "x = a < b", ["x = a <= b", "x = a > b"]),
        ("comparison operator", "x = a not in b", ["x = a in b"]),
        ("comparison operator", "x = (a) == (b)", ["x = (a) != (b)"]),
        ("arithmetic operator", "x = a + b", ["x = a - b"]),
        ("arithmetic operator", "x = a // b", ["x = a % b", "x = a / b"]),
        ("arithmetic operator", "a += b", ["a -= b"]),
        ("accumulation dropped", "a += b", ["a = b"]),
        ("boolean operator", "x = a and b", ["x = a or b"]),
        ("constant", "x = 7", ["x = 0", "x = 1", "x = 2", "x = 6", "x = 8"]),
        ("constant", "x = True", ["x = False"]),
        ("constant", "x = ''", ['x = " "']),
        ("sign or negation dropped", "x = -a", ["x = a"]),
        ("sign or negation dropped", "x = not a", ["x = a"]),
        ("condition negated", "if a: b = 1", ["if not (a): b = 1"]),
        ("condition negated", "while a < b: a += 1", ["while not (a < b): a += 1"]),
        ("name", "x = a", ["x = b", "x = x"]),
        ("argument order", "print(a, b)", ["print(b, a)"]),
        ("twin", "x = min(a)", ["x = max(a)"]),
        ("twin", "a.append(b)", ["a.extend(b)"]),
        ("call dropped", "x = sorted(a)", ["x = a"]),
        ("bound shifted", "for x in range(len(a)): pass", ["range(len(a) + 1)", "range(len(a) - 1)"]),
        ("bound shifted", "x = range(b - 1)", ["range(b - 1 + 1)", "range(b - 1 - 1)", "range(b)"]),
        ("bound shifted", "x = a[b]", ["x = a[b + 1]", "x = a[b - 1]"]),
        ("bound shifted", "x = a[:b]", ["x = a[:b + 1]", "x = a[:b - 1]"]),
        ("return value dropped", "if b: return a", ["if b: return None"]),
        ("statement deleted", "a.sort()", ["pass"]),
        ("statement doubled", "a.pop()", ["a.pop()\n    a.pop()"]),
    ],
)
def test_every_kind_of_edit_is_made(operator: str, line: str, expected: list[str]) -> None:
    found = variants(line, operator)

    assert len(found) == len(expected)
    assert all(any(part in variant for variant in found) for part in expected), found


PROGRAM = '''\
def größte(werte, grenze=3):
    """The largest "<" of some, + 1."""
    # a < b
    beste = None
    for i in range(1, len(werte) - 1):
        if beste is None or werte[i] > beste and i < grenze:
            beste = werte[i]  # + 1
        elif not werte[i:]:
            beste -= 1
            print("ü", beste, sep="")
    return max(beste, -1)
'''


def test_nothing_but_code_is_edited() -> None:
    docstring, comments = PROGRAM.index('"""'), ("# a < b", "# + 1")
    places = [Span(docstring, PROGRAM.index('"""', docstring + 3) + 3)]
    places += [Span(PROGRAM.index(text), PROGRAM.index(text) + len(text)) for text in comments]

    edits = small_edits(PROGRAM)
    assert edits
    assert not [
        edit for edit in edits for place in places if place.start < edit.span.end and edit.span.start < place.end
    ]


def test_every_edit_changes_the_program_into_another_that_parses() -> None:
    for edit in small_edits(PROGRAM):
        changed = edit.apply(PROGRAM)

        assert changed != PROGRAM, edit
        ast.parse(changed)


def test_no_edit_is_made_twice() -> None:
    edits = small_edits(PROGRAM)

    assert len(edits) == len({(edit.span, edit.replacement, edit.operator) for edit in edits})


def test_edits_stay_within_the_part_that_is_asked_for() -> None:
    part = Span(PROGRAM.index("        if"), PROGRAM.index("    return"))
    edits = small_edits(PROGRAM, part)

    assert edits
    assert all(part.start <= edit.span.start and edit.span.end <= part.end for edit in edits)


@pytest.mark.parametrize("text", ["def f(:\n", "x = \0", "(" * 5000])
def test_what_does_not_parse_has_no_edits(text: str) -> None:
    assert small_edits(text) == []
