"""Labelled programs on disk, and how much each of them weighs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.labelled_programs import (
    LabelledProgram,
    failing_shares,
    natural_weights,
    read_ids,
    read_labelled,
    read_probe_data,
)
from risk_lsp.lab.training.training_documents import is_measured_alone
from risk_lsp.text.document import Span
from tests.lab.training.makers import group_in, program, write_labelled

RECORD = {
    "id": "a",
    "group": "g",
    "benchmark": "b",
    "text": "x = 1\n",
    "scored": [0, 6],
    "edited": [[4, 5]],
    "passed": False,
}


@st.composite
def labelled_programs(draw: st.DrawFn) -> LabelledProgram:
    text = draw(st.text(max_size=20))
    spans = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(lambda ends: Span(*sorted(ends)))
    edited = draw(st.none() | st.lists(spans, max_size=3).map(tuple))
    name = st.text(max_size=5)
    return LabelledProgram(
        draw(name), draw(name), draw(name), text, draw(spans), edited, draw(st.booleans()), draw(name), draw(name)
    )


@given(st.lists(labelled_programs(), max_size=4))
def test_programs_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, programs: list[LabelledProgram]
) -> None:
    path = tmp_path_factory.getbasetemp() / "labelled.jsonl"
    write_labelled(programs, path)

    assert read_labelled(path) == programs


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"text": ...}, "field 'text' is missing"),
        ({"text": 1}, "field 'text' holds 1, not a text"),
        ({"group": None}, "field 'group' holds null, not a text"),
        ({"passed": "yes"}, "field 'passed' holds \"yes\", not true or false"),
        ({"edited": ...}, "field 'edited' is missing"),
        ({"edited": 3}, "field 'edited' holds 3, not a list"),
        ({"model": 3}, "field 'model' holds 3, not a text"),
        ({"edited": [3]}, "3 is not a span"),
        ({"edited": [["a", "b"]]}, "['a', 'b'] is not a span"),
        ({"scored": [1]}, "[1] is not a span"),
        ({"scored": [0, 7]}, "span [0, 7] leaves its text of 6 characters"),
        ({"edited": [[5, 4]]}, "span [5, 4] leaves its text"),
        ({"edited": [[-1, 4]]}, "span [-1, 4] leaves its text"),
    ],
)
def test_a_record_with_a_wrong_part_is_refused_by_file_line_and_name(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    wrong = {name: value for name, value in {**RECORD, **changes}.items() if value is not ...}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(RECORD)}\n{json.dumps(wrong)}\n")

    with pytest.raises(BadInput) as caught:
        read_labelled(tmp_path / "a.jsonl")

    assert "a.jsonl:2" in caught.value.message and reason in caught.value.message


def test_a_line_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("[]\n")

    with pytest.raises(BadInput, match=r"a\.jsonl:1: is not a JSON object"):
        read_labelled(tmp_path / "a.jsonl")


outcomes = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=20)


def of_outcomes(found: list[tuple[str, bool]]) -> list[LabelledProgram]:
    return [program("x", group=group, passed=passed) for group, passed in found]


@given(outcomes, st.dictionaries(st.sampled_from("abc"), st.floats(0.05, 0.95)))
def test_every_usable_problem_weighs_one(found: list[tuple[str, bool]], shares: dict[str, float]) -> None:
    programs = of_outcomes(found)
    weights = natural_weights(programs, shares)

    for group in {each.group for each in programs}:
        unusable = group in shares and all(each.passed for each in programs if each.group == group)
        total = sum(weight for each, weight in zip(programs, weights, strict=True) if each.group == group)
        assert total == pytest.approx(0 if unusable else 1)


def test_failing_programs_have_their_natural_share_of_their_problem() -> None:
    programs = of_outcomes([("a", False), ("a", True), ("a", True)])

    assert natural_weights(programs, {"a": 0.4}) == pytest.approx([0.4, 0.3, 0.3])


def test_without_a_known_share_every_program_of_a_problem_weighs_the_same() -> None:
    programs = of_outcomes([("a", False), ("a", True), ("a", True), ("b", True)])

    assert natural_weights(programs, {}) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])


def test_a_problem_without_passing_programs_weighs_one_too() -> None:
    assert natural_weights(of_outcomes([("a", False), ("a", False)]), {"a": 0.9}) == [0.5, 0.5]


def test_pairs_that_only_measure_are_never_read(tmp_path: Path) -> None:
    groups = [f"bug/{number}" for number in range(30)]
    pairs = [replace(program("x = 1\n", group=group, id=group), benchmark="condefects") for group in groups]
    history = replace(program("x = 1\n", group="lib/f", id="pair"), benchmark="pylib_history")
    of_the_same_function = program("x = 1\n", group="lib/f", id="bug")
    other = program("x = 1\n", group="lib/g", id="other")
    write_labelled([*pairs, history, of_the_same_function, other], tmp_path / "programs.jsonl")

    found = {program.id for program in read_probe_data(tmp_path / "programs.jsonl", 8).programs}

    assert found == {"other", *(group for group in groups if not is_measured_alone(group))}


def test_of_the_passing_programs_of_a_problem_one_with_weak_tests_weighs_half() -> None:
    strong, weak, failing = of_outcomes([("a", True), ("a", True), ("a", False)])

    weights = natural_weights([strong, replace(weak, weak_tests=True), failing], {"a": 0.4})

    assert weights == pytest.approx([0.4, 0.2, 0.4])


def test_the_failing_share_counts_programs_whose_fix_is_unknown() -> None:
    programs = [
        program("x", passed=True),
        program("x", edited=None),
        program("x", edited=[(0, 1)]),
        program("x", edited=None),
    ]

    assert failing_shares(programs) == {"toy/0": 0.75}


def write(path: Path, *programs: LabelledProgram) -> Path:
    write_labelled(programs, path / "data.jsonl")
    return path / "data.jsonl"


def test_known_fixes_stand_in_for_the_unknown_ones_but_every_program_counts_as_a_whole(tmp_path: Path) -> None:
    path = write(
        tmp_path, program("a"), program("b", edited=[(0, 1)]), program("c", edited=None), program("d", edited=None)
    )

    data = read_probe_data(path, per_group=9)
    assert data.weights == pytest.approx([0.25] * 4)
    assert data.span_weights == pytest.approx([0.25, 0.75, 0, 0])


def test_lines_of_a_problem_weigh_nothing_if_none_of_its_failing_programs_has_a_known_fix(tmp_path: Path) -> None:
    path = write(tmp_path, program("a"), program("b", edited=None))

    assert read_probe_data(path, per_group=9).span_weights == [0, 0]


def test_no_more_programs_of_a_problem_and_outcome_are_taken_than_asked(tmp_path: Path) -> None:
    path = write(tmp_path, *(program(text) for text in "abc"), *(program(text, edited=[(0, 1)]) for text in "def"))

    assert [each.text for each in read_probe_data(path, per_group=2).programs] == ["a", "b", "d", "e"]


def test_programs_that_are_named_stand_in_for_the_others_of_their_problem(tmp_path: Path) -> None:
    path = write(tmp_path, program("a", id="1"), program("b", id="2"), program("c", id="3", edited=[(0, 1)]))
    data = read_probe_data(path, per_group=9, only={"1", "3"})

    assert {each.id: weight for each, weight in zip(data.programs, data.weights, strict=True)} == pytest.approx(
        {"1": 2 / 3, "3": 1 / 3}
    )


def test_a_list_of_programs_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"ids\.txt cannot be read"):
        read_ids(tmp_path / "ids.txt")


def test_a_split_holds_the_programs_of_its_problems_only(tmp_path: Path) -> None:
    groups = [group_in("train"), group_in("calibration"), group_in("test")]
    data = read_probe_data(write(tmp_path, *(program("x", group=group) for group in groups)), per_group=9)

    assert [[each.group for each in data.of(split).programs] for split in ("train", "calibration", "test")] == [
        [group] for group in groups
    ]


def test_a_split_without_programs_is_refused_by_name(tmp_path: Path) -> None:
    data = read_probe_data(write(tmp_path, program("x", group=group_in("train"))), per_group=9)

    with pytest.raises(BadInput, match="no labelled program belongs to the test problems"):
        data.of("test")


def test_a_folder_without_patches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no index\.json"):
        read_probe_data(tmp_path, per_group=9)
