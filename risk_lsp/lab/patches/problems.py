"""Problems and the programs that models wrote for them, as JSON Lines (plain, .gz or .xz).

Reading is strict: a record that lacks something, or holds it in another type, is refused with its file and line.
Fields that are not used here are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Literal, cast, get_args

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import Fields, read_fields
from risk_lsp.lab.patches.problem_formats import own_format
from risk_lsp.sandbox.verdicts import Problem, TestKind

# sampled: a model wrote it. repair: somebody repaired it, or it is what came of that. injected: its bug was put in on
# purpose. reference: a solution that a problem came with.
Kind = Literal["sampled", "repair", "injected", "reference"]

_PROBLEM_HINT = "a problem has task_id, benchmark, group, prompt, test_kind, and tests unless that is none"
SAMPLE_HINT = "a sample has task_id, group, model, program, and prompt_lines"


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


def read_problems(path: Path | str) -> Iterator[Problem]:
    """The problems of one file, in our own format or as HumanEval, MBPP or LiveCodeBench publish them.

    BadInput names the file and the line of a record that is wrong.
    """
    return map(_problem, read_fields(Path(path), _PROBLEM_HINT))


def read_samples(path: Path | str) -> Iterator[Sample]:
    """The programs of one file; a program with what it was repaired to counts as two.

    BadInput names the file and the line of a record that is wrong.
    """
    for fields in read_fields(Path(path), SAMPLE_HINT):
        yield sample_of(fields)
        if fields.optional("repaired", str) is not None:
            yield repaired_of(fields)


def problems_by_id(paths: Iterable[Path | str]) -> dict[str, Problem]:
    """The problems of several files by `task_id`; of one that comes with and without tests, that with tests.

    BadInput for one that comes twice.
    """
    found: dict[str, Problem] = {}
    for path in paths:
        for problem in read_problems(path):
            known = found.get(problem.task_id)
            if known is not None and "none" not in (known.test_kind, problem.test_kind):
                raise BadInput(f"{path}: problem {problem.task_id} comes twice", "give every problem an id of its own")
            if known is None or known.test_kind == "none":
                found[problem.task_id] = problem
    return found


def _problem(published: Fields) -> Problem:
    fields = published.translated(own_format)
    kind = fields.get("test_kind", str)
    if kind not in get_args(TestKind):
        raise fields.error(f"test_kind is {kind!r}, not one of {', '.join(get_args(TestKind))}")
    return Problem(
        task_id=fields.get("task_id", str),
        benchmark=fields.get("benchmark", str),
        group=fields.get("group", str),
        prompt=fields.get("prompt", str, default=""),
        entry_point=fields.optional("entry_point", str),
        test_kind=cast(TestKind, kind),
        tests=fields.get("tests", str, default="") if kind == "none" else fields.get("tests", str),
        reference=fields.optional("reference", str),
        license=fields.get("license", str, default=""),
        text=fields.get("text", str, default=""),
        prelude=fields.get("prelude", str, default=""),
        starter=fields.get("starter", str, default=""),
        asserts=fields.optional("n_asserts", int),
        trusted=fields.get("tests_solvable", bool, default=True)
        and not any(fields.get(name, bool, default=False) for name in ("tests_suspect", "multiple_answers")),
    )


def sample_of(fields: Fields) -> Sample:
    """The program of a record."""
    return _program(fields, "program", "passed", "verified", "err")


def repaired_of(fields: Fields) -> Sample:
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
