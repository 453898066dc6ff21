"""Problems with their tests, and programs that models wrote for them, as JSON Lines (plain, .gz or .xz).

Problems are in our own format, or as known benchmarks publish them. Reading is strict: a record that lacks something,
or holds it in another type, is refused with its file and line. Fields that are not used here are ignored.

A program is a sample. A record of a repair has what a sample has, and `repaired`; `repaired_passed` and
`repaired_verified` say of that what `passed` and `verified` say of the program. It may bring `tests` of its own.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, cast, get_args

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import Fields, read_fields
from risk_lsp.sandbox.verdicts import Problem, TestKind
from risk_lsp.text.document import LineIndex

_PROBLEM_HINT = "a problem has task_id, benchmark, group, prompt, test_kind, and tests unless that is none"


def read_problems(path: Path | str) -> Iterator[Problem]:
    """The problems of one file, in our own format or as HumanEval, MBPP or LiveCodeBench publish them.

    BadInput names the file and the line of a record that is wrong.
    """
    return map(_problem, read_fields(Path(path), _PROBLEM_HINT))


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
    fields = published.translate(_own_format)
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


def _own_format(record: dict[str, Any]) -> dict[str, Any]:
    """The record in our own format; one that is in it, or in no known format, comes back as it is.

    ValueError for a record of a known format whose tests cannot be read.
    """
    if "test_kind" in record:
        return record
    if {"task_id", "prompt", "entry_point", "test"} <= record.keys():
        entry_point = record["entry_point"]
        return {
            "task_id": record["task_id"],
            "benchmark": "humaneval",
            "group": record["task_id"],
            "prompt": record["prompt"],
            "entry_point": entry_point,
            "test_kind": "append",
            "tests": f"{record['test']}\ncheck({entry_point})\n",
            "reference": record["prompt"] + record["canonical_solution"] if "canonical_solution" in record else None,
        }
    if {"task_id", "test_list"} <= record.keys():
        return _mbpp(record)
    if {"question_id", "question_content", "public_test_cases"} <= record.keys():
        return _live_code_bench(record)
    return record


def _mbpp(record: dict[str, Any]) -> dict[str, Any]:
    task_id = f"MBPP/{record['task_id']}"
    set_up = record.get("test_setup_code") or "\n".join(record.get("test_imports") or [])
    asked = record.get("text") or record.get("prompt", "")
    tests = "\n".join(record["test_list"])
    return {
        "task_id": task_id,
        "benchmark": "mbpp",
        "group": task_id,
        # The tests show the name and the types that are asked for, as the data set's authors prompted.
        "prompt": f"{asked}\nYour code should pass these tests:\n\n{tests}\n",
        "text": asked,
        "entry_point": None,
        "test_kind": "append",
        "tests": f"{set_up}\n{tests}\n".lstrip("\n"),
        "reference": record.get("code"),
    }


def _live_code_bench(record: dict[str, Any]) -> dict[str, Any]:
    cases = [*_cases(record["public_test_cases"]), *_cases(record.get("private_test_cases") or "[]")]
    metadata = json.loads(record.get("metadata") or "{}")
    name = metadata.get("func_name")
    task_id = f"LCB/{record.get('platform', 'other')}/{record['question_id']}"
    own = {
        "task_id": task_id,
        "benchmark": "lcb",
        "group": task_id,
        "prompt": record["question_content"],
        "starter": record.get("starter_code") or "",
    }
    if name:
        calls = [
            ([json.loads(line) for line in case["input"].splitlines() if line.strip()], json.loads(case["output"]))
            for case in cases
        ]
        tests = f"CASES = {calls!r}\nfor _given, _expected in CASES:\n    _said = Solution().{name}(*_given)\n"
        tests += "    assert (list(_said) if isinstance(_said, tuple) else _said) == _expected\n"
        return {**own, "entry_point": f"Solution().{name}", "test_kind": "append", "tests": tests}
    pairs = [(case["input"], case["output"]) for case in cases]
    return {**own, "entry_point": None, "test_kind": "stdio", "tests": f"CASES = {pairs!r}\n{_CHECK_STDIO}"}


# Lines are compared without the white space around them, as contest judges do.
_CHECK_STDIO = """\
def check_stdio(run):
    for stdin, expected in CASES:
        said = [line.strip() for line in run(stdin).strip().splitlines()]
        assert said == [line.strip() for line in expected.strip().splitlines()]
"""


def _cases(packed: str) -> list[dict[str, str]]:
    """Test cases, as JSON or as LiveCodeBench packs the hidden ones: a pickled JSON text, compressed, in base 64."""
    try:
        cases = json.loads(packed)
    except ValueError:
        cases = json.loads(_unpack(packed))
    if not isinstance(cases, list) or not all(
        isinstance(case, dict) and {"input", "output"} <= case.keys() for case in cases
    ):
        raise ValueError("test cases are not a list of inputs and outputs")
    return cases


def _unpack(packed: str) -> str:
    try:
        text = _TextUnpickler(io.BytesIO(zlib.decompress(base64.b64decode(packed.encode(), validate=True)))).load()
    except (binascii.Error, zlib.error, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"hidden test cases cannot be unpacked: {error}") from error
    if not isinstance(text, str):
        raise ValueError("hidden test cases are not a text")
    return text


class _TextUnpickler(pickle.Unpickler):
    """Reads plain values only: a pickle that names any code is refused."""

    def find_class(self, module_name: str, global_name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")


# sampled: a model wrote it. repair: somebody repaired it, or it is what came of that. injected: its bug was put in on
# purpose. reference: a solution that a problem came with.
Kind = Literal["sampled", "repair", "injected", "reference"]

_SAMPLE_HINT = "a sample has task_id, group, model, program, and prompt_lines"


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
    for fields in read_fields(Path(path), _SAMPLE_HINT):
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
    for fields in read_fields(path, f"{_SAMPLE_HINT}; a repair has repaired, too"):
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
