"""JSON Lines: whole, compressed, damaged, and cut short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import read_appended, read_objects
from tests.lab.training.makers import write_records


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.xz"])
def test_records_come_back_from_plain_and_compressed_files(tmp_path: Path, name: str) -> None:
    records: list[dict[str, Any]] = [{"a": "ü\n"}, {"b": 2}]
    write_records(tmp_path / name, records)

    assert list(read_objects(tmp_path / name)) == [
        (f"{tmp_path / name}:{n}", each) for n, each in enumerate(records, 1)
    ]


@pytest.mark.parametrize("line", ["{", "[" * 100_000, "[]", "9" * 5_000])
def test_a_line_that_is_no_object_is_refused_by_file_and_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n" + line + "\n")

    with pytest.raises(BadInput, match=r"a\.jsonl:2: is not (JSON|a JSON object)"):
        list(read_objects(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", b"\xff\xff\n"), ("a.jsonl.xz", b"not xz"), ("a.jsonl.xz", b"\xfd7zXZ\0")]
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BadInput, match=rf"{name}(:1: is not UTF-8| cannot be read)"):
        list(read_objects(tmp_path / name))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        list(read_objects(tmp_path / "a.jsonl"))


def test_of_a_file_that_is_appended_to_the_line_that_was_cut_short_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": 2')

    assert [record for _, record in read_appended(path)] == [{"a": 1}]
    assert path.read_text() == '{"a": 1}\n'


def test_a_file_that_nothing_was_appended_to_yet_holds_nothing(tmp_path: Path) -> None:
    assert list(read_appended(tmp_path / "a.jsonl")) == []
