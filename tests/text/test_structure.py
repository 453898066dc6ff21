from __future__ import annotations

from collections.abc import Iterable
from textwrap import dedent
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text.structure import Structure, StructureNode, parse_structure, statement_starts

from .naive import texts


def parts(text: str, nodes: Iterable[StructureNode]) -> list[str]:
    return [text[node.span.start : node.span.end] for node in nodes]


def statements(text: str) -> list[str]:
    return parts(text, parse_structure(text, "python").statements)


def names(nodes: Iterable[StructureNode]) -> list[tuple[str, str]]:
    return [(node.kind, node.name) for node in nodes]


NESTED = dedent(
    """
    class A:
        @cached
        @other(1)
        def f(self):
            def g():
                pass
            return g

        class B:
            async def h(self): ...

    def k(): return 1
    """
)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("a = 1; b = 2", ["a = 1", "b = 2"]),
        ("f(\n  1,\n)\n", ["f(\n  1,\n)"]),
        ("if a: b\nelif c: d\nelse: e", ["if a:", "b", "elif c:", "d", "else:", "e"]),
        ("for i in x[1:]:\n  break\nelse:\n  pass", ["for i in x[1:]:", "break", "else:", "pass"]),
        ("while (n := f()):  # go\n  continue", ["while (n := f()):", "continue"]),
        (
            "try:\n  a\nexcept E as e:\n  b\nfinally:\n  c",
            ["try:", "a", "except E as e:", "b", "finally:", "c"],
        ),
        ("with a as b, c:\n  d", ["with a as b, c:", "d"]),
        ("match x:\n  case {1: y} if y: z", ["match x:", "case {1: y} if y:", "z"]),
        ("@d\nasync def f(a: int = 1) -> int:\n  return a", ["@d", "async def f(a: int = 1) -> int:", "return a"]),
        ("class C(B, k=lambda: 1):\n  x: int", ["class C(B, k=lambda: 1):", "x: int"]),
    ],
    ids=["line", "several lines", "if", "for", "while", "try", "with", "match", "function", "class"],
)
def test_statements_are_simple_statements_and_headers(program: str, expected: list[str]) -> None:
    assert statements(program) == expected


def test_comments_are_no_statements() -> None:
    assert statements("# a\nb\n# c\n") == ["b"]


def test_functions_have_qualified_names() -> None:
    functions = parse_structure(NESTED, "python").functions
    assert names(functions) == [("method", "A.f"), ("function", "A.f.g"), ("method", "A.B.h"), ("function", "k")]


def test_classes_have_qualified_names() -> None:
    assert names(parse_structure(NESTED, "python").classes) == [("class", "A"), ("class", "A.B")]


def test_the_span_of_a_function_includes_its_decorators() -> None:
    (function,) = parts(
        "@a\n@b\ndef f():\n  pass\nx", parse_structure("@a\n@b\ndef f():\n  pass\nx", "python").functions
    )
    assert function == "@a\n@b\ndef f():\n  pass"


@pytest.mark.parametrize("character", ["é", "→", "😀", "\ud83d"])
def test_spans_count_code_points(character: str) -> None:
    program = f"s = '{character}'\ndef f(): return '{character}'\n"
    assert parts(program, parse_structure(program, "python").functions) == [f"def f(): return '{character}'"]


