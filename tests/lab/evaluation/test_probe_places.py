"""The level of a bundle's numbers for each kind of text."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from risk_lsp.cli.command_line import build_parser
from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.columns import BundleColumn, Passage, passage_of
from risk_lsp.lab.evaluation.as_met.well_kept import LibraryFile
from risk_lsp.lab.evaluation.probe_commands import (
    factor_for,
    files_at_rest,
    fit_priors,
    generated_prior,
    other_libraries,
)
from risk_lsp.lab.training.training_documents import LIBRARIES_TO_MEASURE
from risk_lsp.probe.manifest import read_manifest
from risk_lsp.risk.engine import Engine
from tests.lab.training.makers import probe_data, program, toy_programs, write_labelled
from tests.probe.tiny import SAMPLE, save_tiny_bundle

FILES = [LibraryFile("some", f"{number}.py", SAMPLE * (number + 1)) for number in range(4)]
TWO_LINES = "x = 1\ny = 2\n"


def mean_line(column: BundleColumn, passages: Sequence[Passage]) -> float:
    return float(np.concatenate([answer.lines for answer in column.answers(passages)]).mean())


@pytest.mark.parametrize("rate", [0.002, 0.05])
def test_the_factor_brings_the_mean_line_to_the_rate(engine: Engine, rate: float) -> None:
    factor = factor_for(rate, engine, FILES)
    risks = [risk.scale(np.full(len(risk.starts), factor)) for risk in engine.score_many([f.text for f in FILES])]
    passages = [passage_of(file.text) for file in FILES]
    lines = [risk.probabilities(*passage.lines.T) for risk, passage in zip(risks, passages, strict=True)]

    assert np.concatenate(lines).mean() == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_rate_that_no_factor_reaches_is_refused(engine: Engine, rate: float) -> None:
    with pytest.raises(BadInput, match="no factor gives the lines of 4 library files"):
        factor_for(rate, engine, FILES)


def test_without_library_files_there_is_no_factor(engine: Engine) -> None:
    with pytest.raises(BadInput, match="0 library files"):
        factor_for(0.002, engine, [])


def test_the_rate_of_generated_text_is_the_weighted_share_of_edited_lines() -> None:
    wrong = program(TWO_LINES, edited=[(0, 1)], id="wrong")
    prior = generated_prior(probe_data(wrong, program(TWO_LINES), weights=[1.0, 3.0]))

    assert (prior.factor, prior.rate, prior.n, prior.measured) == (1.0, 0.125, 4, True)


def test_a_program_without_a_known_fix_counts_no_line() -> None:
    unknown = program(TWO_LINES, edited=None, passed=False)

    assert generated_prior(probe_data(unknown, program(TWO_LINES))).n == 2
    with pytest.raises(BadInput, match="whose fix is known"):
        generated_prior(probe_data(unknown))


def test_changed_lines_are_half_way_between_the_other_two(engine: Engine) -> None:
    data = probe_data(program(TWO_LINES, edited=[(0, 1)]), program(TWO_LINES))
    priors = fit_priors(engine, data, FILES, 0.01)

    assert priors.changed.factor == pytest.approx(priors.at_rest.factor**0.5)
    assert priors.changed.rate == pytest.approx((0.25 * 0.01) ** 0.5)
    assert [priors.generated.measured, priors.changed.measured, priors.at_rest.measured] == [True, False, False]


def test_no_library_that_bundles_are_judged_by_sets_their_level() -> None:
    libraries = other_libraries()

    assert "numpy" in libraries
    assert not {*LIBRARIES_TO_MEASURE, "python", "risk-lsp"} & set(libraries)


def test_files_at_rest_come_from_many_libraries_and_none_is_long() -> None:
    files = files_at_rest(20)

    assert len(files) == 20 and len({file.library for file in files}) > 5
    assert all(file.text.count("\n") <= 500 for file in files)


def test_the_command_writes_the_manifest_and_the_product_follows_it(
    tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = save_tiny_bundle(tmp_path / "tiny", model_folder)
    before = read_manifest(bundle)
    data = tmp_path / "programs.jsonl"
    write_labelled(toy_programs(60), data)
    words = ["probe", "places", bundle, "--data", data, "--rate-at-rest", 0.004, "--files", 6]
    args = build_parser().parse_args([str(word) for word in words])
    assert args.run(args) == 0

    after = read_manifest(bundle)
    assert after.places is not None and after.places.at_rest.rate == 0.004
    assert {**before.to_json(), "places": after.places.to_json()} == after.to_json()
    assert "at_rest: factor" in capsys.readouterr().out
    column = BundleColumn(Engine.load(bundle))
    passages = [passage_of(file.text) for file in files_at_rest(6)]
    assert mean_line(column.at_rest(), passages) == pytest.approx(0.004, rel=1e-3)
    assert mean_line(column, passages) > 0.004
    shutil.rmtree(bundle)
