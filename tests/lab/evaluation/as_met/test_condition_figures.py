"""Figures of the same programs under several conditions."""

from __future__ import annotations

import pytest

from risk_lsp.lab.evaluation.as_met.columns import LENGTH, LengthColumn, TrivialColumn
from risk_lsp.lab.evaluation.as_met.conditions import (
    alone_and_in_modules,
    measure_conditions,
    some_problems,
    with_and_without_statement,
)
from risk_lsp.lab.training.labelled_programs import ProbeData
from tests.lab.evaluation.as_met.fakes import Rule
from tests.lab.training.makers import probe_data, program, toy_programs

DATA = probe_data(*toy_programs(10))
FUNCTIONS = ["def one():\n    x = 1\n    return x - 1\n"]
KNOWS = Rule(lambda line: 0.9 if "result -" in line else 0.1, lambda text: 0.8 if "result -" in text else 0.2)


def test_a_column_that_knows_the_wrong_line_is_right_about_lines_and_programs() -> None:
    row = measure_conditions(with_and_without_statement(stated(DATA)), DATA, [KNOWS], 5)["rule"]["bare"]

    assert [row[name][0] for name in ("line_auc", "within_auc", "program_auc")] == [1.0, 1.0, 1.0]


def stated(data: ProbeData) -> ProbeData:
    texts = [f"# Combine.\n{each.text}" for each in data.programs]
    programs = [
        program(
            text,
            edited=[(start + 11, end + 11) for start, end in each.edited or ()],
            scored=(11, len(text)),
            group=each.group,
        )
        for each, text in zip(data.programs, texts, strict=True)
    ]
    return probe_data(*programs)


def test_lines_around_the_program_do_not_count() -> None:
    shown = alone_and_in_modules(DATA, FUNCTIONS, 1)
    rows = measure_conditions(shown, DATA, [Rule(lambda line: 0.9 if " - " in line else 0.1)], 5)["rule"]

    assert rows["in a module"]["line_auc"] == rows["alone"]["line_auc"] == [1.0, 1.0, 1.0]


def test_length_is_no_probability_and_has_no_raw_figures() -> None:
    row = measure_conditions(alone_and_in_modules(DATA, FUNCTIONS, 1), DATA, [LengthColumn()], 5)[LENGTH]["alone"]

    assert {"line_auc", "line_bss_platt"} <= row.keys()
    assert not any(name.endswith("raw") for name in row)


def test_trivial_features_learn_which_lines_are_edited() -> None:
    row = measure_conditions(alone_and_in_modules(DATA, FUNCTIONS, 1), DATA, [TrivialColumn.fit(DATA)], 5)[
        "trivial features"
    ]["alone"]

    assert row["line_auc"][0] > 0.7  # only last lines are
    assert row["line_ece_raw"][0] == pytest.approx(0, abs=0.02)


def test_whole_problems_are_chosen_up_to_a_number_of_programs() -> None:
    some = some_problems(DATA, 7)

    assert len(some.programs) == 6
    assert len(set(some.groups)) == 3


def test_programs_of_which_nobody_knows_what_was_asked_are_left_out() -> None:
    assert with_and_without_statement(DATA)["asked"].data.programs == []
