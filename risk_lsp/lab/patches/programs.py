"""Programs that models wrote for problems, and programs with a bug and what they were repaired to, as JSON Lines.

A program is a sample. A record of a repair has what a sample has, and `repaired`; `repaired_passed` and
`repaired_verified` say of that what `passed` and `verified` say of the program. It may bring `tests` of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Literal, NamedTuple

from risk_lsp.lab.json_lines import Fields, read_fields
from risk_lsp.sandbox.verdicts import Problem
from risk_lsp.text.lines import LineIndex

# sampled: a model wrote it. repair: somebody repaired it, or it is what came of that. injected: its bug was put in on
# purpose. reference: a solution that a problem came with.
Kind = Literal["sampled", "repair", "injected", "reference"]

_HINT = "a sample has task_id, group, model, program, and prompt_lines"


@dataclass(frozen=True)
class Sample:
    """A program that `model` wrote for a task; its first `prompt_lines` lines were given to the model.

    passed: the verdict as published; verified: that of running it against the problem's tests; None where unknown.
    conflict: the two disagree. plus: whether a program that passes these tests passes stricter ones, too. failure: why
    it failed when it was run, as an exception's name, "timeout", or "load:" and the name of what kept it from starting.
    n: how many equal programs it stands for.
    """

    task_id: str
    benchmark: str
    group: str
    model: str
    program: str
    prompt_lines: int
    form: str
    passed: bool | None
    verified: bool | None
    conflict: bool
    n: int
    origin: str
    plus: bool | None = None
    failure: str = ""
    kind: Kind = "sampled"

    @property
    def given(self) -> int:
        """The offset where what the model wrote begins."""
        return end_of_given(self.program, self.prompt_lines)


def end_of_given(program: str, prompt_lines: int) -> int:
    """The offset behind the lines that were given to a model; the end of the program where it wrote nothing."""
    lines = LineIndex(program)
    return lines.start(prompt_lines) if prompt_lines < lines.count else len(program)


def read_samples(path: Path | str) -> Iterator[Sample]:
    """The programs of one file; a program with what it was repaired to counts as two.

    BadInput names the file and the line of a record that is wrong.
    """
    for fields in read_fields(Path(path), _HINT):
        yield _sample_of(fields)
        if fields.optional("repaired", str) is not None:
            yield _repaired_of(fields)


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
    for fields in read_fields(path, f"{_HINT}; a repair has repaired, too"):
        broken, fixed = _sample_of(fields), _repaired_of(fields)
        kind: Kind = "injected" if "injected" in broken.model else "repair"
        broken, fixed = (
            replace(
                sample,
                program=sample.program.replace("\r\n", "\n").replace("\r", "\n"),
                benchmark=sample.benchmark or benchmark,
                kind=kind,
            )
            for sample in (broken, fixed)
        )
        yield Repair(_problem_of(fields, broken, problems), broken, fixed)


def _problem_of(fields: Fields, broken: Sample, problems: Mapping[str, Problem]) -> Problem:
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


def _sample_of(fields: Fields) -> Sample:
    """The program of a record."""
    return _program(fields, "program", "passed", "verified", "err")


def _repaired_of(fields: Fields) -> Sample:
    """What the program of a record was repaired to; the lines that were given to it and are the same count as given."""
    return _program(fields, "repaired", "repaired_passed", "repaired_verified", "repaired_err")


def _program(fields: Fields, name: str, passed_name: str, verified_name: str, failure_name: str) -> Sample:
    first, program, prompt_lines = fields.get("program", str), fields.get(name, str), fields.get("prompt_lines", int)
    if not 0 <= prompt_lines <= first.count("\n") + 1:
        raise fields.error(f"prompt_lines is {prompt_lines}, but the program has {first.count(chr(10)) + 1} lines")
    given = zip(first.split("\n")[:prompt_lines], program.split("\n"), strict=False)
    passed, verified = fields.optional(passed_name, bool), fields.optional(verified_name, bool)
    return Sample(
        task_id=fields.get("task_id", str),
        benchmark=fields.get("benchmark", str, default=""),
        group=fields.get("group", str),
        model=fields.get("model", str),
        program=program,
        prompt_lines=sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], given)),
        form=fields.get("form", str, default=""),
        passed=passed,
        verified=verified,
        conflict=fields.get("conflict", bool, default=None not in (passed, verified) and passed != verified),
        n=fields.get("n", int, default=1),
        origin=fields.get("origin", str, default=""),
        plus=fields.optional("plus", bool),
        failure=fields.get(failure_name, str, default=""),
    )
