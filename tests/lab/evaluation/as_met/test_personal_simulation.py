"""Simulated people: their shift is the known one, the update finds it, and nobody is judged on what taught it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met import personal_simulation
from risk_lsp.lab.evaluation.as_met.personal_simulation import (
    FACTORS,
    ReadProgram,
    as_edited_by,
    attack_rows,
    chosen_prior,
    one_run,
    report,
    simulate,
)
from risk_lsp.personal.level_update import LevelPrior
from tests.lab.training.makers import toy_programs, write_labelled
from tests.probe.tiny import save_tiny_bundle

DRAW = np.random.default_rng(3)


def programs(count: int, lines: int = 8) -> list[ReadProgram]:
    """Programs of as many problems, whose lines are edited as often as a calibrated bundle says."""
    made = []
    for number in range(count):
        numbers = DRAW.uniform(0.02, 0.6, lines)
        made.append(ReadProgram(f"p{number}", 1.0, numbers, DRAW.random(lines) < numbers))
    return made


@pytest.mark.parametrize("factor", FACTORS)
def test_a_person_s_odds_are_the_bundle_s_times_the_known_factor(factor: float) -> None:
    read = programs(1, 200_000)[0]
    edited = as_edited_by(read, math.log(factor), np.random.default_rng(1)).edited
    near = (read.probabilities > 0.28) & (read.probabilities < 0.32)
    rate = edited[near].mean()
    assert rate / (1 - rate) == pytest.approx(factor * 0.3 / 0.7, rel=0.05)


def test_a_person_like_everybody_edits_what_a_fix_touches() -> None:
    read = programs(1, 1_000)[0]
    assert np.array_equal(as_edited_by(read, 0.0, np.random.default_rng(1)).edited, read.edited)


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_an_update_mends_most_of_a_large_shift(factor: float) -> None:
    (after,) = one_run(programs(400), factor, [2_000], LevelPrior(), 0)
    assert after.ece_after < after.ece_before / 3
    assert after.bss_after > after.bss_before


def test_runs_of_one_seed_are_the_same() -> None:
    read = programs(60)
    assert one_run(read, 2.0, [50, 200], LevelPrior(), 5) == one_run(read, 2.0, [50, 200], LevelPrior(), 5)


def test_no_attack_leaves_the_limits() -> None:
    assert all(0.2499 <= factor <= 4.001 for _, factor in attack_rows(LevelPrior()))


def test_a_person_accepts_no_program_twice() -> None:
    found = one_run(programs(60), 1.0, [50, 200, 1_000], LevelPrior(), 0)
    assert len(found) == 2, "40 programs of 8 lines teach"


def test_a_source_is_judged_up_to_the_lines_that_it_has() -> None:
    found = simulate({"few": programs(60), "many": programs(300)}, LevelPrior(), runs=2)
    assert found.counts == (50, 200, 1_000)
    assert not np.isnan(found.figures[1]).any()
    assert np.isnan(found.figures[0, :, :, 2]).all()


def test_no_source_with_enough_lines_is_bad_input() -> None:
    with pytest.raises(BadInput, match="no source has 50 lines to learn from"):
        simulate({"few": programs(6)}, LevelPrior(), runs=1)


def test_the_report_has_a_row_for_each_person_and_count_with_the_number_of_sources() -> None:
    found = report({"few": programs(60), "many": programs(300)}, ["third"], LevelPrior(), runs=2)
    rows = [line.split(" | ")[1:3] for line in found.splitlines() if line.startswith("| x ")]
    assert rows == [["50", "2"], ["200", "2"], ["1,000", "1"]] * len(FACTORS)
    assert "chosen on third. Judged on few, many, 2 runs each." in found
    assert "over the 25 rows of a source, a person and a count" in found


def test_the_prior_is_chosen_where_a_source_has_few_lines() -> None:
    assert chosen_prior({"few": programs(60)}, runs=1).level_deviation in {0.3, 0.5, 0.7, 1.0}


def test_sources_that_are_not_there_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model_folder: Path
) -> None:
    monkeypatch.setattr(personal_simulation, "FEWEST_PROBLEMS", 1)
    write_labelled(toy_programs(40), tmp_path / "programs.jsonl")
    bundle = save_tiny_bundle(tmp_path / "bundle", model_folder)
    given = ["--data", str(tmp_path / "programs.jsonl"), "--bundle", str(bundle), "--choose-on", "nowhere"]
    assert main(["evaluate", "personal", *given]) == 2
    assert "the sources to choose on are nowhere" in capsys.readouterr().err
