"""`risk: ignore` in comments."""

from __future__ import annotations

import pytest
from hypothesis import given

from risk_lsp.server.documents.ignored_lines import ignoring_comment, lines_ignored_in_source
from risk_lsp.text.document import Document
from tests.text.naive import texts


def of(text: str, language_id: str = "python") -> Document:
    return Document("file:///a", 1, text, language_id)


def ignored(text: str, language_id: str = "python") -> set[int]:
    return set(lines_ignored_in_source(of(text, language_id)))


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # risk: ignore",
        "x = 1 #risk:ignore",
        "x = 1  # why  # risk: ignore   ",
        "x = 1  # risk: ignore (checked by hand)",
    ],
)
def test_a_comment_at_the_end_ignores_its_line(line: str) -> None:
    assert ignored(f"a\n{line}\nb\n") == {1}


@pytest.mark.parametrize(
    "line", ["x = '# risk: ignore'", "x = 1  # risk: ignored", "risk: ignore", "# risk: ignore x = 1", "# Risk: Ignore"]
)
def test_other_text_ignores_nothing(line: str) -> None:
    assert ignored(f"a\n{line}\nb\n") == set()


def test_a_comment_alone_ignores_the_line_below_too() -> None:
    assert ignored("a\n    # risk: ignore\n    b\nc\n") == {1, 2}


@pytest.mark.parametrize(
    ("language_id", "line"),
    [
        ("typescript", "let a = 1; // risk: ignore"),
        ("lua", "local a = 1 -- risk: ignore"),
        ("css", "a { color: red } /* risk: ignore */"),
        ("html", "<p>  <!-- risk: ignore -->"),
    ],
)
def test_comments_are_those_of_the_language(language_id: str, line: str) -> None:
    assert ignored(line, language_id) == {0}
    assert ignored(line, "python") == set()


def test_languages_without_comments_have_none() -> None:
    assert ignored("1  # risk: ignore", "json") == set()
    assert ignoring_comment(of("{}", "json"), 0) is None


@pytest.mark.parametrize("language_id", ["python", "typescript", "css", "html", "lua"])
def test_what_is_inserted_has_the_line_ignored_and_no_other(language_id: str) -> None:
    document = of("a\r\n\tb  \r\nc\r\n", language_id)
    insertion = ignoring_comment(document, 1)
    assert insertion is not None
    offset, text = insertion
    assert ignored(document.text[:offset] + text + document.text[offset:], language_id) == {1}


def test_nothing_is_inserted_where_it_would_not_be_a_comment() -> None:
    document = of('x = """\nin a string\n"""\ny = 1 + \\\n    2\n\nz = 1  # risk: ignore\n')
    insertable = [line for line in range(document.lines.count) if ignoring_comment(document, line) is not None]
    assert insertable == [2, 4]


@given(texts)
def test_any_text_can_be_looked_through(text: str) -> None:
    document = of(text + "  # risk: ignore")
    assert document.lines.count - 1 in lines_ignored_in_source(document)
    for line in range(document.lines.count):
        ignoring_comment(document, line)
