"""Problem files as HumanEval, MBPP and LiveCodeBench publish them."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.patches.programs import read_problems
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import Problem, judge

HUMAN_EVAL = {
    "task_id": "HumanEval/0",
    "prompt": "def double(x):\n",
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}
MBPP = {
    "task_id": 7,
    "text": "Write a function to double a number.",
    "code": "def double(x): return 2 * x",
    "test_setup_code": "import math",
    "test_list": ["assert double(2) == math.sqrt(16)", "assert double(0) == 0"],
}


def packed(cases: list[dict[str, str]]) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases)))).decode()


def live_code_bench(public: list[dict[str, str]], hidden: list[dict[str, str]], name: str | None) -> dict[str, Any]:
    return {
        "question_id": "abc1_a",
        "platform": "atcoder",
        "question_content": "Double it.",
        "starter_code": "class Solution:\n    def double(self, x: int) -> int:\n" if name else "",
        "public_test_cases": json.dumps(public),
        "private_test_cases": packed(hidden),
        "metadata": json.dumps({"func_name": name} if name else {}),
    }


STDIO = live_code_bench([{"input": "2\n", "output": "4\n"}], [{"input": "5\n", "output": "10"}], None)
CALLS = live_code_bench([{"input": "2", "output": "4"}], [{"input": "5", "output": "10"}], "double")


def read(path: Path, record: dict[str, Any]) -> Problem:
    file = path / "problems.jsonl"
    file.write_text(json.dumps(record) + "\n")
    return next(read_problems(file))


@pytest.mark.parametrize(
    ("record", "right", "wrong"),
    [
        (HUMAN_EVAL, "def double(x): return 2 * x", "def double(x): return x"),
        (MBPP, "def double(x): return 2 * x", "def double(x): return 4"),
        (STDIO, "print(2 * int(input()))", "print(4)"),
        (
            CALLS,
            "class Solution:\n    def double(self, x): return 2 * x",
            "class Solution:\n    def double(self, x): return 4",
        ),
    ],
    ids=["HumanEval", "MBPP", "LiveCodeBench, stdio", "LiveCodeBench, calls"],
)
def test_its_tests_tell_right_from_wrong(
    tmp_path: Path, shared_sandbox: Sandbox, record: dict[str, Any], right: str, wrong: str
) -> None:
    problem = read(tmp_path, record)

    assert [judge(shared_sandbox, problem, program).passed for program in (right, wrong)] == [True, False]
    shared_sandbox.close()


def test_the_reference_is_a_whole_program(tmp_path: Path) -> None:
    assert read(tmp_path, HUMAN_EVAL).reference == "def double(x):\n    return 2 * x\n"


def test_problems_that_ask_in_words_show_the_tests(tmp_path: Path) -> None:
    problem = read(tmp_path, MBPP)

    assert "assert double(0) == 0" in problem.prompt
    assert problem.text == MBPP["text"]


def test_a_pickle_that_names_code_is_refused(tmp_path: Path) -> None:
    hidden = base64.b64encode(zlib.compress(pickle.dumps(len))).decode()

    with pytest.raises(BadInput, match=r"problems.jsonl:1: its tests cannot be read: .* it names builtins.len"):
        read(tmp_path, {**STDIO, "private_test_cases": hidden})


def test_damaged_tests_are_refused_with_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"problems.jsonl:1: its tests cannot be read"):
        read(tmp_path, {**STDIO, "private_test_cases": "?"})
