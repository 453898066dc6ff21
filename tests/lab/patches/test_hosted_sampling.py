"""`risk-lsp patches sample` with a model that this machine runs: the embedded default, and a folder of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.lab.patches.programs import read_samples
from tests.model.conftest import save_family

DOUBLE = 'def double(x):\n    """Double it."""\n'
CASES = '[{"input": "1\\n", "output": "2\\n"}]'
PROBLEMS: list[dict[str, Any]] = [
    {"task_id": "HumanEval/1", "prompt": DOUBLE, "entry_point": "double", "test": "def check(f): pass"},
    {"task_id": 2, "text": "Write a function to halve a number.", "test_list": ["assert half(4) == 2"]},
    {
        "question_id": "3",
        "platform": "leetcode",
        "question_content": "Double it.",
        "starter_code": "class Solution:\n    def double(self, x: int) -> int:\n",
        "public_test_cases": CASES,
        "metadata": '{"func_name": "double"}',
    },
    {"question_id": "4", "platform": "codeforces", "question_content": "Double it.", "public_test_cases": CASES},
    {
        "task_id": "own/5",
        "benchmark": "own",
        "group": "own/5",
        "prompt": "Double it.",
        "starter": "class Solution:\n    def double(self, x: int) -> int:",
        "prelude": "from math import *\n",
        "test_kind": "append",
        "tests": "assert Solution().double(1) == 2\n",
    },
]


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(problem) + "\n" for problem in PROBLEMS))
    return path


def sample(problems: Path, out: Path, *more: str) -> list[dict[str, Any]]:
    """The samples of two programs per problem, by the embedded default."""
    arguments = ["--problems", str(problems), "--per-problem", "2", "--max-tokens", "12", "--threads", "1", *more]
    assert main(["patches", "sample", str(out), *arguments]) == 0
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_every_format_of_problems_gets_programs_that_can_be_read(problems: Path, tmp_path: Path) -> None:
    sample(problems, tmp_path / "out.jsonl")
    samples = list(read_samples(tmp_path / "out.jsonl"))

    names = ["HumanEval/1", "MBPP/2", "LCB/leetcode/3", "LCB/codeforces/4", "own/5"]
    assert [sample.task_id for sample in samples] == [name for name in names for _ in range(2)]
    assert {(sample.model, sample.verified) for sample in samples} == {("default", None)}


def test_a_program_starts_with_what_it_has_to_start_with(problems: Path, tmp_path: Path) -> None:
    records = {record["task_id"]: record for record in sample(problems, tmp_path / "out.jsonl")}

    def given(name: str) -> str:
        return "".join(records[name]["program"].splitlines(keepends=True)[: records[name]["prompt_lines"]])

    assert given("HumanEval/1") == DOUBLE
    assert given("LCB/leetcode/3") == PROBLEMS[2]["starter_code"]
    assert records["own/5"]["program"].startswith("from math import *\nclass Solution:\n    def double(")
    assert given("own/5") == "from math import *\n"
    assert given("MBPP/2") == given("LCB/codeforces/4") == ""


def test_tokens_are_counted_and_kept_within_bounds(
    problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = sample(problems, tmp_path / "out.jsonl")
    read = sum(record["prompt_tokens"] for record in records)
    written = sum(record["completion_tokens"] for record in records)

    assert all(0 < record["completion_tokens"] <= 12 for record in records)
    assert f"10 programs more, {read} tokens read and {written} written" in capsys.readouterr().out


def test_a_seed_gives_the_same_programs_and_another_one_others(problems: Path, tmp_path: Path) -> None:
    first = sample(problems, tmp_path / "a.jsonl", "--seed", "1")

    assert sample(problems, tmp_path / "b.jsonl", "--seed", "1") == first
    assert sample(problems, tmp_path / "c.jsonl", "--seed", "2") != first


def test_a_run_that_goes_on_writes_what_one_run_would_have_written(problems: Path, tmp_path: Path) -> None:
    whole = sample(problems, tmp_path / "whole.jsonl")
    parts = tmp_path / "parts.jsonl"
    sample(problems, parts, "--per-problem", "1")
    parts.write_bytes(parts.read_bytes()[:-30])  # as if killed while writing

    def programs(records: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(record["task_id"], record["program"]) for record in records}

    assert programs(sample(problems, parts)) == programs(whole)


def test_a_program_ends_in_front_of_a_text_that_is_to_end_it(problems: Path, tmp_path: Path) -> None:
    records = sample(problems, tmp_path / "out.jsonl", "--stop", "e", "--max-tokens", "40")
    written = {record["program"].removeprefix(DOUBLE) for record in records if record["task_id"] == "HumanEval/1"}

    assert all("e" not in text for text in written)


def test_a_function_is_over_where_the_next_statement_begins_at_the_margin(problems: Path, tmp_path: Path) -> None:
    problems.write_text(json.dumps(PROBLEMS[0]) + "\n")
    records = sample(problems, tmp_path / "out.jsonl", "--max-tokens", "80", "--temperature", "1.2")
    bodies = [record["program"].removeprefix(DOUBLE) for record in records]

    assert bodies
    assert all(
        not line.strip() or line.startswith((" ", ")", "]", "}")) for body in bodies for line in body.splitlines()
    )


def test_a_model_of_ones_own_goes_by_its_folders_name(problems: Path, tmp_path: Path) -> None:
    folder = save_family(tmp_path / "my-model", "Llama")
    records = sample(problems, tmp_path / "out.jsonl", "--model", str(folder), "--top-p", "0.9")

    assert {(record["model"], record["top_p"]) for record in records} == {("my-model", 0.9)}
    assert len(records) == 10


def test_a_model_that_is_not_on_this_machine_is_not_fetched(
    problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    arguments = ["--problems", str(problems), "--model", "nobody/nothing-of-the-kind"]

    assert main(["patches", "sample", str(tmp_path / "out.jsonl"), *arguments]) == 2
    assert "loading is offline" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--top-p", "0"], "--top-p 0.0 is not a share"),
        (["--temperature", "-1"], "--temperature -1.0 is below 0"),
        (["--stop", ""], "--stop is empty"),
        (["--max-tokens", "0"], "--max-tokens must be 1 or more"),
        (["--provider", "openai"], "no model is named"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["patches", "sample", str(tmp_path / "out.jsonl"), "--problems", str(problems), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_program_gets_no_more_than_its_share_of_the_references_length(tmp_path: Path) -> None:
    problem = {**PROBLEMS[0], "canonical_solution": "    return 2 * x\n"}
    path = tmp_path / "problems.jsonl"
    path.write_text(json.dumps(problem) + "\n")
    written = sample(path, tmp_path / "out.jsonl", "--max-tokens", "400", "--length", "1.5")

    # Ten tokens or so, half as many again, and the sixteen that every program gets.
    assert all(record["completion_tokens"] <= 40 for record in written)


def test_the_shortest_problems_can_come_first(problems: Path, tmp_path: Path) -> None:
    names = [record["task_id"] for record in sample(problems, tmp_path / "out.jsonl", "--shortest-first")]

    assert names[0] == "LCB/leetcode/3"
    assert names[-1] == "MBPP/2"


def test_a_length_without_room_is_refused(problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["patches", "sample", str(tmp_path / "out.jsonl"), "--problems", str(problems), "--length", "0"]

    assert main(arguments) == 2
    assert "leaves no room for a program" in capsys.readouterr().err
