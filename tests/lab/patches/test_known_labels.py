"""Labels without their programs: a build finds its patches again from them, and believes them only if it is told to."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.cli.command_line import main
from tests.lab.patches.building import build, parts, released

pytestmark = pytest.mark.usefixtures("shared_sandbox")


def labels_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lzma.decompress(path.read_bytes()).decode().splitlines()]


def write_labels(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_bytes(lzma.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    return path


@pytest.fixture
def labels(tmp_path: Path, inputs: list[str]) -> Path:
    """What a first build, in the folder "first", left."""
    build(tmp_path / "first", inputs)
    return tmp_path / "first" / "labels" / "own.jsonl.xz"


def rebuilt(tmp_path: Path, inputs: list[str], labels: Path) -> list[dict[str, Any]]:
    build(tmp_path / "second", [*inputs, "--known", str(labels), "--per-problem", "0"])
    return released(tmp_path / "second")


def test_they_hold_no_program(labels: Path) -> None:
    described = [label["patch"] for label in labels_of(labels) if "patch" in label]

    assert len(described) == 6
    assert all("fixed" not in patch for patch in described)


def test_with_the_programs_they_give_the_whole_data_set_again(tmp_path: Path, inputs: list[str], labels: Path) -> None:
    assert rebuilt(tmp_path, inputs, labels) == released(tmp_path / "first")


def test_nothing_is_searched_for_what_is_known(tmp_path: Path, inputs: list[str], labels: Path) -> None:
    # A number that no search would give tells a label from a search.
    marked = [{**label, "runs": 12345} if "patch" in label else label for label in labels_of(labels)]
    records = rebuilt(tmp_path, inputs, write_labels(tmp_path / "marked.jsonl.xz", marked))

    assert {record["runs"] for record in records if "patch" in record} == {12345}


@pytest.mark.parametrize("replacement", ["//", "+ 1 +"], ids=["fails", "does too much"])
def test_a_patch_that_does_not_pass_the_tests_is_searched_anew(
    tmp_path: Path,
    inputs: list[str],
    labels: Path,
    replacement: str,
) -> None:
    lines = labels_of(labels)
    wrong = next(label for label in lines if "/bad/" in label.get("id", ""))
    wrong["patch"]["hunks"][0][2] = replacement
    records = {
        record["id"]: record for record in rebuilt(tmp_path, inputs, write_labels(tmp_path / "wrong.jsonl.xz", lines))
    }

    assert [hunk[2].strip() for hunk in records[wrong["id"]]["patch"]["hunks"]] == ["+"]


def test_programs_without_a_label_are_left_to_per_problem(tmp_path: Path, inputs: list[str], labels: Path) -> None:
    few = [line for line in labels_of(labels) if "/bad/" in line.get("id", "/bad/")]
    build(tmp_path / "second", [*inputs, "--known", str(write_labels(labels, few)), "--per-problem", "0"])
    (part,) = parts(tmp_path / "second")

    assert len(part.read_text().splitlines()) == 2


def trusted(tmp_path: Path, inputs: list[str], labels: Path) -> list[dict[str, Any]]:
    build(tmp_path / "second", [*inputs, "--known", str(labels), "--trust-known"])
    return released(tmp_path / "second")


def test_labels_that_are_trusted_give_the_same_data_set(tmp_path: Path, inputs: list[str], labels: Path) -> None:
    assert trusted(tmp_path, inputs, labels) == released(tmp_path / "first")


def test_nothing_is_run_for_labels_that_are_trusted(tmp_path: Path, inputs: list[str], labels: Path) -> None:
    lines = labels_of(labels)
    wrong = next(label for label in lines if "/bad/" in label.get("id", ""))
    wrong["patch"]["hunks"][0][2] = "//"
    records = {record["id"]: record for record in trusted(tmp_path, inputs, write_labels(labels, lines))}

    assert records[wrong["id"]]["patch"]["hunks"] == wrong["patch"]["hunks"]
    assert not parts(tmp_path / "second")


def test_without_labels_there_is_nothing_to_trust(
    tmp_path: Path, inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["patches", "build", str(tmp_path / "out"), *inputs, "--trust-known"]) == 2
    assert "--trust-known has no labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not compressed", "cannot be read"),
        (lzma.compress(b"not JSON\n"), "is not JSON"),
        (lzma.compress(b""), "holds no labels"),
        (lzma.compress(b'{"format_version": 99}\n'), "has format version 99"),
    ],
    ids=["not compressed", "not JSON", "empty", "another version"],
)
def test_what_is_no_file_of_labels_is_refused(
    tmp_path: Path,
    inputs: list[str],
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    message: str,
) -> None:
    (tmp_path / "labels.jsonl.xz").write_bytes(content)

    assert main(["patches", "build", str(tmp_path / "out"), *inputs, "--known", str(tmp_path / "labels.jsonl.xz")]) == 2
    assert message in capsys.readouterr().err