@pytest.mark.parametrize("terminator", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_terminator(terminator: str) -> None:
    assert statements(f"if a:{terminator}  b{terminator}c{terminator}") == ["if a:", "b", "c"]


@pytest.mark.parametrize(
    "broken",
    ["def f(\n", "x = 'abc\n", "def f(x)\n    return 1\n", "if :\n    pass\n", ")]}\n", "class A(:\n    pass\n"],
)
def test_a_function_after_code_that_does_not_parse_is_found(broken: str) -> None:
    program = broken + "\ndef g():\n    return 1\n"
    assert ("function", "g") in names(parse_structure(program, "python").functions)


def test_a_function_that_is_being_written_is_found() -> None:
    program = "def f(x):\n    y = (1,\n    return y\n"
    assert names(parse_structure(program, "python").functions) == [("function", "f")]


@given(texts)
def test_any_text_has_a_structure_within_its_bounds(text: str) -> None:
    structure = parse_structure(text, "python")
    nodes = structure.statements + structure.functions + structure.classes
    assert all(0 <= node.span.start < node.span.end <= len(text) for node in nodes)


FRAGMENTS = [
    "def f",
    "(",
    ")",
    ":",
    "\n",
    "\n  ",
    "\n    ",
    "class A",
    "if x",
    "else",
    "@d",
    "x",
    "=",
    "'",
    '"""',
    "é",
    "\r",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
def test_nodes_of_any_near_program_come_in_the_order_of_their_starts(text: str) -> None:
    structure = parse_structure(text, "python")
    for nodes in (structure.statements, structure.functions, structure.classes):
        assert [node.span.start for node in nodes] == sorted(node.span.start for node in nodes)


@pytest.mark.parametrize("language_id", ["rust", "plaintext"])
def test_other_languages_have_no_structure(language_id: str) -> None:
    assert parse_structure("def f(): pass", language_id) == Structure()


@pytest.mark.parametrize(
    ("marker", "name"),
    [("return g", "A.f"), ("pass", "A.f.g"), ("@cached", "A.f"), ("...", "A.B.h"), ("class B", None)],
)
def test_the_enclosing_function_is_the_innermost_one(marker: str, name: str | None) -> None:
    function = parse_structure(NESTED, "python").enclosing_function(NESTED.index(marker))
    assert (function.name if function else None) == name


def test_statement_starts_include_nested_statements_but_no_clauses() -> None:
    program = "@d\ndef f():\n  if a: b\n  else:\n    c\n"
    marks = ["@d", "def", "if", "b", "c"]
    assert statement_starts(program, "python") == [program.index(mark) for mark in marks]


def test_statement_starts_of_other_languages_are_their_lines_without_indentation() -> None:
    assert statement_starts("fn f() {\n    g();\n\n}\r\nfn h", "rust") == [0, 19, 22]


def test_statement_starts_of_a_text_that_is_all_indented_are_its_lines_that_are_not_blank() -> None:
    assert statement_starts("  a\n\n    b\n", "rust") == [2, 9]


def test_a_python_file_without_any_statement_is_cut_at_lines() -> None:
    assert statement_starts("# a\n# b\n", "python") == [0, 4]


def test_an_empty_text_has_no_statement_starts() -> None:
    assert statement_starts("", "python") == []


@pytest.mark.parametrize(
    "program",
    [
        "(" * 10_000 + "1" + ")" * 10_000,
        "(" * 10_000,
        "(" * 10_000 + ")" * 9_999,
        "".join(" " * depth + "def f():\n" for depth in range(1_000)),
        "if x: " * 10_000,
        "x = " + "-" * 10_000 + "1",
        "x" + ".a" * 10_000,
        "x = " + "[lambda: " * 10_000,
    ],
    ids=["closed", "open", "one open", "functions", "ifs", "signs", "attributes", "lambdas"],
)
def test_deep_nesting_is_walked_without_recursion(program: str) -> None:
    assert ("function", "last") in names(parse_structure(f"def last(): pass\n{program}\n", "python").functions)


def test_two_megabytes_are_parsed_in_seconds() -> None:
    program = "def f(a):\n    if a:\n        return a + 'é'\n    x = [1, 2, (3, 4)]\n" * 30_000
    start = process_time()
    assert len(parse_structure(program, "python").functions) == 30_000
    assert process_time() - start < 20


def test_a_function_that_ends_with_a_comment_ends_before_the_line_end() -> None:
    text = "def f():\r\n    return 0  # nothing\r\n\r\nx = 1\r\n"
    (function,) = parse_structure(text, "python").functions

    assert text[function.span.start : function.span.end].endswith("# nothing")
