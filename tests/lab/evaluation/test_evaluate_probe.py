"""Figures of hand-made records, and the table they become."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.figures import LevelRecords, level_statistics
from risk_lsp.lab.evaluation.probe_commands import (
    BEGIN,
    END,
    REFERENCE_EDGES,
    figures,
    figures_markdown,
    reference,
    reliability_curves,
    update_between_markers,
)
from risk_lsp.lab.evaluation.reliability import rescale
from risk_lsp.lab.span_tables import LEVELS, Level

# Four programs of four lines; the first two fail, each for one line. The probe sees it in the first, and puts three
# lines before it in the second.
EDITED = np.array([1, 0, 0, 0, 0, 0, 0, 1] + [0] * 8, dtype=bool)
PROBE = np.array([0.9, 0.1, 0.1, 0.1, 0.8, 0.8, 0.8, 0.1] + [0.1] * 8)


def records(**changes: Any) -> LevelRecords:
    program = np.repeat(np.arange(4), 4)
    values: dict[str, Any] = {
        "scores": {"probe": PROBE, "token probability": np.full(16, 0.5)},
        "edited": EDITED,
        "weights": np.ones(16),
        "program": program,
        "group": np.array([f"g{each}" for each in program]),
        "failing": program < 2,
        **changes,
    }
    return LevelRecords(**values)


def levels(**changes: Any) -> dict[Level, LevelRecords]:
    return {level: records(**changes) for level in LEVELS}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return figures(levels(), levels())


def test_the_counts_and_the_base_rate_are_those_of_the_records(found: dict[str, Any]) -> None:
    assert [found["line"][name] for name in ("n", "problems", "base_rate")] == [16, 4, 0.125]


def test_the_raw_figures_are_those_of_the_scores_as_they_are(found: dict[str, Any]) -> None:
    probe = found["line"]["probe"]

    brier = np.mean((PROBE - EDITED) ** 2)
    assert probe["bss_raw"] == pytest.approx(1 - brier / (0.125 * 0.875), abs=1e-4)
    assert probe["auc"] == pytest.approx((14 + 11 / 2) / 28, abs=1e-4)


def test_a_baseline_that_tells_nothing_has_an_auc_of_one_half_and_no_skill_after_scaling(found: dict[str, Any]) -> None:
    baseline = found["line"]["token probability"]

    assert baseline["auc"] == 0.5
    assert baseline["bss_platt"] == pytest.approx(0, abs=0.05)


def test_intervals_hold_their_figure(found: dict[str, Any]) -> None:
    probe = found["line"]["probe"]
    low, high = probe["auc_interval"]

    assert low <= probe["auc"] <= high


def test_intervals_are_those_that_the_report_gives_for_the_same_records() -> None:
    probe = figures(levels(), levels())["line"]["probe"]
    scaled = rescale(PROBE, PROBE, EDITED)
    report = level_statistics("line", records(scores={"probe": PROBE}), {"probe": scaled}, resamples=500)

    reported = report.figures()["techniques"]["probe"]
    assert probe["auc_interval"] == reported["auc"][1:]
    assert probe["bss_platt_interval"] == reported["bss_platt"][1:]


def test_within_failing_programs_the_order_is_judged_program_by_program(found: dict[str, Any]) -> None:
    # The first program is in perfect order, the second wholly reversed.
    assert found["line"]["probe"]["within_failing_auc"] == 0.5


def test_the_share_of_failing_programs_with_an_edited_line_in_the_first_three_is_counted(found: dict[str, Any]) -> None:
    assert found["line"]["probe"]["hits_at_3"] == 0.5


def test_programs_have_no_figures_of_order_inside(found: dict[str, Any]) -> None:
    assert "within_failing_auc" not in found["program"]["probe"]


def test_the_platt_map_is_fitted_on_the_calibration_problems_only() -> None:
    reversed_ = figures(levels(edited=~EDITED), levels())

    assert reversed_["line"]["probe"]["bss_platt"] < figures(levels(), levels())["line"]["probe"]["bss_platt"]
    assert reversed_["line"]["probe"]["bss_raw"] == figures(levels(), levels())["line"]["probe"]["bss_raw"]


def test_figures_that_the_records_leave_undefined_are_null_and_json_without_nan() -> None:
    found = figures(levels(), levels(edited=np.zeros(16, dtype=bool)))

    assert found["line"]["probe"]["auc"] is None
    json.dumps(found, allow_nan=False)


def test_the_reference_table_says_what_the_probabilities_meant() -> None:
    rows = {(row["low"], row["high"]): row for row in reference(levels())["line"]}

    assert rows[0.1, 0.15] == {
        "low": 0.1,
        "high": 0.15,
        "predicted": 0.1,
        "observed": pytest.approx(1 / 12, abs=1e-4),
        "n": 12,
    }
    assert rows[0.65, 1.0]["n"] == 4
    assert set(rows) <= set(pairwise(REFERENCE_EDGES))


def without_functions() -> dict[Level, LevelRecords]:
    """What programs give that define none."""
    nothing = np.zeros(0)
    none = records(
        scores={"probe": nothing, "token probability": nothing},
        edited=nothing.astype(bool),
        weights=nothing,
        program=nothing.astype(np.int64),
        group=nothing.astype(np.str_),
        failing=nothing.astype(bool),
    )
    return {**levels(), "function": none}


def test_a_level_without_a_span_has_no_figures_no_reference_and_no_curve() -> None:
    scripts = without_functions()

    measured = [level for level in LEVELS if level != "function"]
    assert list(figures(scripts, scripts)) == list(reference(scripts)) == measured
    assert "functions" not in reliability_curves(scripts)


def test_where_the_calibration_problems_have_no_such_span_the_scores_stay_as_they_are() -> None:
    probe = figures(without_functions(), levels())["function"]["probe"]

    assert (probe["bss_platt"], probe["ece_platt"]) == (probe["bss_raw"], probe["ece_raw"])


def test_there_is_a_reliability_curve_for_every_level() -> None:
    assert list(reliability_curves(levels())) == ["tokens", "lines", "statements", "functions", "programs"]


OURS: dict[str, Any] = {"model": {"corpus": {}}}


def all_figures(found: dict[str, Any]) -> dict[str, Any]:
    return {"labels": "labelled programs", "programs": 1234, "benchmarks": ["mbpp"], "levels": found}


def test_the_table_has_a_row_for_each_level_and_technique(found: dict[str, Any]) -> None:
    lines = figures_markdown(all_figures(found), OURS).split("\n")

    assert [line.split(" | ")[:2] for line in lines[2:12]] == [
        [f"| {level}", technique] for level in LEVELS for technique in ("probe", "token probability")
    ]
    assert len({line.count("|") for line in lines[:12]}) == 1


def test_the_sentence_under_the_table_says_what_was_measured(found: dict[str, Any]) -> None:
    assert figures_markdown(all_figures(found), OURS).split("\n")[-1] == (
        "1,234 programs of 4 problems that neither the model nor the probe saw (mbpp); 16 lines, 12% of them edited."
        " In 50% of the failing programs an edited line is among the three likeliest."
    )


@pytest.mark.parametrize(
    "model", [{}, {"derived_from": {"name": "elder"}}, {"derived_from": {"name": "elder"}, "tuned": {}}]
)
def test_what_a_pretrained_model_saw_is_not_claimed(found: dict[str, Any], model: dict[str, Any]) -> None:
    about = figures_markdown(all_figures(found), {"model": model}).split("\n")[-1]

    assert about.startswith("1,234 programs of 4 problems that the probe did not learn from (mbpp);")


def test_an_undefined_figure_is_shown_as_such() -> None:
    found = figures(levels(), levels(edited=np.zeros(16, dtype=bool)))

    assert "n/a (n/a-n/a)" in figures_markdown(all_figures(found), OURS)


def test_the_text_between_the_markers_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter ü\n", encoding="utf-8")

    update_between_markers(readme, "new")
    update_between_markers(readme, "newer")

    assert readme.read_text("utf-8") == f"before\n{BEGIN}\nnewer\n{END}\nafter ü\n"


@pytest.mark.parametrize("content", ["nothing", BEGIN, END, f"{END}\n{BEGIN}\n"])
def test_a_file_without_both_markers_in_order_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "README.md").write_text(content)

    with pytest.raises(BadInput, match="no place for the figures"):
        update_between_markers(tmp_path / "README.md", "new")

    assert (tmp_path / "README.md").read_text() == content


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no place for the figures"):
        update_between_markers(tmp_path / "README.md", "new")
