"""What a build makes of the files it is given: which programs count, and against which tests."""

from __future__ import annotations

import json
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.patches.build_inputs import InputFiles, Inputs, read_inputs
from risk_lsp.lab.patches.programs import Sample

PROGRAM = "def f(x):\n    return x\n"


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def problem(task_id: str = "HumanEval/1", **fields: Any) -> dict[str, Any]:
    own = {"task_id": task_id, "benchmark": "own", "group": "HumanEval/1", "prompt": "", "test_kind": "append"}
    return {**own, "tests": "assert f(1) == 1\n", **fields}


def read(tmp_path: Path, problems: list[dict[str, Any]], *more: dict[str, Any], **sample: Any) -> Inputs:
    """The inputs of one sample, with these fields; `more` are verdicts."""
    record = {"task_id": "HumanEval/1", "group": "HumanEval/1", "model": "m", "program": PROGRAM, "prompt_lines": 0}
    return read_inputs(
        InputFiles(
            (write(tmp_path / "problems.jsonl", *problems),),
            (write(tmp_path / "samples.jsonl", {**record, **sample}),),
            (write(tmp_path / "verdicts.jsonl", *more),),
        )
    )


def only(inputs: Inputs) -> Sample:
    (sample,) = inputs.samples.values()
    return sample


def test_a_sample_without_a_benchmark_has_that_of_its_problem(tmp_path: Path) -> None:
    assert only(read(tmp_path, [problem()])).benchmark == "own"


def test_what_a_program_was_repaired_to_is_a_program_too(tmp_path: Path) -> None:
    fields = {"repaired": "def f(x):\n    return 2\n", "verified": False, "repaired_verified": True}
    verdicts = {sample.program: sample.verified for sample in read(tmp_path, [problem()], **fields).samples.values()}

    assert verdicts == {PROGRAM: False, fields["repaired"]: True}


@pytest.mark.parametrize(
    "fields",
    [{"tests_suspect": True}, {"multiple_answers": True}, {"tests_solvable": False}, {"test_kind": "none"}],
    ids=lambda fields: next(iter(fields)),
)
def test_programs_of_problems_without_tests_to_trust_do_not_count(tmp_path: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="no program has a problem with tests"):
        read(tmp_path, [problem(**fields)])


def test_a_problem_with_tests_takes_the_place_of_the_same_one_without(tmp_path: Path) -> None:
    inputs = read(tmp_path, [problem(test_kind="none", tests=None), problem()])

    assert inputs.problems["HumanEval/1"].test_kind == "append"


def test_a_program_that_fails_stricter_tests_fails_that_problem(tmp_path: Path) -> None:
    sample = only(read(tmp_path, [problem(), problem("HumanEvalPlus/1")], verified=True, plus=False))

    assert (sample.task_id, sample.verified) == ("HumanEvalPlus/1", False)


def test_a_verdict_stands_in_for_a_run(tmp_path: Path) -> None:
    digest = md5("".join(PROGRAM.split()).encode(), usedforsecurity=False).hexdigest()
    verdict = {"task_id": "HumanEval/1", "program_md5_nows": digest, "verified": False, "err": "AssertionError"}
    sample = only(read(tmp_path, [problem()], verdict))

    assert (sample.verified, sample.failure) == (False, "AssertionError")


@pytest.mark.parametrize("failure", ["SyntaxError", "timeout", "load:ImportError"])
def test_what_needs_no_search_is_not_searched(tmp_path: Path, failure: str) -> None:
    assert not read(tmp_path, [problem()], verified=False, err=failure).pending(None, None)


def test_what_failed_its_tests_is_searched(tmp_path: Path) -> None:
    assert len(read(tmp_path, [problem()], verified=False, err="AssertionError").pending(None, None)) == 1
