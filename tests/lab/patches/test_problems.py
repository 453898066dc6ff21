from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.patches.programs import Sample, problems_by_id, read_problems, read_samples
from risk_lsp.sandbox.verdicts import Problem

PROBLEM: dict[str, Any] = {
    "task_id": "Own/1",
    "benchmark": "own",
    "group": "Own/1",
    "prompt": "def f():\n",
    "test_kind": "append",
    "tests": "assert f() == 1\n",
    "something_else": [1, 2],
}
SAMPLE: dict[str, Any] = {
    "task_id": "Own/1",
    "benchmark": "own",
    "group": "Own/1",
    "model": "tiny",
    "program": "def f():\n    return 1\n",
    "prompt_lines": 1,
    "verified": True,
    "passed": None,
}


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def changed(record: dict[str, Any], **fields: object) -> dict[str, Any]:
    return {name: value for name, value in (record | fields).items() if value is not ...}


def test_a_problem_is_read_with_its_defaults(tmp_path: Path) -> None:
    assert list(read_problems(write(tmp_path / "problems.jsonl", PROBLEM))) == [
        Problem("Own/1", "own", "Own/1", "def f():\n", None, "append", "assert f() == 1\n", None, "")
    ]


def test_a_sample_is_read_with_its_defaults(tmp_path: Path) -> None:
    assert list(read_samples(write(tmp_path / "samples.jsonl", SAMPLE))) == [
        Sample("Own/1", "own", "Own/1", "tiny", "def f():\n    return 1\n", 1, "", None, True, False, 1, "")
    ]


def test_a_problem_for_labels_only_needs_no_tests(tmp_path: Path) -> None:
    record = changed(PROBLEM, test_kind="none", tests=None)

    assert [problem.tests for problem in read_problems(write(tmp_path / "problems.jsonl", record))] == [""]


@pytest.mark.parametrize(("suffix", "compress"), [(".xz", lzma.compress), (".gz", gzip.compress)])
def test_compressed_files_are_read(tmp_path: Path, suffix: str, compress: Any) -> None:
    path = tmp_path / f"problems.jsonl{suffix}"
    path.write_bytes(compress(json.dumps(PROBLEM).encode()))

    assert [problem.task_id for problem in read_problems(path)] == ["Own/1"]


def test_blank_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text("\n" + json.dumps(PROBLEM) + "\n\n")

    assert len(list(read_problems(path))) == 1


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"tests": ...}, "field 'tests' is missing"),
        ({"tests": None}, "field 'tests' holds null, not a text"),
        ({"task_id": 7}, "field 'task_id' holds 7, not a text"),
        ({"test_kind": "shell"}, "test_kind is 'shell', not one of append, stdio, none"),
    ],
)
def test_a_wrong_problem_is_refused_with_file_and_line(
    tmp_path: Path, fields: dict[str, object], complaint: str
) -> None:
    path = write(tmp_path / "problems.jsonl", PROBLEM, changed(PROBLEM, **fields))

    with pytest.raises(BadInput) as caught:
        list(read_problems(path))
    assert caught.value.message == f"{path}:2: {complaint}"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"program": ...}, "field 'program' is missing"),
        ({"verified": "yes"}, "field 'verified' holds \"yes\", not true or false"),
        ({"prompt_lines": True}, "field 'prompt_lines' holds true, not a whole number"),
        ({"prompt_lines": 9}, "prompt_lines is 9, but the program has 3 lines"),
    ],
)
def test_a_wrong_sample_is_refused_with_file_and_line(
    tmp_path: Path, fields: dict[str, object], complaint: str
) -> None:
    path = write(tmp_path / "samples.jsonl", SAMPLE, changed(SAMPLE, **fields))

    with pytest.raises(BadInput) as caught:
        list(read_samples(path))
    assert caught.value.message == f"{path}:2: {complaint}"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{}\n{", r":1: field 'test_kind' is missing"),
        (b"{", r":1: is not JSON \(Expecting property name"),
        (b"[1]", r":1: is not a JSON object"),
        (b"\xff\xfe", r":1: is not UTF-8"),
    ],
)
def test_a_file_that_is_no_json_lines_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_bytes(content)

    with pytest.raises(BadInput, match=complaint):
        list(read_problems(path))


@pytest.mark.parametrize("name", ["missing.jsonl", "missing.jsonl.xz", "."])
def test_a_file_that_cannot_be_opened_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"cannot be read: .*(No such file|Is a directory)"):
        list(read_problems(tmp_path / name))


@pytest.mark.parametrize("name", ["problems.jsonl.xz", "problems.jsonl.gz"])
def test_a_damaged_archive_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not an archive")

    with pytest.raises(BadInput, match=f"{name} cannot be read"):
        list(read_problems(tmp_path / name))


def test_problems_of_several_files_are_found_by_id(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", PROBLEM)
    second = write(tmp_path / "b.jsonl", changed(PROBLEM, task_id="Own/2"))

    assert list(problems_by_id([first, second])) == ["Own/1", "Own/2"]


def test_an_id_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", PROBLEM, PROBLEM)

    with pytest.raises(BadInput, match="problem Own/1 comes twice"):
        problems_by_id([path])
