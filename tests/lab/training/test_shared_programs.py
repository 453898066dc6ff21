"""The labelled data set's records as texts."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.errors import BadInput
from risk_lsp.lab.patches.labels import with_intent
from risk_lsp.lab.training.shared_programs import model_written_documents, read_prompts, read_records, read_samples
from tests.lab.training.makers import group_in, write_records

PRELUDE = "from typing import *\nimport math\n\n"
SOLUTION = "class Solution:\n    def solve(self):\n        return 1\n"


def sample(**changes: Any) -> dict[str, Any]:
    return {
        "task_id": "Toy/1",
        "group": group_in("train"),
        "benchmark": "humaneval",
        "model": "some-model",
        "program": "def f():\n    return 1\n",
        "prompt_lines": 1,
        "passed": True,
        "verified": None,
        **changes,
    }


def problem(**changes: Any) -> dict[str, Any]:
    return {
        "task_id": "Toy/1",
        "group": group_in("train"),
        "benchmark": "humaneval",
        "prompt": "def f():\n",
        "text": "Return one.",
        "reference": None,
        "license": "MIT",
        **changes,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_records(tmp_path / "problems_toy.jsonl.xz", [problem()])
    return tmp_path


def save_samples(folder: Path, *records: dict[str, Any]) -> None:
    write_records(folder / "samples_toy.jsonl.xz", records)


@given(st.text(st.characters(exclude_characters="\0")), st.text())
def test_the_program_stands_unchanged_behind_what_was_asked(prompt: str, program: str) -> None:
    text, shift = with_intent(program, prompt)

    assert text[shift:] == program


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_what_was_asked_is_a_docstring_whatever_it_holds(prompt: str) -> None:
    text, shift = with_intent("x = 1\n", prompt)

    assert isinstance(ast.parse(text).body[0], ast.Expr if shift else ast.Assign)


def test_a_program_that_says_what_was_asked_stays_as_it_is() -> None:
    program = 'def f():\n    """Return the number one."""\n'

    assert with_intent(program, "f\nReturn the number one.") == (program, 0)


def test_without_a_prompt_a_program_stays_as_it_is() -> None:
    assert with_intent("x = 1\n", " \n") == ("x = 1\n", 0)


def test_the_outcome_is_our_own_run_where_there_is_one(folder: Path) -> None:
    save_samples(folder, sample(passed=True, verified=False), sample(passed=True, verified=None))

    assert [found.passed for found in read_samples(folder)] == [False, True]


def test_records_whose_labels_contradict_each_other_are_left_out(folder: Path) -> None:
    save_samples(folder, sample(conflict=True), sample(model="kept"))

    assert [found.model for found in read_samples(folder)] == ["kept"]


def test_leetcodes_prelude_is_dropped_and_counted(folder: Path) -> None:
    save_samples(folder, sample(benchmark="leetcode", program=PRELUDE + SOLUTION, prompt_lines=3))

    (found,) = read_samples(folder)
    assert (found.program, found.prompt_lines, found.dropped_lines) == (SOLUTION, 0, 3)


def test_the_prompt_of_other_benchmarks_stays(folder: Path) -> None:
    save_samples(folder, sample(prompt_lines=1))

    (found,) = read_samples(folder)
    assert (found.program, found.prompt_lines, found.dropped_lines) == ("def f():\n    return 1\n", 1, 0)


def test_a_prompt_is_the_text_or_else_the_code_that_was_given(folder: Path) -> None:
    write_records(folder / "problems_toy.jsonl.xz", [problem(), problem(task_id="Toy/2", text=None)])

    assert read_prompts(folder) == {"Toy/1": "Return one.", "Toy/2": "def f():"}


def test_only_programs_of_training_problems_are_learnt_from(folder: Path) -> None:
    groups = [group_in("train"), group_in("calibration"), group_in("test")]
    save_samples(folder, *(sample(group=group, program=f"x = '{group}'\n") for group in groups))
    references = [problem(group=group, task_id=group, reference=f"y = '{group}'\n") for group in groups]
    write_records(folder / "problems_toy.jsonl.xz", references)

    texts = "".join(found.text for found in model_written_documents(folder, per_group=9))
    assert [texts.count(f"'{group}'") for group in groups] == [2, 0, 0]


def test_every_other_program_shows_what_was_asked(folder: Path) -> None:
    save_samples(folder, *(sample(program=f"x = {index}\n") for index in range(6)))

    shown = ["Return one." in found.text for found in model_written_documents(folder, per_group=6)]
    assert shown == [True, False] * 3


def test_no_more_programs_of_a_problem_are_taken_than_asked_and_always_the_same(folder: Path) -> None:
    save_samples(folder, *(sample(program=f"x = {index}\n") for index in range(9)))
    first = [found.text for found in model_written_documents(folder, per_group=4)]
    save_samples(folder, *(sample(program=f"x = {index}\n") for index in reversed(range(9))))

    assert len(first) == 4
    assert [found.text for found in model_written_documents(folder, per_group=4)] == first


def test_a_folder_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no samples_\*\.jsonl\.xz"):
        list(read_samples(tmp_path))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.xz"])
def test_records_come_back_from_plain_and_compressed_files(tmp_path: Path, name: str) -> None:
    records: list[dict[str, Any]] = [{"a": "ü\n"}, {"b": 2}]
    write_records(tmp_path / name, records)

    assert list(read_records(tmp_path / name)) == records


def test_a_line_that_is_not_json_is_refused_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n{\n")

    with pytest.raises(BadInput, match=r"a\.jsonl:2 is not JSON"):
        list(read_records(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", b"\xff\xff\n"), ("a.jsonl.xz", b"not xz"), ("a.jsonl.xz", b"\xfd7zXZ\0")]
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BadInput, match=f"{name} is damaged"):
        list(read_records(tmp_path / name))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no data file"):
        list(read_records(tmp_path / "a.jsonl"))
