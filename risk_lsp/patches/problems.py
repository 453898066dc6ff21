"""Problems and the programs that models wrote for them, as JSON Lines (plain, .gz or .xz).

Reading is strict: a record that lacks something, or holds it in another type, is refused with its file and line.
Fields that are not used here are ignored.
"""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, TypeVar, cast, get_args

from risk_lsp.errors import BadInput
from risk_lsp.patches.problem_formats import own_format

# append: run program, newline, tests in one namespace; any exception is a failure.
# stdio: the tests define check_stdio(run), where run(stdin) gives the stdout of the whole program.
TestKind = Literal["append", "stdio", "none"]

Record = TypeVar("Record")

_PROBLEM_HINT = "a problem has task_id, benchmark, group, prompt, test_kind, and tests unless that is none"
_SAMPLE_HINT = "a sample has task_id, benchmark, group, model, program, and prompt_lines"


@dataclass(frozen=True)
class Problem:
    """A task with its tests. `group` names the underlying problem: data are split by it.

    text: what was asked, in words, where the prompt is not that. prelude: lines that stand in front of every program,
    such as a judge's imports, and that nobody would have in a file of their own. starter: how a program has to begin,
    where the prompt is words.
    """

    task_id: str
    benchmark: str
    group: str
    prompt: str
    entry_point: str | None
    test_kind: TestKind
    tests: str
    reference: str | None
    license: str
    text: str = ""
    prelude: str = ""
    starter: str = ""


@dataclass(frozen=True)
class Sample:
    """A program that `model` wrote for a task; its first `prompt_lines` lines were given to the model.

    passed: the verdict as published; verified: that of running it against the problem's tests; None where unknown.
    conflict: the two disagree. n: how many equal programs it stands for.
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


def read_problems(path: Path | str) -> Iterator[Problem]:
    """The problems of one file, in our own format or as HumanEval, MBPP or LiveCodeBench publish them.

    BadInput names the file and the line of a record that is wrong.
    """
    return _read(Path(path), _problem, _PROBLEM_HINT)


def read_samples(path: Path | str) -> Iterator[Sample]:
    """The programs of one file. BadInput names the file and the line of a record that is wrong."""
    return _read(Path(path), _sample, _SAMPLE_HINT)


def problems_by_id(paths: Iterable[Path | str]) -> dict[str, Problem]:
    """The problems of several files by `task_id`. BadInput for one that comes twice."""
    found: dict[str, Problem] = {}
    for path in paths:
        for problem in read_problems(path):
            if problem.task_id in found:
                raise BadInput(f"{path}: problem {problem.task_id} comes twice", "give every problem an id of its own")
            found[problem.task_id] = problem
    return found


class _Fields:
    """Typed access to one record."""

    def __init__(self, record: dict[str, Any], where: str, hint: str) -> None:
        self._record = record
        self._where = where
        self._hint = hint

    def get(self, name: str, kind: type[Record], **default: Record) -> Record:
        """The field's value; `default=...` stands in for one that is absent or null."""
        value = self._record.get(name)
        if value is None and "default" in default:
            return default["default"]
        if name not in self._record:
            raise self.error(f"field {name!r} is missing")
        # JSON's true is an int to Python.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"field {name!r} holds {json.dumps(value)[:40]}, not {_KIND_NAMES[kind]}")
        return value

    def optional(self, name: str, kind: type[Record]) -> Record | None:
        """The field's value, or None where it is absent or null."""
        return None if self._record.get(name) is None else self.get(name, kind)

    def translated(self, translate: Callable[[dict[str, Any]], dict[str, Any]]) -> _Fields:
        """The same record in other words."""
        try:
            return _Fields(translate(self._record), self._where, self._hint)
        except (ValueError, TypeError, AttributeError) as error:
            raise self.error(f"its tests cannot be read: {error}") from error

    def error(self, what: str) -> BadInput:
        return BadInput(f"{self._where}: {what}", self._hint)


_KIND_NAMES: dict[type, str] = {str: "a text", int: "a whole number", bool: "true or false"}


def _problem(published: _Fields) -> Problem:
    fields = published.translated(own_format)
    kind = fields.get("test_kind", str)
    if kind not in get_args(TestKind):
        raise fields.error(f"test_kind is {kind!r}, not one of {', '.join(get_args(TestKind))}")
    return Problem(
        task_id=fields.get("task_id", str),
        benchmark=fields.get("benchmark", str),
        group=fields.get("group", str),
        prompt=fields.get("prompt", str),
        entry_point=fields.optional("entry_point", str),
        test_kind=cast(TestKind, kind),
        tests=fields.get("tests", str, default="") if kind == "none" else fields.get("tests", str),
        reference=fields.optional("reference", str),
        license=fields.get("license", str, default=""),
        text=fields.get("text", str, default=""),
        prelude=fields.get("prelude", str, default=""),
        starter=fields.get("starter", str, default=""),
    )


def _sample(fields: _Fields) -> Sample:
    program, prompt_lines = fields.get("program", str), fields.get("prompt_lines", int)
    if not 0 <= prompt_lines <= program.count("\n") + 1:
        raise fields.error(f"prompt_lines is {prompt_lines}, but the program has {program.count(chr(10)) + 1} lines")
    return Sample(
        task_id=fields.get("task_id", str),
        benchmark=fields.get("benchmark", str),
        group=fields.get("group", str),
        model=fields.get("model", str),
        program=program,
        prompt_lines=prompt_lines,
        form=fields.get("form", str, default=""),
        passed=fields.optional("passed", bool),
        verified=fields.optional("verified", bool),
        conflict=fields.get("conflict", bool, default=False),
        n=fields.get("n", int, default=1),
        origin=fields.get("origin", str, default=""),
    )


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file of JSON Lines, each with its place. BadInput for what cannot be read."""
    number = 0
    try:
        with _open_text(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    where = f"{path}:{number}"
                    yield where, _record(line, where)
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}:{number + 1}: is not UTF-8", "save the file as UTF-8") from error
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise BadInput(f"{path} cannot be read: {error}", "check the path, or fetch the file again") from error


def _read(path: Path, parse: Callable[[_Fields], Record], hint: str) -> Iterator[Record]:
    for where, record in read_lines(path):
        yield parse(_Fields(record, where, hint))


def _open_text(path: Path) -> IO[str]:
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return open(path, encoding="utf-8")


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadInput(f"{where}: is not JSON ({error.msg} at column {error.colno})", "one record per line") from error
    if not isinstance(record, dict):
        raise BadInput(f"{where}: is not a JSON object", "one record per line")
    return record
