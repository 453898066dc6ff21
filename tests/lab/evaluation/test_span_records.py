"""Scored spans of labelled programs: which count, what they are scored, and what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from risk_lsp.lab.evaluation.study import make_study, score_programs
from risk_lsp.lab.span_tables import LEVELS
from risk_lsp.lab.training.feature_store import collect_features
from risk_lsp.model.code_model import CodeModel
from risk_lsp.risk.engine import Engine
from risk_lsp.text.normal_form import READINGS, Reading
from tests.lab.training.makers import probe_data, program
from tests.probe.tiny import CONTEXT, save_tiny_bundle

TEXT = '"""Why."""\ndef f(a):\n    if a > 1:\n        return a\n    # how\n    return 0\n'
EDIT = TEXT.index(">")
FAILING = program(TEXT, edited=[(EDIT, EDIT + 1)], scored=(TEXT.index("    if"), len(TEXT)), group="g1")
PASSING = program("x = 1\ny = 2\n", group="g2")
CODE = ["if a > 1:", "return a", "return 0"]


def spans_of(text: str, *parts: str) -> tuple[list[int], list[int]]:
    starts = [text.index(part) for part in parts]
    return starts, [start + len(part) for start, part in zip(starts, parts, strict=True)]


def test_a_line_is_scored_as_the_engine_scores_it(engine: Engine) -> None:
    records = score_programs(engine, probe_data(FAILING, PASSING))["line"]

    ours = [engine.score(TEXT).probabilities(*spans_of(TEXT, *CODE))]
    ours.append(engine.score(PASSING.text).probabilities(*spans_of(PASSING.text, "x = 1", "y = 2")))
    np.testing.assert_allclose(records.scores["probe"], np.concatenate(ours), atol=1e-4)


def test_a_program_is_scored_by_its_whole_text(engine: Engine) -> None:
    records = score_programs(engine, probe_data(FAILING, PASSING))["program"]

    ours = [engine.score(text).probability(0, len(text)) for text in (TEXT, PASSING.text)]
    np.testing.assert_allclose(records.scores["probe"], ours, atol=1e-4)


def test_a_long_program_is_read_as_the_engine_reads_it(engine: Engine) -> None:
    text = "".join(f"def f{index}(a):\n    return a\n\n\n" for index in range(CONTEXT // 4))
    records = score_programs(engine, probe_data(program(text)))["line"]

    risk = engine.score(text)
    lines = [line for line in range(len(text)) if text.startswith(("def", "return"), line)]
    ends = [text.index("\n", line) for line in lines]
    np.testing.assert_allclose(records.scores["probe"], risk.probabilities(lines, ends), atol=1e-4)


def test_the_tokens_are_those_on_the_lines_that_count(engine: Engine) -> None:
    records = score_programs(engine, probe_data(FAILING))["token"]

    risk = engine.score(TEXT)
    starts, ends = spans_of(TEXT, *CODE)
    on_code = [
        bool(np.any((np.array(starts) < end) & (np.array(ends) > start)))
        for start, end in zip(risk.starts, risk.ends, strict=True)
    ]
    np.testing.assert_allclose(records.scores["probe"], risk.token_probabilities()[on_code], atol=1e-4)


def test_the_baseline_is_one_minus_the_geometric_mean_of_the_token_probabilities(engine: Engine) -> None:
    records = score_programs(engine, probe_data(PASSING))["line"]

    encoding = engine.model.encode(PASSING.text)
    log_probabilities = engine.model.read(encoding, (1,), statistics=True).log_probabilities
    assert log_probabilities is not None
    for score, start, end in zip(records.scores["token probability"], (0, 6), (5, 11), strict=True):
        inside = [
            probability
            for probability, first, last in zip(log_probabilities, encoding.starts, encoding.ends, strict=True)
            if first < end and last > start
        ]
        assert score == pytest.approx(1 - np.exp(np.mean(inside)), abs=1e-4)


def test_what_the_fix_touches_is_edited_at_every_level(engine: Engine) -> None:
    levels = score_programs(engine, probe_data(FAILING, PASSING))

    assert levels["line"].edited.tolist() == [True, False, False, False, False]
    assert levels["token"].edited.sum() == 1
    assert levels["program"].edited.tolist() == [True, False]


def test_every_record_knows_its_program_problem_outcome_and_weight(engine: Engine) -> None:
    records = score_programs(engine, probe_data(FAILING, PASSING, weights=[0.25, 0.75]))["line"]

    assert records.program.tolist() == [0, 0, 0, 1, 1]
    assert records.group.tolist() == ["g1", "g1", "g1", "g2", "g2"]
    assert records.failing.tolist() == [True, True, True, False, False]
    assert records.weights.tolist() == pytest.approx([0.25 / 3] * 3 + [0.75 / 2] * 2)


def test_a_program_without_code_is_a_record_of_its_own_and_of_nothing_else(engine: Engine) -> None:
    levels = score_programs(engine, probe_data(program("# todo\n"), program("")))

    assert [len(levels[level].edited) for level in LEVELS] == [0, 0, 0, 0, 2]


def test_a_probe_without_statistics_is_measured_beside_the_baseline_too(model_folder: Path, tmp_path: Path) -> None:
    path = save_tiny_bundle(tmp_path / "bundle", model_folder, layers=(1,), statistics=False)

    records = score_programs(Engine.load(path, whole_model=True), probe_data(PASSING))["line"]
    assert (records.scores["token probability"] > 0).all()


def test_a_model_without_a_head_is_measured_without_the_baseline(model_folder: Path, tmp_path: Path) -> None:
    path = save_tiny_bundle(tmp_path / "bundle", model_folder, layers=(1,), statistics=False)

    records = score_programs(Engine.load(path), probe_data(PASSING))["line"]
    assert records.scores.keys() == {"probe"}
    assert (records.scores["probe"] > 0).all()


def test_a_failing_program_whose_fix_is_unknown_counts_as_a_program_and_not_with_its_lines(engine: Engine) -> None:
    unknown = program("x = 1\n", edited=None)
    levels = score_programs(engine, probe_data(unknown, PASSING))

    assert levels["program"].edited.tolist() == [True, False]
    assert levels["program"].weights.tolist() == [1.0, 1.0]
    assert levels["line"].weights.tolist() == [0.0, 0.5, 0.5]


def test_in_the_normal_form_programs_are_judged_alike_in_any_style(model_folder: Path, tmp_path: Path) -> None:
    engine = Engine.load(save_tiny_bundle(tmp_path / "bundle", model_folder, reading="normal-1"))
    styled = TEXT.replace("    ", "\t").replace("\n", "  # note\r\n")
    edit = styled.index(">")
    other = program(styled, edited=[(edit, edit + 1)], scored=(styled.index("\tif"), len(styled)), group="g1")

    ours, theirs = score_programs(engine, probe_data(FAILING)), score_programs(engine, probe_data(other))
    for level in LEVELS:
        np.testing.assert_array_equal(theirs[level].edited, ours[level].edited)
        for technique, scores in ours[level].scores.items():
            np.testing.assert_array_equal(theirs[level].scores[technique], scores)


@pytest.mark.parametrize("reading", READINGS)
def test_a_study_counts_all_tokens_of_a_program_as_scoring_does(model: CodeModel, reading: Reading) -> None:
    programs = [FAILING, PASSING, program("x = 1  # one"), program("")]
    store = collect_features(model, programs, (1,), statistics=True, reading=reading)

    study = make_study(probe_data(*programs), np.zeros(0, dtype=np.str_), store)

    bounds = store.token_bounds
    assert study.tokens["program"].tolist() == np.stack([bounds[:-1], bounds[1:]], axis=1).tolist()
