"""The embedded default needs neither torch nor transformers; what needs them says how to get them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_WITHOUT = """
import sys
sys.path[:] = {path!r}
for name in ("torch", "transformers", "sklearn", "scipy", "matplotlib", "openai"):
    sys.modules[name] = None  # importing it raises ModuleNotFoundError
from risk_lsp.cli import main
sys.exit(main(sys.argv[1:]))
"""


def without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _WITHOUT.format(path=sys.path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "a.py"
    file.write_text("def f(a, b):\n    return a - b\n")
    return file


@pytest.mark.parametrize("command", [["check"], ["check", "--format", "json"], ["query"], ["report"]])
def test_the_embedded_default_answers(program: Path, command: list[str]) -> None:
    ended = without_extras(*command, str(program), *(["L2"] if command == ["query"] else []))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert program.name in ended.stdout


def test_the_self_test_passes_and_says_what_is_not_installed() -> None:
    ended = without_extras("doctor")

    assert ended.returncode == 0 and "self-test" in ended.stdout


def test_a_model_that_needs_more_says_what_to_install(model_folder: Callable[..., Path], tmp_path: Path) -> None:
    program = """
import sys
sys.path[:] = {path!r}
sys.modules["torch"] = None
from risk_lsp.model.code_model import CodeModel
CodeModel.load({folder!r})
"""
    command = [sys.executable, "-c", program.format(path=sys.path, folder=str(model_folder("GPT2")))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "GPT2 needs torch, which is not installed (pip install 'risk-lsp[models]')" in ended.stderr


@pytest.mark.parametrize(
    "command", ["train model corpus run --minutes 1", "probe fit out --model m --data d"], ids=["model", "probe"]
)
def test_commands_that_train_say_what_to_install(command: str) -> None:
    ended = without_extras(*command.split())

    assert ended.returncode == 2 and "pip install 'risk-lsp[train]'" in ended.stderr
