"""Programs with a bug and what they were repaired to, as JSON Lines: fixes that people or models made.

A record has what a sample has, and `repaired`; `repaired_passed` and `repaired_verified` say of that what `passed` and
`verified` say of the program. It may bring `tests` of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from risk_lsp.lab.json_lines import Fields, read_fields
from risk_lsp.lab.patches.problems import SAMPLE_HINT, Kind, Sample, repaired_of, sample_of
from risk_lsp.sandbox.verdicts import Problem


class Repair(NamedTuple):
    """A program with a bug, and what it was repaired to. `problem` has the tests for both, if there are any."""

    problem: Problem
    broken: Sample
    fixed: Sample


def read_repairs(path: Path, problems: Mapping[str, Problem]) -> Iterator[Repair]:
    """The repairs of one file; their benchmark is the file's name without `repairs_`, where they name none.

    A program whose model is said to be an injected bug is of that kind. BadInput names the file and the line of a
    record that is wrong.
    """
    benchmark = path.name.partition(".")[0].removeprefix("repairs_")
    for fields in read_fields(path, f"{SAMPLE_HINT}; a repair has repaired, too"):
        broken, fixed = sample_of(fields), repaired_of(fields)
        kind: Kind = "injected" if "injected" in broken.model else "repair"
        broken, fixed = (
            replace(
                sample,
                program=_with_unix_lines(sample.program),
                benchmark=sample.benchmark or benchmark,
                kind=kind,
            )
            for sample in (broken, fixed)
        )
        yield Repair(_problem(fields, broken, problems), broken, fixed)


def _problem(fields: Fields, broken: Sample, problems: Mapping[str, Problem]) -> Problem:
    """The problem with the tests that a record brings, else the one that it names, else one without tests."""
    known = problems.get(broken.task_id)
    tests = fields.optional("tests", str)
    if known is not None and tests is None:
        return known
    return Problem(
        task_id=broken.task_id,
        benchmark=broken.benchmark,
        group=broken.group,
        prompt=fields.get("prompt", str, default=""),
        entry_point=fields.optional("entry_point", str),
        test_kind="none" if tests is None else "append",
        tests=tests or "",
        reference=None,
        license=fields.get("license", str, default=""),
    )


def _with_unix_lines(program: str) -> str:
    return program.replace("\r\n", "\n").replace("\r", "\n")
