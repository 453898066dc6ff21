"""The benchmark's own arithmetic: what is a median, and which bar it reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import decoder, faults
from benchmarks.bench.figures import Figure, markdown, percentile
from benchmarks.moved_probabilities import BAR, compare, moved
from benchmarks.team_load import LoadFigures
from risk_lsp.model.host import decoder_shape
from tests.model.conftest import save_family
from tests.model.gguf_files import write_gguf
from tests.risk.scorers import WordScorer

SMALL_BUGS = Path(__file__).parent / "fixtures" / "small_bugs"


@pytest.mark.parametrize(
    ("value", "verdict"), [(20.0, "target"), (30.0, "target"), (99.0, "minimum"), (101.0, "missed")]
)
def test_a_time_is_held_to_its_bars_from_below(value: float, verdict: str) -> None:
    assert Figure("queries", "ms", (value,), 100, 30).verdict() == verdict


@pytest.mark.parametrize(("value", "verdict"), [(600.0, "target"), (100.0, "minimum"), (87.0, "missed")])
def test_a_ratio_is_held_to_its_bars_from_above(value: float, verdict: str) -> None:
    assert Figure("against asking", "x", (value,), 100, 500, larger_is_better=True).verdict() == verdict


def test_the_median_decides_and_the_range_is_shown() -> None:
    figure = Figure("queries", "ms", (10.0, 1000.0, 20.0), 100, 30)

    assert figure.verdict() == "target"
    assert "| queries | 20 ms | 10-1,000 | 100 ms | 30 ms | target |" in markdown([figure])


def test_one_in_a_hundred_values_lies_above_the_99th_percentile() -> None:
    assert percentile([float(value) for value in range(100)], 0.99) == 99.0
    assert percentile([float(value) for value in range(1000)], 0.99) == 990.0


def test_a_line_that_moves_is_told_and_a_blank_one_is_not() -> None:
    texts = ["a = 1\n\nb = BUG\n"]
    (plain,), (other,) = WordScorer().score_many(texts), WordScorer().score_many(["a = 1\n\nb = one\n"])

    found = moved("another way", True, texts, [plain], [other])

    assert len(found.lines) == 2
    assert found.lines[0] == 0.0 and found.lines[1] > BAR


def test_what_ships_is_within_a_hundredth_of_a_plain_float32_pass() -> None:
    """On a few programs; benchmarks/moved_probabilities.py is for all that are kept for tests."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(SMALL_BUGS.glob("*.py"))[:4]]

    found = compare([*texts, "\n".join(texts * 4)], threads=None, others=False)

    assert len(found) == 3 and all(each.ships for each in found)
    assert max(each.lines.max() for each in found) < BAR


def test_figures_of_faults_are_found_in_what_pytest_prints() -> None:
    printed = "....  [100%]\ntest_a_full_disk_is_named: one error, nothing half written\n14 passed in 3.2s\n"

    assert faults.markdown(printed).splitlines()[2:] == ["| a full disk is named | one error, nothing half written |"]


def test_the_benchmark_of_decoders_measures_a_gguf_file(tmp_path: Path) -> None:
    file = write_gguf(save_family(tmp_path / "tiny", "Llama"), tmp_path / "tiny.gguf")

    found = [*decoder.reading(file, 2, threads=1, rounds=1), *decoder.writing(file, threads=1, rounds=1)]

    assert [figure.unit for figure in found] == [
        *("tokens/s", "GFLOP/s", "%", "MB", "MB"),
        *(*(3 * ("tokens/s", "%")), "GB/s", "MB"),
    ]
    assert all(figure.median > 0 for figure in found)
    assert "2 of 3 layers" in found[0].name


def test_the_work_of_a_pass_is_that_of_its_products() -> None:
    config = {
        "model_type": "llama",
        "hidden_act": "silu",
        "num_hidden_layers": 3,
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": 9,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
    }
    shape = decoder_shape(config)
    assert shape is not None
    weights = 8 * (8 + 2 * 4) + 8 * 8 + 3 * 8 * 16
    between = 2 * 2 * 4 * (1 + 2 + 3)  # two heads of four, scores and sums, of three tokens

    assert decoder._pass_flops(shape, 2, [3]) == 2 * 2 * (3 * weights + between)


def test_a_crowd_is_fair_when_no_share_is_far_from_the_mean() -> None:
    assert LoadFigures(2, 1.0, 1, crowd={"anna": 11, "ben": 9}).unfairness == pytest.approx(0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"stale": 1},
        {"lost": 1},
        {"not_scored_again": 1},
        {"greed": [5.0]},
        {"crowd": {"a": 1, "b": 3}},
        {"messages": [2]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_load_test_misses_its_bar_for_each_thing_that_goes_wrong(changes: dict[str, Any]) -> None:
    good: dict[str, Any] = {"typing": [1.0], "greed": [1.9], "crowd": {"a": 9, "b": 10}, "messages": [1, 0]}
    assert LoadFigures(2, 1.0, 1, **good).is_good
    assert not LoadFigures(2, 1.0, 1, **{**good, **changes}).is_good
