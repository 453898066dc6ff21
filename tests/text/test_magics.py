"""IPython's additions become comments, in place; other languages' cells are told apart."""

from __future__ import annotations

import pytest
from hypothesis import given

from risk_lsp.text.document import LineIndex
from risk_lsp.text.notebook import is_python_cell, without_magics

from .naive import texts


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%matplotlib inline", "#matplotlib inline"),
        ("  !pip install x", "  #pip install x"),
        ("%%time", "#%time"),
        ("?len", "#len"),
        ("\t??len", "\t#?len"),
    ],
)
def test_a_line_that_is_a_magic_becomes_a_comment(line: str, expected: str) -> None:
    assert without_magics(f"a = 1\r{line}\r\nb = 2") == f"a = 1\r{expected}\r\nb = 2"


@pytest.mark.parametrize(
    "line", ["x % y", "% y", "!= y", "%(name)s", "a = '%d' % b", "x = !ls", "len?", "%", "!", "#%a"]
)
def test_what_python_writes_or_what_stands_in_the_middle_of_a_line_stays(line: str) -> None:
    expected = line if line != "!" else "#"
    assert without_magics(line) == expected


@given(texts)
def test_the_text_keeps_its_length_and_its_lines(text: str) -> None:
    changed = without_magics(text + "\n%a" + text)
    assert LineIndex(changed).starts.tolist() == LineIndex(text + "\n%a" + text).starts.tolist()
    assert len(changed) == 2 * len(text) + 3


@pytest.mark.parametrize(
    "text", ["", "a = 1", "%matplotlib inline", "%%time\na = 1", "\n %%capture out\na", "x %%bash"]
)
def test_cells_with_python(text: str) -> None:
    assert is_python_cell(text)


@pytest.mark.parametrize("text", ["%%bash\nls", "\n\n  %%writefile a.py\nx", "%%html", "%%sql\nselect 1"])
def test_cells_in_another_language(text: str) -> None:
    assert not is_python_cell(text)
