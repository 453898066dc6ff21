"""Programs as lines of code: what a patch may touch."""

from __future__ import annotations

import pytest

from risk_lsp.edits.lexemes import read_code


def code_words(text: str) -> list[tuple[int, str]]:
    return [(line.level, " ".join(line.words)) for line in read_code(text).lines]


def test_comments_and_docstrings_are_no_code() -> None:
    text = '"""What it is."""\n# why\ndef f(x):  # how\n    """Docs\n    go on."""\n    return x  # "so"\n'

    assert code_words(text) == [(0, "def f ( x ) :"), (1, "return x")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x=-1.5e3//y", "x = - 1.5e3 // y"),
        ("s = f'{a}#' + rb\"#\"", "s = f'{a}#' + rb\"#\""),
        ("a = [1,  # one\n     2]", "a = [ 1 , 2 ]"),
        ("a = 1 + \\\n  2", "a = 1 + 2"),
        ("if (n := f()) != 0x1F: pass", "if ( n := f ( ) ) != 0x1F : pass"),
        ("größe = 1", "größe = 1"),
    ],
)
def test_a_logical_line_is_cut_into_lexemes(text: str, words: str) -> None:
    assert [line for _, line in code_words(text)] == [words]


def test_levels_follow_the_blocks_whatever_their_indentation() -> None:
    assert code_words("def f():\n  if x:\n\t return 1\n  return 2\ny") == [
        (0, "def f ( ) :"),
        (1, "if x :"),
        (2, "return 1"),
        (1, "return 2"),
        (0, "y"),
    ]


def test_each_lexeme_knows_its_place() -> None:
    text = "if x:\r\n    yy = 1\r\n"

    assert [text[slice(*lexeme.span)] for line in read_code(text).lines for lexeme in line.lexemes] == [
        *("if", "x", ":"),
        *("yy", "=", "1"),
    ]


def test_a_program_that_does_not_parse_has_lines_too() -> None:
    assert code_words("def f(:\n    return 'a\n")[0][1].startswith("def f ( :")
