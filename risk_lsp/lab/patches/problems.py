"""Problems with their tests, as JSON Lines (plain, .gz or .xz) of our own or as known benchmarks publish them.

Reading is strict: a record that lacks something, or holds it in another type, is refused with its file and line.
Fields that are not used here are ignored.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, cast, get_args

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import Fields, read_fields
from risk_lsp.sandbox.verdicts import Problem, TestKind

_HINT = "a problem has task_id, benchmark, group, prompt, test_kind, and tests unless that is none"


def read_problems(path: Path | str) -> Iterator[Problem]:
    """The problems of one file, in our own format or as HumanEval, MBPP or LiveCodeBench publish them.

    BadInput names the file and the line of a record that is wrong.
    """
    return map(_problem, read_fields(Path(path), _HINT))


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
    fields = published.translated(_own_format)
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
        cases = json.loads(_unpacked(packed))
    if not isinstance(cases, list) or not all(
        isinstance(case, dict) and {"input", "output"} <= case.keys() for case in cases
    ):
        raise ValueError("test cases are not a list of inputs and outputs")
    return cases


def _unpacked(packed: str) -> str:
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
