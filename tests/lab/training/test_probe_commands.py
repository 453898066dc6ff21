"""The probe commands from end to end: a model and labelled programs in, a bundle with honest figures out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from risk_lsp.cli.command_line import build_parser
from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.probe_commands import BEGIN, END
from risk_lsp.lab.training.training_documents import split_of
from risk_lsp.probe.manifest import Manifest, read_manifest
from risk_lsp.probe.token_hazards import Architecture
from risk_lsp.risk.engine import Engine
from tests.lab.training.makers import group_in, program, toy_programs, write_labelled

PROBLEMS = 60


class Made(NamedTuple):
    bundle: Path
    data: Path
    plot: Path
    readme: Path
    printed: str

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.bundle)


def risk_lsp(*words: object) -> int:
    args = build_parser().parse_args([str(word) for word in words])
    return int(args.run(args))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "programs.jsonl"
    unknown = program("def f():\n    return 0\n", edited=None, group="toy/0", id="unknown")
    write_labelled([*toy_programs(PROBLEMS), unknown], path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, data: Path) -> Made:
    """A bundle that was fitted, then measured."""
    folder = tmp_path_factory.mktemp("made")
    bundle, plot, readme = folder / "toy", folder / "reliability.png", folder / "README.md"
    readme.write_text(f"# Figures\n{BEGIN}\n{END}\nThe end.\n")
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *values, **_: printed.append(" ".join(map(str, values))))
        assert (
            risk_lsp("probe", "fit", bundle, "--model", model_folder, "--data", data, "--copy-model", "--rate", 1e-3)
            == 0
        )
        measure = ("probe", "evaluate", bundle, "--data", data, "--update", "--readme", readme, "--plot", plot)
        assert risk_lsp(*measure) == 0
    return Made(bundle, data, plot, readme, "\n".join(printed))


def test_the_bundle_holds_its_model_and_needs_no_other(made: Made, tmp_path: Path) -> None:
    moved = shutil.copytree(made.bundle, tmp_path / "moved")

    assert Engine.load(moved).score("x = 1\n").probability(0, 5) >= 0


def test_the_bundle_is_named_after_its_folder_and_says_how_it_was_made(made: Made) -> None:
    assert made.manifest.name == "toy"
    assert made.manifest.command == (
        "risk-lsp probe fit --architecture hazard --hidden 32 --rate 0.001 --copy-model --per-group 30 --seed 1"
    )
    assert made.manifest.recipe == {
        "architecture": "hazard",
        "hidden": 32,
        "rate": 0.001,
        "averaging": 0.0,
        "ranking": 0.0,
        "members": 1,
        "seed": 1,
        "layers": [1, 2],
        "statistics": True,
        "injected": 0,
        "per_group": 30,
        "reading": "verbatim",
    }


def test_nothing_in_the_manifest_names_a_place_on_this_machine(made: Made) -> None:
    assert str(made.bundle.parent.parent) not in json.dumps(made.manifest.to_json())


def test_the_middle_and_the_last_layer_are_tapped_by_default(made: Made) -> None:
    assert made.manifest.layers == (1, 2)


def test_the_manifest_counts_what_the_probe_learnt_from_by_split(made: Made) -> None:
    trained_on = made.manifest.trained_on
    problems = [split_of(f"toy/{index}") for index in range(PROBLEMS)]

    assert trained_on["probe"]["problems"] == problems.count("train")
    assert trained_on["calibration"] == {
        "problems": problems.count("calibration"),
        "programs": 2 * problems.count("calibration"),
        "failing": problems.count("calibration"),
        "without_known_fix": 0,
        "by_benchmark": {"toy": 2 * problems.count("calibration")},
    }


def test_the_figures_are_those_of_the_test_problems_only(made: Made) -> None:
    tested = [split_of(f"toy/{index}") for index in range(PROBLEMS)].count("test")

    assert made.manifest.figures["programs"] == 2 * tested
    assert made.manifest.figures["levels"]["line"]["problems"] == tested


def test_the_probe_has_found_the_edited_lines_of_problems_it_never_saw(made: Made) -> None:
    line = made.manifest.figures["levels"]["line"]

    assert line["probe"]["auc"] > 0.8
    assert line["probe"]["auc"] > line["token probability"]["auc"]


def test_the_reference_table_counts_every_test_line(made: Made) -> None:
    counted = sum(row["n"] for row in made.manifest.reference["line"])

    assert counted == made.manifest.figures["levels"]["line"]["n"]


def test_measuring_changes_figures_and_reference_and_nothing_else(made: Made, tmp_path: Path) -> None:
    bundle = shutil.copytree(made.bundle, tmp_path / "toy")
    before = read_manifest(bundle)
    assert risk_lsp("probe", "evaluate", bundle, "--data", made.data, "--update") == 0

    assert read_manifest(bundle) == before


def test_the_plot_is_a_png(made: Made) -> None:
    assert made.plot.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_the_table_stands_between_the_markers_and_is_printed(made: Made) -> None:
    before, _, rest = made.readme.read_text("utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)

    assert (before, after) == ("# Figures\n", "\nThe end.\n")
    assert "| line | probe |" in table and table.strip() in made.printed


def test_a_probe_can_be_fitted_again_to_the_model_inside_its_bundle(made: Made, tmp_path: Path) -> None:
    bundle = shutil.copytree(made.bundle, tmp_path / "toy")
    again = ("--model", bundle / "model", "--data", made.data, "--copy-model", "--seed", "2")
    assert risk_lsp("probe", "fit", bundle, *again) == 0

    assert Engine.load(bundle).manifest.host == made.manifest.host
    assert read_manifest(bundle).probe_hash != made.manifest.probe_hash


def test_a_probe_can_be_kept_and_calibrated_again(made: Made, tmp_path: Path) -> None:
    given = ("--model", made.bundle / "model", "--data", made.data, "--copy-model", "--rate", 1e-3)
    assert risk_lsp("probe", "fit", tmp_path / "toy", *given, "--keep", made.bundle) == 0

    again = read_manifest(tmp_path / "toy")
    assert again.probe_hash == made.manifest.probe_hash
    assert (again.calibration, again.command) == (made.manifest.calibration, made.manifest.command)


def test_a_probe_of_other_options_is_not_kept(made: Made, tmp_path: Path) -> None:
    given = ("--model", made.bundle / "model", "--data", made.data, "--layers", "1", "--keep", made.bundle)

    with pytest.raises(BadInput, match="holds no hazard probe of 19 features"):
        risk_lsp("probe", "fit", tmp_path / "toy", *given)


def test_of_the_programs_those_that_a_list_names_are_learnt_from(
    model_folder: Path, data: Path, tmp_path: Path
) -> None:
    named = [each.id for each in toy_programs(PROBLEMS) if each.group != group_in("train")]
    (tmp_path / "ids.txt").write_text("\n".join(named))
    fit = ("probe", "fit", tmp_path / "bundle", "--model", model_folder, "--data", data, "--only", tmp_path / "ids.txt")
    assert risk_lsp(*fit) == 0

    problems = [split_of(f"toy/{index}") for index in range(PROBLEMS)]
    assert read_manifest(tmp_path / "bundle").trained_on["probe"]["problems"] == problems.count("train") - 1


@pytest.mark.parametrize(("architecture", "options"), [("lines", ()), ("hazard", ("--no-statistics", "--layers", "1"))])
def test_every_kind_of_probe_is_fitted_and_measured_by_the_same_commands(
    model_folder: Path, data: Path, tmp_path: Path, architecture: Architecture, options: tuple[str, ...]
) -> None:
    bundle = tmp_path / "bundle"
    fit = ("probe", "fit", bundle, "--model", model_folder, "--data", data, "--architecture", architecture, *options)
    assert risk_lsp(*fit) == 0
    assert risk_lsp("probe", "evaluate", bundle, "--data", data, "--update") == 0

    manifest = read_manifest(bundle)
    assert manifest.architecture == architecture
    assert manifest.host.kind == "folder" and manifest.host.location == str(model_folder)
    assert manifest.figures["levels"]["token"]["probe"]["auc"] > 0.5


def test_without_a_rival_a_large_model_is_run_no_further_than_the_probe_reads(
    model_folder: Path, data: Path, tmp_path: Path
) -> None:
    fit = ("--model", model_folder, "--data", data, "--no-statistics", "--layers", "1")
    assert risk_lsp("probe", "fit", tmp_path / "bundle", *fit) == 0
    assert risk_lsp("probe", "evaluate", tmp_path / "bundle", "--data", data, "--update", "--no-rival") == 0

    assert list(read_manifest(tmp_path / "bundle").figures["levels"]["line"]) == ["n", "problems", "base_rate", "probe"]


def test_a_probe_that_is_fitted_to_the_normal_form_reads_it_ever_after(
    model_folder: Path, data: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    fit = ("probe", "fit", bundle, "--model", model_folder, "--data", data, "--reading", "normal-1")
    assert risk_lsp(*fit) == 0
    assert risk_lsp("probe", "evaluate", bundle, "--data", data, "--update") == 0

    manifest = read_manifest(bundle)
    assert manifest.reading == "normal-1" and " --reading normal-1 " in manifest.command
    assert manifest.figures["levels"]["line"]["probe"]["auc"] > 0.5
    engine = Engine.load(bundle)
    assert engine.score("x = 1  # one\n").probability(8, 12) == 0.0


@pytest.mark.parametrize(
    ("layers", "reason"), [("1,x", "not a list of numbers"), ("3", "a layer that the model lacks"), ("-1,1", "lacks")]
)
def test_layers_that_are_not_there_are_refused(model_folder: Path, data: Path, layers: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        risk_lsp("probe", "fit", "/nowhere", "--model", model_folder, "--data", data, f"--layers={layers}")


def test_programs_of_too_few_problems_are_refused(model_folder: Path, tmp_path: Path) -> None:
    write_labelled(toy_programs(1), tmp_path / "few.jsonl")

    with pytest.raises(BadInput, match="programs of more problems"):
        risk_lsp("probe", "fit", tmp_path / "out", "--model", model_folder, "--data", tmp_path / "few.jsonl")
