"""`risk-lsp evaluate` from end to end, on a few small problems of two benchmarks."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.lab.evaluation import cross_validation
from risk_lsp.lab.span_tables import LEVELS
from risk_lsp.lab.training.labelled_programs import LabelledProgram
from tests.chat_server import ChatServer, chat_server
from tests.lab.training.makers import program, toy_programs, write_labelled, write_records

pytest.importorskip("openai")

PROBLEMS = 40


class Made(NamedTuple):
    folder: Path
    asked: list[str]

    @property
    def found(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / "evaluation.json").read_text("utf-8"))
        return value

    @property
    def report(self) -> str:
        return (self.folder / "evaluation.md").read_text("utf-8")


def labelled() -> list[LabelledProgram]:
    """Two programs a problem by one model, half of the problems in one benchmark; and one whose fix nobody knows."""
    programs = [
        replace(each, benchmark="one" if int(each.group.split("/")[1]) % 2 else "two", task_id=each.group, model="m")
        for each in toy_programs(PROBLEMS)
    ]
    return [*programs, replace(program("def f():\n    return 0\n", edited=None, id="unknown"), benchmark="two")]


def suspicious(prompt: str) -> str:
    """A model that suspects every subtraction, and answers in rows."""
    rows = re.findall(r"^L(\d+) +(.*)$", prompt, re.MULTILINE)
    return "Sure:\n" + "\n".join(f"L{number}: {0.9 if '-' in code else 0.1}" for number, code in rows)


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with chat_server(suspicious) as server:
        yield server


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, server: ChatServer) -> Made:
    folder = tmp_path_factory.mktemp("evaluation")
    data, samples, attempts = folder / "programs.jsonl", folder / "samples.jsonl", folder / "attempts.json"
    write_labelled(labelled(), data)
    write_records(samples, [sample(each) for each in labelled()])
    attempts.write_text(json.dumps([{"variant": "a wider one", "line AUC": 0.7, "seconds": 12.0}]))
    bundle = folder / "bundle"
    fit = ("--model", model_folder, "--data", data, "--rate", "1e-3", "--injected", "8")
    assert main(["probe", "fit", str(bundle), *map(str, fit)]) == 0
    asking = ("--reflect-model", "tiny", "--base-url", server.url, "--samples", samples, "--attempts", attempts)
    assert evaluate(folder / "out", folder / "cache", *asking) == 0
    return Made(folder / "out", [request["messages"][0]["content"] for request in server.asked])


def evaluate(out: Path, cache: Path, *more: object) -> int:
    """Measure the bundle beside `out` on the programs there."""
    given = (out, "--data", out.parent / "programs.jsonl", "--bundle", out.parent / "bundle", "--cache", cache)
    return main(["evaluate", *map(str, given), "--parts", "folds", "--quick", *map(str, more)])


def sample(each: LabelledProgram) -> dict[str, Any]:
    return {
        "task_id": each.task_id or each.group,
        "benchmark": each.benchmark,
        "group": each.group,
        "model": "m",
        "program": each.text,
        "prompt_lines": 0,
    }


TECHNIQUES = ["base rate", "trivial features", "token probability", "multisampling", "reflective prompting", "probe"]


def test_every_technique_is_measured_at_every_level_on_every_kind_of_split(made: Made) -> None:
    for levels in (made.found["five_folds"], made.found["unread"], *made.found["benchmarks_out"].values()):
        assert {level: list(levels[level]["techniques"]) for level in levels} == dict.fromkeys(LEVELS, TECHNIQUES)


def test_each_benchmark_is_left_out_once_and_judged_alone(made: Made) -> None:
    measured = {name: levels["program"]["programs"] for name, levels in made.found["benchmarks_out"].items()}

    assert measured == {"one": PROBLEMS, "two": PROBLEMS + 1}


def test_the_mean_over_the_benchmarks_lies_between_them_and_has_an_interval(made: Made) -> None:
    each = [levels["line"]["techniques"]["probe"]["auc"][0] for levels in made.found["benchmarks_out"].values()]
    value, low, high = made.found["benchmarks_mean"]["line"]["probe"]["auc"]

    assert value == pytest.approx(sum(each) / len(each), abs=1e-4)
    assert low - 0.05 <= value <= high + 0.05


def test_a_program_whose_fix_is_unknown_counts_as_a_program_only(made: Made) -> None:
    levels = made.found["five_folds"]

    assert levels["program"]["programs"] == 2 * PROBLEMS + 1
    assert levels["line"]["programs"] == 2 * PROBLEMS


def test_figures_come_with_intervals_that_hold_them(made: Made) -> None:
    for name, (value, low, high) in made.found["five_folds"]["line"]["techniques"]["probe"].items():
        assert low - 0.05 <= value <= high + 0.05, name


def test_an_isotonic_map_is_measured_beside_platts(made: Made) -> None:
    rival = made.found["five_folds"]["line"]["techniques"]["token probability"]

    assert rival["bss_raw"][0] < 0 < rival["ece_isotonic"][0] < rival["ece_raw"][0]
    assert rival["bss_raw"][0] < rival["bss_isotonic"][0] != rival["bss_platt"][0]


def test_always_the_base_rate_has_no_skill(made: Made) -> None:
    figures = made.found["five_folds"]["line"]["techniques"]["base rate"]

    assert -0.1 < figures["bss_raw"][0] <= 0
    assert "auc" not in figures


def test_a_model_that_knows_the_answer_is_perfect_at_reflective_prompting(made: Made) -> None:
    figures = made.found["five_folds"]["line"]["techniques"]["reflective prompting"]

    assert figures["auc"][0] > 0.9
    assert figures["within_auc"][0] == 1.0


def test_a_line_that_the_sibling_lacks_is_one_that_multisampling_suspects(made: Made) -> None:
    figures = made.found["five_folds"]["line"]["techniques"]["multisampling"]

    # Of two programs that differ in the wrong line, both lack the other's: within the failing one that is the order.
    assert figures["within_auc"][0] == 1.0


def test_the_report_shows_tables_readings_plots_and_what_was_tried(made: Made) -> None:
    report = made.report

    for heading in (
        "## What was measured",
        "### Lines",
        "### Statements",
        "## Benchmarks held out",
        "## What was tried",
    ):
        assert heading in report
    assert "| a wider one | .700 | 12 |" in report
    for place in re.findall(r"!\[.*?\]\((.*?)\)", report):
        assert (made.folder / place).read_bytes().startswith(b"\x89PNG")
    assert all(line.count("|") > 2 for line in report.splitlines() if line.startswith("|"))


def test_the_report_names_no_place_on_this_machine(made: Made) -> None:
    assert str(made.folder.parent.parent) not in made.report + json.dumps(made.found)


def test_what_was_answered_is_not_asked_again_and_what_was_read_is_not_read_again(
    made: Made, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.asked.clear()
    answers = made.folder / "reflection.jsonl"
    answers.write_bytes(answers.read_bytes()[:-20])  # as if killed while writing
    before = made.found
    source = made.folder.parent
    again = ("--reflect-model", "tiny", "--base-url", server.url, "--samples", source / "samples.jsonl")
    given = (made.folder, "--data", source / "programs.jsonl", "--bundle", source / "bundle", "--parts", "folds")
    assert main(["evaluate", *map(str, (*given, "--quick", *again)), "--cache", str(source / "cache")]) == 0

    assert len(server.asked) == 1
    assert "read" not in capsys.readouterr().err.replace("already", "")
    assert made.found["five_folds"] == before["five_folds"]


def test_an_endpoint_without_a_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path), "--data", str(tmp_path), "--base-url", "http://localhost:1/v1"]) == 2
    assert "--reflect-model" in capsys.readouterr().err


def test_a_run_with_the_same_cache_fits_no_probe_again(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_validation, "fit_probe", None)

    assert evaluate(made.folder.parent / "again", made.folder.parent / "cache") == 0

    again = Made(made.folder.parent / "again", []).found
    assert again["five_folds"]["line"]["techniques"]["probe"] == made.found["five_folds"]["line"]["techniques"]["probe"]


def test_the_figures_of_a_bundles_manifest_are_those_that_the_report_gives_for_it(made: Made, tmp_path: Path) -> None:
    source = made.folder.parent
    bundle = shutil.copytree(source / "bundle", tmp_path / "bundle")
    assert main(["probe", "evaluate", str(bundle), "--data", str(source / "programs.jsonl"), "--update"]) == 0
    figures = json.loads((bundle / "manifest.json").read_text("utf-8"))["figures"]["levels"]

    for level, measured in made.found["shipped"].items():
        for technique, reported in measured["techniques"].items():
            for name in ("auc", "bss_raw", "ece_raw", "bss_platt", "ece_platt"):
                assert figures[level][technique][name] == reported[name][0], (level, technique, name)


def test_a_damaged_probe_of_a_fold_is_named(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(made.folder.parent / "cache", tmp_path / "cache")
    for file in (tmp_path / "cache/folds").iterdir():
        file.write_bytes(file.read_bytes()[:100])

    assert evaluate(made.folder.parent / "damaged", tmp_path / "cache") == 2

    assert re.search(r"folds/\S+\.npz is damaged", capsys.readouterr().err)


def test_a_fold_may_have_fewer_seeds_than_the_bundle_which_the_report_says(made: Made) -> None:
    assert evaluate(made.folder.parent / "seeds", made.folder.parent / "cache", "--members", "2") == 0

    assert "from 2 seeds" in Made(made.folder.parent / "seeds", []).report
    assert "from one seed" in made.report


def test_a_probe_without_statistics_is_measured_without_the_models_head_where_no_rival_is_wanted(
    made: Made, tmp_path: Path, model_folder: Path
) -> None:
    shutil.copy(made.folder.parent / "programs.jsonl", tmp_path)
    fit = ("--model", model_folder, "--data", tmp_path / "programs.jsonl", "--no-statistics", "--rate", "1e-3")
    assert main(["probe", "fit", str(tmp_path / "bundle"), *map(str, fit)]) == 0

    assert evaluate(tmp_path / "with", tmp_path / "cache", "--members", "1") == 0
    assert evaluate(tmp_path / "without", tmp_path / "cache", "--members", "1", "--no-rival") == 0

    techniques = {
        name: Made(tmp_path / name, []).found["five_folds"]["line"]["techniques"] for name in ("with", "without")
    }
    assert set(techniques["with"]) - set(techniques["without"]) == {"token probability"}
    assert techniques["without"]["probe"] == techniques["with"]["probe"]


def test_a_run_without_rivals_leaves_the_tables_that_have_them(made: Made) -> None:
    folder = shutil.copytree(made.folder, made.folder.parent / "kept")

    assert evaluate(folder, made.folder.parent / "cache", "--no-rival", "--members", "2") == 0

    after, before = Made(folder, []).found, made.found
    assert {**after, "parts": None} == {**before, "parts": None}
    assert after["parts"]["folds"]["columns"]["bundle"] != before["parts"]["folds"]["columns"]["bundle"]


def test_no_seeds_at_all_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path), "--data", str(tmp_path), "--members", "0"]) == 2
    assert "--members" in capsys.readouterr().err
