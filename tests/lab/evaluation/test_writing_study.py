"""Whether it helps to pick what is written by its risk: which problems, which texts, and what the figures say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.writing_study import DrawnProblem, DrawnText, begun_problems, figures_of, study_markdown
from risk_lsp.lab.training.training_documents import split_of
from tests.probe.tiny import save_model, save_tiny_bundle

TEST_GROUPS = [group for group in map(str, range(100)) if split_of(group) == "test"][:4]
TRAIN_GROUP = next(group for group in map(str, range(100)) if split_of(group) == "train")
PROMPT = 'def first(values):\n    """The first of some values."""\n'
OPTIONS = {"bundle": "tiny", "samples": 3, "temperature": 0.8, "max_tokens": 8, "seed": 0}


def problem(group: str, name: str = "", **fields: Any) -> dict[str, Any]:
    tests = "assert first([1]) == 1\n"
    own = {"task_id": f"T/{group}{name}", "benchmark": "t", "group": group, "prompt": PROMPT, "entry_point": "first"}
    return {**own, "test_kind": "append", "tests": tests, "reference": None, "license": "MIT", **fields}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of problems of several splits and kinds."""
    folder = tmp_path / "data"
    folder.mkdir()
    records = [
        *(problem(group) for group in TEST_GROUPS[:2]),
        problem(TEST_GROUPS[0], "+", tests="assert first([1]) == 1\nassert first([2]) == 2\n"),
        problem(TRAIN_GROUP),
        problem(TEST_GROUPS[2], prompt="Print a number.", test_kind="stdio"),
        problem(TEST_GROUPS[3], prompt=PROMPT + "    return values[0]\n"),
    ]
    (folder / "problems_t.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
    return folder


def text(words: str, probability: float, log_probability: float = -1.0, tokens: int = 5) -> DrawnText:
    return DrawnText(words, probability, log_probability, tokens)


def drawn(name: str, *texts: DrawnText) -> DrawnProblem:
    return DrawnProblem(name, OPTIONS, texts[0], list(texts), 1.0)


def test_only_functions_to_be_written_of_the_test_split_are_problems(data: Path) -> None:
    found = begun_problems(data, [], seed=0)

    assert {each.problem.group for each in found} == set(TEST_GROUPS[:2])


def test_of_a_group_the_problem_with_the_longest_tests_counts(data: Path) -> None:
    names = {each.problem.task_id for each in begun_problems(data, [], seed=0)}

    assert f"T/{TEST_GROUPS[0]}+" in names and f"T/{TEST_GROUPS[0]}" not in names


def test_a_written_body_makes_a_program(data: Path) -> None:
    begun, *_ = begun_problems(data, ["t"], seed=0)

    assert begun.program("\n    return values[0]").strip() == PROMPT + "    return values[0]"


def test_a_folder_without_such_problems_is_refused(data: Path) -> None:
    with pytest.raises(BadInput, match="begins a function"):
        begun_problems(data, ["another"], seed=0)


def test_each_way_of_picking_has_its_rate() -> None:
    found = [
        drawn("a", text("x", 0.5), text("y", 0.1, -3.0), text("z", 0.9, -0.5, tokens=1)),
        drawn("b", text("x", 0.5), text("y", 0.1, -3.0), text("z", 0.9, -0.5, tokens=1)),
    ]
    figures = figures_of(found, [[False, False, True, False], [False, False, True, True]], resamples=50)
    rates = {name: each["rate"][0] for name, each in figures["pass_rates"].items()}

    assert rates == {
        "the first": 0.0,
        "one at random": 0.5,
        "the lowest risk": 1.0,
        "the highest mean log-probability": 0.5,
        "the fewest tokens": 0.5,
        "any of them that passes": 1.0,
        "the likeliest, word by word": 0.0,
    }
    assert figures["pass_rates"]["the lowest risk"]["over_random"][0] == 0.5
    assert figures["mixed"] == 2


def test_the_length_of_what_is_picked_stands_beside_its_rate() -> None:
    found = [drawn("a", text("x", 0.5, tokens=8), text("y", 0.1, tokens=2))]
    figures = figures_of(found, [[False, True, False]], resamples=50)

    assert figures["pass_rates"]["the lowest risk"]["tokens"] == 2.0
    assert figures["pass_rates"]["one at random"]["tokens"] == 5.0


def test_nothing_is_picked_that_was_not_written() -> None:
    found = [drawn("a", text("", 1.0, 0.0, 0), text("y", 0.4)), drawn("b", text("x", 0.2), text("y", 0.4))]
    figures = figures_of(found, [[False, False, True], [False, False, True]], resamples=50)

    assert figures["pass_rates"]["the fewest tokens"]["rate"][0] == 0.5
    assert figures["texts"] == 3


def test_the_probabilities_are_judged_by_what_fails() -> None:
    found = [drawn(name, text("x", 0.9), text("y", 0.1)) for name in "abc"]
    numbers = figures_of(found, [[False, False, True]] * 3, resamples=50)["numbers"]

    assert numbers["orders"]["the lowest risk"]["auc"][0] == 1.0
    assert numbers["orders"]["the lowest risk"]["within"][0] == 1.0
    assert numbers["ece"][0] == pytest.approx(0.1)


@pytest.mark.parametrize(("good", "words"), [(True, "beats one at random"), (False, "does not surely beat")])
def test_the_page_says_whether_it_helps(good: bool, words: str) -> None:
    found = [drawn(str(name), text("x", 0.9), text("y", 0.1)) for name in range(20)]
    passed = [[False, False, True] if good or name % 2 else [False, True, False] for name in range(20)]
    figures = {"benchmarks": {"t": 20}, **figures_of(found, passed, resamples=200)}

    assert words in study_markdown(figures)


def test_the_page_says_where_problems_are_too_few() -> None:
    found = [drawn(str(name), text("x", 0.9), text("y", 0.1)) for name in range(4)]
    passed = [[False, False, True] if name % 2 else [False, True, False] for name in range(4)]
    figures = {"benchmarks": {"t": 4}, **figures_of(found, passed, resamples=200)}

    assert "So few problems cannot tell a difference of 3 points" in study_markdown(figures)


def test_a_run_goes_on_where_it_was_ended(data: Path, tmp_path: Path, sandboxed: None) -> None:
    bundle = save_tiny_bundle(tmp_path / "bundle", save_model(tmp_path / "model", context=512))
    command = ["evaluate", "writing", str(tmp_path / "out"), "--data", str(data), "--bundle", str(bundle)]
    command += ["--samples", "2", "--max-tokens", "24", "--threads", "1"]
    assert main([*command, "--problems", "1"]) == 0
    store = tmp_path / "out" / "texts.jsonl"
    first = store.read_text("utf-8")
    with store.open("a", encoding="utf-8") as file:
        file.write('{"task_id": "cut sh')

    assert main(command) == 0
    both = store.read_text("utf-8")
    assert both.startswith(first) and both.count("\n") == 2
    assert (tmp_path / "out" / "writing-study.md").read_text("utf-8").startswith("# Does picking by risk help?")
