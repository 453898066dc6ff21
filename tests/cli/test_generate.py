"""`risk-lsp generate` with the embedded default."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_lsp.cli.command_line import main

PROGRAM = 'def largest(numbers):\n    """The largest of some numbers."""\n    pass\n\n\nprint(largest([1]))\n'


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM, encoding="utf-8")
    return file


def generate(*arguments: str) -> int:
    return main(["generate", *arguments, "--threads", "1", "--tokens", "24", "--bundle", "built-in"])


def test_the_body_of_a_function_is_a_diff_with_its_risk(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = generate(f"{program}:1", "--samples", "3")
    out, err = capsys.readouterr()

    assert code == 0
    assert out.startswith("--- a/program.py\n+++ b/program.py\n") and "\n-    pass\n" in out
    assert "% likely to need an edit" in err
    assert program.read_text("utf-8") == PROGRAM


def test_the_same_seed_gives_the_same_text(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate(f"{program}:1", "--samples", "3", "--seed", "4")
    first = capsys.readouterr().out
    generate(f"{program}:1", "--samples", "3", "--seed", "4")

    assert capsys.readouterr().out == first


@pytest.mark.parametrize(("command", "code", "words"), [("true", 0, "passes"), ("false", 1, "fails")])
def test_tests_decide_the_exit_code(
    command: str, code: int, words: str, program: Path, sandboxed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = generate(f"{program}:1", "--tests", command, "--workspace", str(program.parent))

    assert found == code
    assert f"{words} the tests; of all, " in capsys.readouterr().err


@pytest.mark.parametrize("line", ["", ":70"])
def test_a_line_that_is_not_there_is_bad_input(line: str, program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(f"{program}{line}") == 2
    assert "line" in capsys.readouterr().err
