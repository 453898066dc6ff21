"""Which lines of a text hold code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text.document import Span, stripped_line_spans
from risk_lsp.text.structure import code_line_spans


def code_lines(text: str, language_id: str = "python") -> list[str]:
    return [text[span.start : span.end] for span in code_line_spans(text, language_id)]


def test_blank_lines_and_comments_are_no_code() -> None:
    assert code_lines("# first\n\nx = 1\n  \n    # second\ny = 2  # third\n") == ["x = 1", "y = 2  # third"]


@pytest.mark.parametrize(
    "docstring",
    [
        '"""One line."""',
        "'''One line.'''",
        'r"""A raw \\one."""',
        '"""Two\n    lines."""',
        '"""A quote " and # no comment.\n\n    x = 1\n    """',
        "'Single quotes.'",
        "'It\\'s escaped.'",
        '"Say \\"yes\\"."',
    ],
)
def test_docstrings_are_no_code(docstring: str) -> None:
    assert code_lines(f"def f():\n    {docstring}\n    return 1\n") == ["def f():", "return 1"]


@pytest.mark.parametrize(
    "code",
    [
        's = """\n    text\n    """',
        'print("""\n    text""")',
        'f"""{x}"""',
        '"a" == "b"',
        '"a"; x = 1',
        'x = "it\'s"',
        "'a' 'b'.join(x)",
    ],
)
def test_strings_that_do_something_are_code(code: str) -> None:
    assert code_lines(f"def f(x):\n    {code}\n") == [
        line.strip() for line in f"def f(x):\n    {code}\n".splitlines() if line.strip()
    ]


def test_a_docstring_on_its_functions_own_line_leaves_that_line_code() -> None:
    assert code_lines('def f(): "What it does."\n') == ['def f(): "What it does."']


def test_only_lines_that_start_inside_the_span_count() -> None:
    text = "a = 1\nb = 2\nc = 3\n"

    assert code_line_spans(text, "python", Span(3, 12)) == [Span(6, 11)]


def test_a_program_that_does_not_parse_still_has_code_lines() -> None:
    assert code_lines("def f(:\n    # why\n    retrun (1\n") == ["def f(:", "retrun (1"]


def test_without_a_grammar_every_line_that_is_not_blank_counts() -> None:
    assert code_lines("# not a comment here\n\nint x;\n", "c") == ["# not a comment here", "int x;"]


@given(st.text(st.characters(exclude_categories=())))
def test_code_lines_of_any_text_are_some_of_its_lines_in_order(text: str) -> None:
    lines = stripped_line_spans(text)
    found = code_line_spans(text, "python")

    assert found == sorted(found)
    assert set(found) <= {line for line in lines if line.start < line.end}
