"""From what `patches build` writes to a bundle around another model: `probe fit --model PATH --data PATCHES`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.edits.hunks import Difference, size_of
from risk_lsp.edits.lexemes import LineAligner, read_code
from risk_lsp.lab.patches.labels import labelled_record
from risk_lsp.lab.patches.programs import Sample
from risk_lsp.lab.patches.release import write_release
from risk_lsp.lab.patches.search import Patch
from risk_lsp.sandbox.verdicts import Problem

PROBLEMS = 60
RIGHT = "def combine_{0}(first, second):\n    result = first\n    return result + second\n"


def record(index: int, program: str, fixed: str | None) -> dict[str, Any]:
    """A labelled program as the build makes it; `fixed` is None where it passed."""
    name = f"toy/{index}"
    problem = Problem(name, "toy", name, "Combine two numbers.", None, "append", "", None, "MIT")
    sample = Sample(
        name, "toy", name, "writer", program, 0, "full", fixed is None, None, False, 1, "somebody/something:f"
    )
    if fixed is None:
        return labelled_record(problem, sample, passed=True)
    hunks = tuple(Difference(read_code(program), read_code(fixed), 0, LineAligner()).hunks())
    return labelled_record(problem, sample, False, Patch(fixed, hunks, size_of(hunks), "passing program"))


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patches")
    records = []
    for index in range(PROBLEMS):
        right = RIGHT.format(index)
        records += [record(index, right, None), record(index, right.replace("+", "-"), right)]
    outcomes = {f"toy/{index}": [1, 1] for index in range(PROBLEMS)}
    write_release(folder, records, 1.0, {"toy": "MIT"}, {}, outcomes)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, patches: Path) -> Path:
    out = tmp_path_factory.mktemp("made") / "stronger"
    fit = ("--model", model_folder, "--data", patches, "--architecture", "lines", "--rate", "1e-3")
    assert main(["probe", "fit", str(out), *map(str, fit)]) == 0
    assert main(["probe", "evaluate", str(out), "--data", str(patches), "--update"]) == 0
    return out


def manifest(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "manifest.json").read_text("utf-8"))
    return found


def test_the_model_is_a_qwen2_with_random_weights(model_folder: Path) -> None:
    assert json.loads((model_folder / "config.json").read_text("utf-8"))["architectures"] == ["Qwen2ForCausalLM"]


def test_the_bundle_says_that_its_labels_are_patches_and_how_good_it_is(bundle: Path) -> None:
    found = manifest(bundle)

    assert found["trained_on"]["labels"] == found["figures"]["labels"] == "smallest verified patch"
    assert found["figures"]["levels"]["line"]["probe"]["auc"] > 0.9


def test_a_check_with_the_bundle_finds_the_wrong_line_first(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "combine.py"
    file.write_text('"""Combine two numbers.\n"""\n' + RIGHT.format(7).replace("+", "-"))
    assert main(["check", "--bundle", str(bundle), "--format", "json", "--no-cache", str(file)]) in (0, 1)
    (report,) = json.loads(capsys.readouterr().out)["files"]

    assert max(range(len(report["lines"])), key=lambda line: report["lines"][line] or 0.0) == 4
