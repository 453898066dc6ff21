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
from risk_lsp.lab.training.model_commands import model_written_documents
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
        "test_kind": "none",
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


def texts_of(folder: Path) -> list[str]:
    return [found.text for found in model_written_documents(folder, per_group=9)]


def test_records_whose_labels_contradict_each_other_are_left_out(folder: Path) -> None:
    save_samples(folder, sample(conflict=True), sample(program="x = 1\n"))

    assert [text.splitlines()[-1] for text in texts_of(folder)] == ["x = 1"]


def test_leetcodes_prelude_is_dropped(folder: Path) -> None:
    save_samples(folder, sample(benchmark="leetcode", program=PRELUDE + SOLUTION, prompt_lines=3))

    (text,) = texts_of(folder)
    assert text.endswith(SOLUTION)
    assert "import" not in text


def test_the_prompt_of_other_benchmarks_stays(folder: Path) -> None:
    save_samples(folder, sample(prompt_lines=1))

    (text,) = texts_of(folder)
    assert text.endswith("def f():\n    return 1\n")


@pytest.mark.parametrize(("text", "shown"), [("Return one.", "Return one."), (None, "def f():")])
def test_a_prompt_is_the_text_or_else_the_code_that_was_given(folder: Path, text: str | None, shown: str) -> None:
    write_records(folder / "problems_toy.jsonl.xz", [problem(text=text)])
    save_samples(folder, sample(program="x = 1\n", prompt_lines=0))

    (found,) = texts_of(folder)
    assert shown in found


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
        list(model_written_documents(tmp_path, per_group=9))
