"""Alpha-renaming: a program takes over the names that another one uses in the same roles."""

from __future__ import annotations

from risk_lsp.edits.lexemes import LineAligner
from risk_lsp.edits.renaming import bound_names, renamed_like

MODEL = "def total(numbers):\n    result = 0\n    for number in numbers:\n        result -= number\n    return result\n"


def renamed(program: str, model: str = MODEL, keep: tuple[str, ...] = ("total",)) -> str:
    return renamed_like(program, model, LineAligner(), keep)[0]


def test_names_are_matched_by_their_roles() -> None:
    program = "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"

    assert renamed(program) == MODEL.replace("-=", "+=")


def test_names_that_trade_places_are_told_apart() -> None:
    program = MODEL.replace("result", "#").replace("numbers", "result").replace("#", "numbers")

    assert renamed(program) == MODEL


def test_a_parameter_becomes_the_parameter_in_its_place() -> None:
    assert renamed("def total(xs):\n    s = xs\n    return s\n", "def total(ys):\n    return ys\n").startswith(
        "def total(ys):"
    )


def test_attributes_keep_their_names() -> None:
    program = "def total(xs):\n    s = xs.s\n    return s\n"

    assert "xs.s" not in renamed(program) and ".s\n" in renamed(program)


def test_names_in_formatted_strings_change_too() -> None:
    assert "{result}" in renamed("def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return f'{s}'\n")


def test_a_name_that_the_program_only_uses_is_never_hidden() -> None:
    program = "def total(xs):\n    s = number\n    for x in xs:\n        s += x\n    return s\n"

    assert "for number in" not in renamed(program)


def test_what_must_be_kept_is_kept() -> None:
    assert renamed("def total(xs):\n    return xs\n", "def other(ys):\n    return ys\n").startswith("def total(ys)")


def test_two_names_may_become_one_where_the_model_uses_a_name_again() -> None:
    model = "def f(text):\n    text = text.split()\n    return text\n"
    program = "def f(line):\n    words = line.split()\n    return sorted(words)\n"

    assert model.replace("return text", "return sorted(text)") in renamed_like(program, model, LineAligner(), ["f"])


def test_the_program_itself_comes_last() -> None:
    program = "def total(xs):\n    return xs\n"

    assert renamed_like(program, MODEL, LineAligner(), ["total"])[-1] == program


def test_methods_and_imports_are_not_own_names() -> None:
    assert bound_names("import os\nclass A:\n    def m(self, x):\n        y = os.sep\n") == {"x", "y"}
