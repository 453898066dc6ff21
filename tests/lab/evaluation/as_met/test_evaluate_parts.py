"""`risk-lsp evaluate --parts` from end to end, with two bundles on small problems of two sources."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.lab.evaluation.as_met.conditions import ASKED, FEWEST_PROBLEMS, LABELLED, source_fold
from risk_lsp.lab.training.labelled_programs import LabelledProgram
from risk_lsp.lab.training.training_documents import is_measured_alone
from tests.lab.training.makers import probe_data, toy_programs, write_labelled, write_records
from tests.probe.tiny import save_model

PROBLEMS = 48
PARTS = ("sources", "conditions", "modules", "real-bugs", "well-kept", "invariance")


def labelled() -> list[LabelledProgram]:
    """Half of the problems are of one source; of all it is known what was asked."""
    return [
        replace(each, source="one" if int(each.group.split("/")[1]) % 2 else "two", asked="Add the numbers.")
        for each in toy_programs(PROBLEMS)
    ]


def save_bugs(folder: Path) -> None:
    bug = "def f(x):\n    y = x - 1\n    return y\n"
    records = [
        {
            "group": f"bug/{number}",
            "program": bug,
            "repaired": bug.replace("-", "+"),
            "prompt_lines": 0,
            "err": None,
            "lines_changed": 1,
            "n_lines": 3,
        }
        for number in range(12)
    ]
    write_records(folder / "repairs_condefects.jsonl.xz", records)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, bugs, two bundles, and the report on the first of them, with the second added later."""
    folder = tmp_path_factory.mktemp("evaluation")
    write_labelled(labelled(), folder / "programs.jsonl")
    save_bugs(folder)
    fit = ("--model", save_model(folder / "model"), "--data", folder / "programs.jsonl", "--rate", "1e-3")
    assert main(["probe", "fit", str(folder / "first"), *map(str, fit), "--injected", "8"]) == 0
    shutil.copytree(folder / "first", folder / "second")
    manifest = json.loads((folder / "second/manifest.json").read_text("utf-8"))
    (folder / "second/manifest.json").write_text(json.dumps({**manifest, "name": "second"}))
    assert evaluate(folder, "first", *PARTS) == 0
    assert evaluate(folder, "second", "invariance") == 0
    return folder


def evaluate(folder: Path, bundle: str, *parts: str) -> int:
    given = (folder / "out", "--data", folder / "programs.jsonl", "--bundle", folder / bundle, "--bugs", folder)
    options = ("--cache", folder / "cache", "--texts", "8", "--quick", "--parts", ",".join(parts))
    return main(["evaluate", *map(str, (*given, *options))])


def found(folder: Path) -> dict[str, Any]:
    parts: dict[str, Any] = json.loads((folder / "out/evaluation.json").read_text("utf-8"))["parts"]
    return parts


def test_each_part_has_figures_of_the_bundle_and_of_what_stands_beside_it(folder: Path) -> None:
    levels = ["first", "trivial features"]

    columns = {part: list(figures["columns"]) for part, figures in found(folder).items()}

    assert columns == {
        **{part: [*levels, "line length"] for part in ("sources", "conditions", "modules")},
        "real-bugs": [*levels, "line length", "random order"],
        "well-kept": levels,
        "invariance": [*levels, "second"],
    }


def test_each_source_is_left_out_and_the_mean_is_also_given_with_and_without_the_statement(folder: Path) -> None:
    rows = found(folder)["sources"]["columns"]["first"]

    assert list(rows) == ["mean", "mean, asked", "mean, bare", "one", "two"]
    mean = np.mean([rows[name]["line_auc"][0] for name in ("one", "two")])
    assert rows["mean"]["line_auc"][0] == pytest.approx(mean, abs=1e-4)  # figures have four places


def test_a_source_with_few_known_fixes_is_learnt_from_and_not_left_out(folder: Path, tmp_path: Path) -> None:
    more = [replace(each, source="three") for each in toy_programs(PROBLEMS + FEWEST_PROBLEMS)[2 * PROBLEMS :]]
    write_labelled([*labelled(), *(each for each in more if each.passed)], tmp_path / "programs.jsonl")
    given = (tmp_path, "--data", tmp_path / "programs.jsonl", "--bundle", folder / "first")

    assert main(["evaluate", *map(str, given), "--parts", "sources", "--texts", "8", "--quick"]) == 0

    parts = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))["parts"]
    assert parts["sources"]["about"]["programs"]["three"] == FEWEST_PROBLEMS
    assert [row for row in parts["sources"]["columns"]["first"] if "mean" not in row] == ["one", "two"]


def test_bundles_that_are_the_same_have_the_same_figures(folder: Path) -> None:
    columns = found(folder)["invariance"]["columns"]

    assert columns["first"] == columns["second"]


def test_the_report_has_a_section_of_each_part(folder: Path) -> None:
    report = (folder / "out/evaluation.md").read_text("utf-8")

    assert re.findall("^## (.*)$", report, re.MULTILINE) == [
        "Sources held out",
        "With and without the statement",
        "Alone and inside a module",
        "Real bugs",
        "Well-kept code",
        "What does not matter",
    ]


def test_only_bugs_that_nothing_learns_from_are_measured(folder: Path) -> None:
    measured = sum(map(is_measured_alone, (f"bug/{number}" for number in range(12))))

    assert found(folder)["real-bugs"]["about"] == {"bugs": {"condefects": measured}}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--parts", "folds,weather"), "no part 'weather'"),
        (("--parts", "real-bugs"), "--bugs"),
        (("--texts", "0"), "--texts"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert main(["evaluate", str(tmp_path), "--data", str(tmp_path), *options]) == 2
    assert said in capsys.readouterr().err


def test_one_source_alone_cannot_be_left_out(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_labelled([replace(each, source="one") for each in labelled()], tmp_path / "programs.jsonl")
    given = ("--data", tmp_path / "programs.jsonl", "--bundle", folder / "first", "--parts", "sources")

    assert main(["evaluate", str(tmp_path), *map(str, given)]) == 2
    assert "two sources" in capsys.readouterr().err


def test_figures_that_are_none_are_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evaluation.json").write_text("[1")

    assert main(["evaluate", str(tmp_path), "--data", str(folder / "programs.jsonl")]) == 2
    assert "evaluation.json holds no figures" in capsys.readouterr().err


def test_a_source_is_judged_by_a_probe_that_saw_neither_its_problems_nor_any_copy() -> None:
    programs = [
        replace(toy_programs(1)[0], group=group, source=source)
        for group, source in (("a", "one"), ("b", "one"), ("a", "two"), ("c", "two"), ("b", "one"), ("c", "two"))
    ]
    conditions = np.array([LABELLED] * 4 + [ASKED] * 2)
    fold = source_fold(probe_data(*programs), conditions, "one")

    assert fold.apart is not None
    assert fold.held_out.tolist() == [True, True, False, False, True, False]
    assert (~(fold.held_out | fold.apart)).tolist() == [False, False, False, True, False, False]


def test_a_bundle_whose_model_was_tuned_is_not_fitted_again_without_what_it_saw(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned = shutil.copytree(folder / "first", tmp_path / "tuned")
    manifest = json.loads((tuned / "manifest.json").read_text())
    manifest["trained_on"]["model"]["tuned"] = {"split": "train"}
    (tuned / "manifest.json").write_text(json.dumps(manifest))
    words = ("evaluate", tmp_path / "report", "--data", folder / "programs.jsonl", "--bundle", tuned)

    assert main([*map(str, words), "--parts", "sources"]) == 2
    assert "sources fits probes without some of the programs" in capsys.readouterr().err
