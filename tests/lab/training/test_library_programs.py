"""Library code as labelled programs: pieces that passed, and twins with one bug each."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.lab.training.labelled_programs import LabelledProgram, read_labelled
from risk_lsp.lab.training.library_programs import library_programs
from risk_lsp.lab.training.training_documents import TrainingDocument, split_of

FUNCTION = '''\
def total_{name}(values, limit=10):
    """The sum of the values below a limit."""
    found = 0
    for value in values:
        if value < limit:
            found += value
    return found


'''


def library(name: str, functions: int, path: str = "tools.py") -> TrainingDocument:
    text = "import os\n\n\n" + "".join(FUNCTION.format(name=f"{name}_{number}") for number in range(functions))
    return TrainingDocument(f"{name}==1.0", "MIT", f"{name}/{path}", "library", text, held_out=False)


def programs_of(
    documents: Sequence[TrainingDocument], count: int = 20, left_out: Sequence[str] = ()
) -> list[LabelledProgram]:
    return library_programs(documents, count, left_out, seed=1)


SHELF = [library(f"lib{number}", 40) for number in range(30)]


def test_a_piece_is_code_that_parses_by_itself() -> None:
    for program in programs_of(SHELF):
        assert ast.parse(program.text).body


def test_a_piece_passed_and_has_nothing_to_edit() -> None:
    pieces = [program for program in programs_of(SHELF) if program.kind == "reference"]

    assert len(pieces) == 20
    assert all(piece.passed and piece.edited == () for piece in pieces)


def test_a_twin_differs_from_its_piece_by_the_bug_and_shares_its_problem() -> None:
    programs = programs_of(SHELF)
    pieces = {program.group: program for program in programs if program.kind != "injected"}
    twins = [program for program in programs if program.kind == "injected"]

    assert len(twins) == 12
    assert all(not twin.passed and twin.edited for twin in twins)
    assert all(twin.text != pieces[twin.group].text for twin in twins)


def test_libraries_take_turns() -> None:
    libraries = [program.model for program in programs_of(SHELF) if program.passed]

    assert len(set(libraries)) == 20


def test_a_library_that_is_left_out_gives_nothing() -> None:
    programs = programs_of([library("mine", 40), library("yours", 40)], left_out=["yours"])

    assert {program.model for program in programs} == {"mine"}


def test_tests_of_a_library_give_nothing() -> None:
    assert not programs_of([library("mine", 40, "tests/test_tools.py")])


def test_long_modules_give_stretches_of_several_functions_as_well() -> None:
    names = [ast.parse(program.text).body for program in programs_of(SHELF, count=30)]

    assert max(map(len, names)) > 3


def test_no_library_that_the_evaluation_reads_is_among_the_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "library.jsonl.xz"

    assert main(["corpus", "programs", str(out), "--count", "60"]) == 0

    programs = read_labelled(out)
    assert sum(program.passed for program in programs) == 60
    assert not {program.model for program in programs} & {"rich", "click", "attrs"}
    assert len({split_of(program.group) for program in programs}) == 3
    assert "60 pieces, " in capsys.readouterr().err
