"""Every figure of every technique, and the report that they become."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from risk_lsp.lab.evaluation.figures import (
    BASE_RATE,
    PROBE,
    TRIVIAL,
    LevelRecords,
    LevelStatistics,
    level_statistics,
    mean_figures,
)
from risk_lsp.lab.evaluation.reliability import RescaledScores
from risk_lsp.lab.evaluation.report_markdown import (
    benchmark_sentences,
    calibration_sentences,
    evaluation_markdown,
    line_sentences,
    order_sentences,
)
from risk_lsp.lab.span_tables import LEVELS

# Six programs of four lines; the first three fail, each for its last line.
PROGRAM = np.repeat(np.arange(6), 4)
EDITED = (np.arange(24) % 4 == 3) & (PROGRAM < 3)
GOOD = np.where(EDITED, 0.8, 0.1)
BLIND = np.full(24, 0.125)


def records(**changes: Any) -> LevelRecords:
    found = LevelRecords(
        scores={BASE_RATE: BLIND, TRIVIAL: np.where(np.arange(24) % 4 == 3, 0.3, 0.1), PROBE: GOOD},
        edited=EDITED,
        weights=np.ones(24),
        program=PROGRAM,
        group=np.array([f"g{each}" for each in PROGRAM]),
        failing=PROGRAM < 3,
    )
    return replace(found, **changes)


def figures(found: LevelRecords, resamples: int = 200) -> dict[str, Any]:
    """Where both maps leave the scores as they are."""
    same = {name: RescaledScores(scores, scores) for name, scores in found.scores.items()}
    return level_statistics("line", found, same, resamples=resamples).figures()


@pytest.fixture(scope="module")
def line() -> dict[str, Any]:
    return figures(records())


def test_what_was_measured_is_counted(line: dict[str, Any]) -> None:
    assert {key: line[key] for key in ("spans", "programs", "problems", "base_rate")} == {
        "spans": 24,
        "programs": 6,
        "problems": 6,
        "base_rate": 0.125,
    }


def test_a_probe_that_knows_reads_one_line_a_program_and_a_reader_from_the_top_all_four(line: dict[str, Any]) -> None:
    probe = line["techniques"][PROBE]

    assert probe["lines_read"][0] == 0.25 and probe["lines_read_from_top"][0] == 1.0
    assert probe["lines_saved"][0] == 0.75
    assert [probe[f"hits_at_{k}"][0] for k in (1, 3, 5)] == [1, 1, 1]


def test_the_base_rate_is_reading_from_the_top(line: dict[str, Any]) -> None:
    blind = line["techniques"][BASE_RATE]

    assert blind["lines_saved"][0] == 0 and blind["hits_at_3"][0] == 0 and blind["within_auc"][0] == 0.5
    assert blind["bss_raw"][0] == 0 and "auc" not in blind


def test_the_advantage_over_trivial_features_is_that_of_the_same_resamples(line: dict[str, Any]) -> None:
    probe, trivial = line["techniques"][PROBE], line["techniques"][TRIVIAL]

    value, low, high = probe["auc_above_trivial"]
    assert value == pytest.approx(probe["auc"][0] - trivial["auc"][0], abs=1e-3)
    assert low <= value <= high and low > 0


def test_records_without_weight_do_not_count() -> None:
    weights = np.where(PROGRAM == 5, 0.0, 1.0)
    spoilt = records(weights=weights, scores={**records().scores, PROBE: np.where(PROGRAM == 5, 1.0, GOOD)})

    assert figures(spoilt)["techniques"][PROBE] == figures(records(weights=weights))["techniques"][PROBE]


def test_each_map_has_figures_of_its_own_and_the_order_is_that_of_the_scores_as_they_come() -> None:
    found = records(scores={PROBE: 1 - GOOD})
    maps = {PROBE: RescaledScores(GOOD, EDITED.astype(float))}
    probe = level_statistics("line", found, maps, resamples=20).figures()["techniques"][PROBE]

    assert probe["bss_raw"][0] < 0 < probe["bss_platt"][0] < probe["bss_isotonic"][0] == 1
    assert probe["ece_isotonic"][0] == probe["ece_adaptive_isotonic"][0] == 0 < probe["ece_platt"][0]
    assert probe["auc"][0] == 0


def test_undefined_figures_are_null() -> None:
    found = figures(records(edited=np.zeros(24, dtype=bool)))

    assert found["techniques"][PROBE]["auc"] == [None, None, None]


def test_within_failing_programs_the_others_do_not_count(line: dict[str, Any]) -> None:
    reversed_elsewhere = np.where(PROGRAM < 3, GOOD, 1 - GOOD)
    found = figures(records(scores={TRIVIAL: GOOD, PROBE: reversed_elsewhere}))["techniques"][PROBE]

    assert found["within_auc"][0] == 1.0 > found["auc"][0]


def test_the_reading_of_lines_says_how_far_the_probe_is_above_trivial_features(line: dict[str, Any]) -> None:
    assert "that much is more than where a line stands" in line_sentences(line)


def test_the_reading_admits_that_trivial_features_tell_more_and_that_a_rival_wins(line: dict[str, Any]) -> None:
    weak = figures(records(scores={TRIVIAL: GOOD, "rival": GOOD, PROBE: BLIND}))

    assert "tells more than the probe does" in line_sentences(weak)
    assert "a higher AUC has trivial features and rival" in line_sentences(weak)
    assert "not surely better than always saying the base rate" in line_sentences(weak)


def test_the_reading_admits_an_advantage_that_may_be_chance() -> None:
    assert "which may be chance" in line_sentences(figures(records(scores={TRIVIAL: GOOD, PROBE: GOOD})))


def test_the_reading_of_the_order_names_what_is_saved(line: dict[str, Any]) -> None:
    assert "after 25% of the program, and from the top after 100%: 75% less to read" in order_sentences(line)


def test_the_reading_of_calibration_names_the_worst_level(line: dict[str, Any]) -> None:
    off = figures(records(scores={TRIVIAL: GOOD, PROBE: np.minimum(GOOD + 0.2, 1)}))

    levels: dict[str, Any] = {**dict.fromkeys(LEVELS, line), "program": off}
    assert "worst for programs: there the numbers should be read as an order" in calibration_sentences(levels)


def test_the_reading_of_benchmarks_names_those_without_skill(line: dict[str, Any]) -> None:
    bad = figures(records(scores={TRIVIAL: GOOD, PROBE: 1 - GOOD}))

    text = benchmark_sentences({"one": {"line": line}, "two": {"line": bad}})
    assert "On two the unscaled probabilities are worse than the base rate would be." in text
    assert benchmark_sentences({}) == "There is only one benchmark, so none was left out."


def part(**statistics: list[float]) -> LevelStatistics:
    return LevelStatistics(1, 1, 1, 0.5, {PROBE: {name: np.array(values) for name, values in statistics.items()}})


def test_a_mean_over_benchmarks_has_the_interval_of_the_means_of_their_resamples() -> None:
    one, other = np.random.default_rng(1).normal(size=(2, 4000))
    found = mean_figures([part(auc=[0.5, *one]), part(auc=[0.7, *other])])[PROBE]["auc"]

    assert found == pytest.approx([0.6, -1.96 / 2**0.5, 1.96 / 2**0.5], abs=0.06)


def test_a_mean_is_undefined_where_one_of_its_parts_is() -> None:
    found = mean_figures([part(auc=[0.5, 0.4], bss=[0.1, 0.0]), part(auc=[np.nan, 0.6])])

    assert found == {PROBE: {"auc": [None, 0.5, 0.5]}}


def whole(line: dict[str, Any]) -> dict[str, Any]:
    levels = dict.fromkeys(LEVELS, line)
    counts = {"problems": 6, "programs": 6, "failing": 3, "with_known_fix": 2, "test": 1, "calibration": 1}
    return {
        "command": "risk-lsp evaluate docs",
        "bundle": "default",
        "recipe": "risk-lsp probe fit",
        "members": 1,
        "data": {**counts, "labels": "smallest verified patch", "models": 2, "benchmarks": {"mbpp": counts}},
        "five_folds": levels,
        "unread": levels,
        "benchmarks_out": {"one": levels, "two": levels},
        "benchmarks_mean": dict.fromkeys(LEVELS, line["techniques"]),
        "shipped": levels,
        "siblings": {"programs": 3, "of": 6, "most": 5},
        "reflection": {"programs": 0, "model": None},
        "attempts": [],
        "plots": {"Lines": "images/lines.png"},
    }


def test_a_report_without_a_model_to_ask_says_so(line: dict[str, Any]) -> None:
    report = evaluation_markdown(whole(line))

    assert "Reflective prompting: no model could be reached, so there is no figure." in report
    assert "of 1 no fix is known" in report
    assert "## What was tried" not in report


def test_the_report_sets_what_comes_beside_both_maps_at_every_level(line: dict[str, Any]) -> None:
    _, _, rest = evaluation_markdown(whole(line)).partition("### Calibration")
    table = [row.split(" | ") for row in rest.partition("## Benchmarks")[0].split("\n") if row.startswith("| ")]

    assert table[0][2:5] == ["BSS raw", "BSS Platt", "BSS isotonic"]
    assert [row[0] for row in table[1:]] == [f"| {level}" for level in LEVELS]
    assert all(row[4] for row in table)


def test_a_report_on_one_benchmark_leaves_none_out(line: dict[str, Any]) -> None:
    report = evaluation_markdown({**whole(line), "benchmarks_out": {}, "benchmarks_mean": {}})

    assert "There is only one benchmark, so none was left out." in report
    assert "Mean of the" not in report


def test_every_table_of_the_report_is_even(line: dict[str, Any]) -> None:
    attempts = [{"variant": "as shipped", "line AUC": 0.7, "seconds": 60.0}, {"variant": "wider", "line AUC": 0.71}]
    report = evaluation_markdown({**whole(line), "attempts": attempts})

    for table in report.split("\n\n"):
        rows = [row for row in table.split("\n") if row.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, table


def test_a_level_that_was_not_measured_has_no_place_in_the_report(line: dict[str, Any]) -> None:
    found = whole(line)
    scripts = {level: figures for level, figures in found["five_folds"].items() if level != "function"}

    assert "### Functions" not in evaluation_markdown({**found, "five_folds": scripts, "unread": scripts})
