"""What answers about a failing program are worth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from risk_lsp.lab.debugger.debugging_data import Attempt, Examiner, Mistake
from risk_lsp.lab.debugger.rewards import ExplanationReward, RepairReward, likeness
from risk_lsp.sandbox.verdicts import Problem
from tests.lab.debugger.debugging import RIGHT, WORDS, WRONG, problem

pytestmark = pytest.mark.usefixtures("sandboxed")
PROBLEM = Problem(**{**problem(0), "entry_point": None})
MISTAKE = Mistake(PROBLEM, WRONG, "it fails", (Attempt(WORDS, RIGHT, True),))
STDIO = Problem(
    **{
        **problem(1),
        "entry_point": None,
        "test_kind": "stdio",
        "tests": "CASES = [('1', '2'), ('2', '4'), ('3', '6'), ('4', '5')]\n"
        "def check_stdio(run):\n    for given, said in CASES:\n        assert run(given).strip() == said\n",
    }
)


@pytest.fixture(scope="module")
def examiner() -> Iterator[Examiner]:
    with Examiner() as found:
        yield found


def worth(examiner: Examiner, program: str) -> float:
    return RepairReward([MISTAKE], examiner).of(MISTAKE, f"So:\n```python\n{program}```")


def test_a_right_repair_is_worth_its_tests_and_its_likeness_to_one_that_is_known(examiner: Examiner) -> None:
    assert worth(examiner, RIGHT) == pytest.approx(2.0)


def test_a_repair_is_worth_more_the_more_tests_it_passes(examiner: Examiner) -> None:
    half = worth(examiner, WRONG.replace("-", "*"))

    assert worth(examiner, WRONG.replace("a - b", "a ** 9")) < half < worth(examiner, RIGHT)


def test_an_answer_without_a_program_is_worth_nothing(examiner: Examiner) -> None:
    assert RepairReward([MISTAKE], examiner)(completions=["I do not know."], mistake=[0]) == [0.0]


def test_a_program_that_says_that_it_passed_is_not_believed(examiner: Examiner) -> None:
    from risk_lsp.repair.harness import MARK

    cheat = f"print({MARK!r} + '[[], [], [], 99]')\nimport os\nos._exit(0)\n"

    assert not examiner.examine(PROBLEM, cheat).passed
    assert examiner.examine(PROBLEM, cheat).share < 1.0


def test_a_hostile_answer_is_contained(examiner: Examiner, tmp_path: Path) -> None:
    touched = tmp_path / "touched.txt"
    hostile = (
        f"import os\ntry:\n    open({str(touched)!r}, 'w')\nexcept OSError:\n    os.kill(os.getppid(), 9)\n{WRONG}"
    )

    assert worth(examiner, hostile) < worth(examiner, RIGHT) == pytest.approx(2.0)
    assert not touched.exists()


def test_the_cases_of_a_script_count_one_by_one(examiner: Examiner) -> None:
    examined = examiner.examine(STDIO, "print(2 * int(input()))\n")

    assert (examined.passed, examined.share) == (False, 0.75)


def test_a_program_that_cannot_be_read_passes_no_test(examiner: Examiner) -> None:
    assert examiner.examine(PROBLEM, "def add(a, b:\n").share == 0.0


def test_an_explanation_is_worth_what_it_shares_with_one_that_led_to_a_repair() -> None:
    reward = ExplanationReward([MISTAKE, Mistake(PROBLEM, WRONG, "", ())])
    said = f"{WORDS}\n```python\n{RIGHT}```"
    found = reward(completions=[said, "No.", said, said], mistake=[0, 0, 0, 1], explained=[True, True, False, True])

    assert found == [pytest.approx(1.0), 0.0, None, None]


def test_likeness_does_not_depend_on_the_order_or_the_case_of_words() -> None:
    assert likeness("It subtracts, it should add", "it should ADD; it subtracts") == pytest.approx(1.0)
    assert likeness("", "words") == 0.0
