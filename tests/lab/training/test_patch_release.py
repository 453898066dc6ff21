"""What `patches build` wrote, as the probe's data."""

from __future__ import annotations

import json
import lzma
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.labelled_programs import LabelledProgram, read_probe_data
from tests.lab.training.makers import program, write_labelled


def release(folder: Path, shards: list[list[LabelledProgram]], **index: Any) -> Path:
    """A data set in the form that the build gives it."""
    listed = []
    for number, programs in enumerate(shards):
        write_labelled(programs, folder / "plain.jsonl")
        data = lzma.compress((folder / "plain.jsonl").read_bytes())
        name = f"patches-{number:05}.jsonl.xz"
        (folder / name).write_bytes(data)
        listed.append({"name": name, "records": len(programs), "sha256": sha256(data).hexdigest()})
    (folder / "plain.jsonl").unlink(missing_ok=True)
    (folder / "index.json").write_text(json.dumps({"format_version": 1, "shards": listed, **index}))
    return folder


def test_the_programs_of_all_shards_are_read(tmp_path: Path) -> None:
    folder = release(tmp_path, [[program("a", id="1"), program("b", id="2", edited=[(0, 1)])], [program("c", id="3")]])

    data = read_probe_data(folder, per_group=9)
    assert {each.text for each in data.programs} == {"a", "b", "c"}
    assert data.labels == "smallest verified patch"


def test_files_of_labelled_programs_beside_the_shards_are_read_too(tmp_path: Path) -> None:
    folder = release(tmp_path, [[program("a", id="1")]])
    write_labelled([program("a", id="1"), program("b", id="2")], folder / "library.jsonl")

    assert sorted(each.text for each in read_probe_data(folder, per_group=9).programs) == ["a", "b"]


def test_failing_programs_weigh_what_they_weigh_among_all_programs_of_the_problem(tmp_path: Path) -> None:
    programs = [program("a", id="1"), program("b", id="2", edited=[(0, 1)])]
    folder = release(tmp_path, [programs], outcomes={"toy/0": [1, 3]})

    data = read_probe_data(folder, per_group=9)
    weights = {each.text: weight for each, weight in zip(data.programs, data.weights, strict=True)}
    assert weights == pytest.approx({"a": 0.25, "b": 0.75})
    assert data.span_weights == data.weights


def test_which_programs_of_a_problem_are_taken_does_not_depend_on_the_order_of_the_shards(tmp_path: Path) -> None:
    programs = [program(f"x = {number}\n", id=str(number)) for number in range(20)]
    taken = []
    for name, order in (("one", programs), ("other", programs[::-1])):
        (tmp_path / name).mkdir()
        taken.append(read_probe_data(release(tmp_path / name, [order]), per_group=5).programs)

    assert taken[0] == taken[1] != programs[:5]


def test_a_shard_that_is_not_the_one_that_was_written_is_refused(tmp_path: Path) -> None:
    folder = release(tmp_path, [[program("a")]])
    (folder / "patches-00000.jsonl.xz").write_bytes(lzma.compress(b"{}\n"))

    with pytest.raises(BadInput, match=r"patches-00000\.jsonl\.xz is missing or not the shard"):
        read_probe_data(folder, per_group=9)


@pytest.mark.parametrize("index", ["{", "[]", '{"format_version": 2, "shards": []}', '{"format_version": 1}'])
def test_an_index_that_is_not_one_is_refused(tmp_path: Path, index: str) -> None:
    (tmp_path / "index.json").write_text(index)

    with pytest.raises(BadInput, match=r"index\.json"):
        read_probe_data(tmp_path, per_group=9)
