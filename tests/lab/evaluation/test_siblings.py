"""Which other programs a program is compared with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from risk_lsp.lab.evaluation.rivals import SIBLINGS, read_siblings
from tests.lab.training.makers import program, write_records

OWN = replace(program("x = 1\ny = 2\n"), task_id="T/1", model="m")


def sample(text: str, *, task_id: str = "T/1", model: str = "m", prompt_lines: int = 0) -> dict[str, Any]:
    kinds = {"benchmark": "toy", "group": "toy/0", "model": model}
    return {"task_id": task_id, **kinds, "program": text, "prompt_lines": prompt_lines}


def siblings_of_own(folder: Path, *samples: dict[str, Any]) -> list[list[str]]:
    write_records(folder / "samples.jsonl", samples)
    return read_siblings([folder / "samples.jsonl"], [OWN])[0]


def test_they_are_of_the_same_model_and_the_same_task(tmp_path: Path) -> None:
    others = [sample("z = 3\n"), sample("a = 1\n", model="other"), sample("b = 1\n", task_id="T/2")]

    assert siblings_of_own(tmp_path, *others) == [["z=3"]]


def test_the_program_itself_is_none_of_them(tmp_path: Path) -> None:
    assert siblings_of_own(tmp_path, sample(OWN.text), sample("z = 3\n")) == [["z=3"]]


def test_lines_that_were_given_do_not_count(tmp_path: Path) -> None:
    assert siblings_of_own(tmp_path, sample("given = 0\nz = 3\n", prompt_lines=1)) == [["z=3"]]


def test_there_are_no_more_than_five_and_always_the_same(tmp_path: Path) -> None:
    samples = [sample(f"z = {number}\n") for number in range(9)]
    found = siblings_of_own(tmp_path, *samples)

    assert len(found) == SIBLINGS
    assert found == siblings_of_own(tmp_path, *samples[::-1])


def test_a_model_that_wrote_nothing_else_gives_none(tmp_path: Path) -> None:
    assert siblings_of_own(tmp_path, sample(OWN.text)) == []
