"""The normal form of a program: all that a test can see is in it, and nothing else."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from risk_lsp.text.normal_form import normal_form
from tests.text.programs import PLAIN, Line, Style, programs, styles, written

any_code = st.text(st.sampled_from(" \t\f\r\nabf:=#'\"\\()[]{}é"), max_size=40) | st.text(max_size=20)


def normal(text: str) -> str:
    return normal_form(text).text


@given(lines=programs(), style=styles)
def test_the_style_of_a_program_is_not_in_its_normal_form(lines: tuple[Line, ...], style: Style) -> None:
    assert normal(written(lines, style)) == normal(written(lines, PLAIN))


@given(lines=programs(), style=styles)
def test_the_normal_form_does_what_the_program_does(lines: tuple[Line, ...], style: Style) -> None:
    text = written(lines, style)

    assert ast.dump(ast.parse(normal(text))) == ast.dump(ast.parse(text))


@given(text=any_code)
def test_offsets_never_fall_and_stay_within_the_text(text: str) -> None:
    form = normal_form(text)

    assert len(form.starts) == len(form.ends) == len(form.text)
    for offsets in (form.starts, form.ends, [0, *form.starts, len(text)], [0, *form.ends, len(text)]):
        assert (np.diff(offsets) >= 0).all()
    assert (form.starts <= form.ends).all()


@given(text=any_code)
def test_a_character_stands_for_itself_or_for_a_line_end_or_was_put_in(text: str) -> None:
    form = normal_form(text)

    for character, start, end in zip(form.text, form.starts, form.ends, strict=True):
        origin = text[start:end]
        assert (
            origin == character
            or (character == "\n" and origin in ("\r\n", "\r"))
            or (origin == "" and character in " \n")
        )


@given(text=any_code)
@example(text="'''a\n b")
@example(text="x = 1 \\")
@example(text="\\#\r:")
@example(text='f"{a["b"]')
def test_the_normal_form_of_a_normal_form_is_itself(text: str) -> None:
    once = normal(text)

    assert normal(once) == once


def without_docstrings(tree: ast.AST) -> str:
    """The tree as text; strings that stand alone are empty."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = ""
    return ast.dump(tree)


def library_files() -> list[Path]:
    """Some of the standard library: every tenth file, in the order of their names."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    skipped = {"test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "encodings"}
    return [file for file in sorted(folder.rglob("*.py")) if not skipped & set(file.relative_to(folder).parts)][::10]


@pytest.mark.parametrize("file", library_files(), ids=lambda file: file.name)
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_a_file_of_the_standard_library_stays_the_same_program(file: Path) -> None:
    text = file.read_text("utf-8")

    assert without_docstrings(ast.parse(normal(text))) == without_docstrings(ast.parse(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("# nothing but this\n\n", ""),
        ("\ufeff# coding: latin-1\nx = 1\n", "x = 1\n"),
        ("x = 1", "x = 1\n"),
        ("x = (1,\n      # one\n\n      2)\n", "x = (1,\n    2)\n"),
        ("f(\n  a,\n  )\n", "f(\n    a,\n)\n"),
        ("x = 1 + \\\n  2  # three\n", "x = 1 + \\\n    2\n"),
        ("x = 1  # one \\\nif a:\n  b\n", "x = 1\nif a:\n    b\n"),
        ("if a:\n\tif b:\n\t\tc\n        d\n", "if a:\n    if b:\n        c\n    d\n"),
        ("import a\ndef f():\n  pass\n@g\n\n# what for\ndef h(): pass\n", None),
        ("\fdef f():\n    \f  pass\n", "def f():\n    pass\n"),
        ("s = '''a  \r\n\t# b\r\n'''\n", "s = '''a  \n\t# b\n'''\n"),
        ("'''a\n      b'''.join(c)\n", "'''a\n      b'''.join(c)\n"),
        (
            "class A:\n  '''What.\n\n  More:\n     x\n  '''\n",
            "class A:\n    '''What.\n\n    More:\n        x\n    '''\n",
        ),
        ("s = 'a # b\nt = 1  # c\n", "s = 'a # b\nt = 1\n"),
        ("s = '''a # b\nt = 1  # c\n", "s = '''a # b\nt = 1  # c\n"),
        ("a)\nb\n", "a)\nb\n"),
    ],
    ids=[
        *("nothing", "comments only", "mark and cookie", "no line end", "comment in brackets", "closing bracket"),
        *(
            "backslash",
            "backslash in a comment",
            "tabs",
            "definitions",
            "form feeds",
            "string",
            "string of an expression",
            "docstring",
        ),
        *("string without end", "long string without end", "stray bracket"),
    ],
)
def test_it_is(text: str, expected: str | None) -> None:
    definitions = "import a\n\ndef f():\n    pass\n\n@g\ndef h(): pass\n"

    assert normal(text) == (definitions if expected is None else expected)


@pytest.mark.parametrize(
    "string",
    [
        'f"{a["#"]}"',
        "f'{a['b']['#']}'",
        'f"{f"{a["#"]}#"}"',
        'rf"\\{a["#"]}"',
        'F"{a:{"#"}>{b}}"',
        'f"{a!r:#x}"',
        'f"{{#}}{a}#"',
        'f"\\N{NUMBER SIGN}#{a}"',
        'f"""{\n  a  # this comment is part of the string\n}"""',
        'f"{\n  a["#"]\n}"',
        't"{a["#"]}"',
    ],
)
def test_a_number_sign_in_an_f_string_of_python_3_12_begins_no_comment(string: str) -> None:
    text = normal(f"x = {string}  # a comment\ny = 1  # another\n")

    assert text == f"x = {string}\ny = 1\n"


@pytest.mark.parametrize("broken", ['f"{', 'f"{a["', 'f"{a', 'f"}', 'f"{a:', "f'{(}'"])
def test_an_f_string_without_an_end_ends_with_its_line(broken: str) -> None:
    assert normal(f"x = {broken}\n\n\ny = 1  # one\n").endswith("\ny = 1\n")


@pytest.mark.parametrize(
    "keyword", ["def f(): pass", "class A: pass", "return 1", "import a", "try: a", "async def f(): a"]
)
def test_a_bracket_that_is_never_closed_ends_before_the_next_statement(keyword: str) -> None:
    text = normal(f"if a:\n  f(a,\n  b\n{keyword}\nif c:\n  d\n")

    assert text.replace("\n\n", "\n") == f"if a:\n    f(a,\n        b\n{keyword}\nif c:\n    d\n"


def test_of_another_language_only_line_ends_are_made_alike() -> None:
    text = "/* a */\r\n\tx  \r\n\r\ny # z\r"

    assert normal_form(text, "c").text == "/* a */\n\tx  \n\ny # z\n"
