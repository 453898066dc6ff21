"""Failing programs, examined in the sandbox, with their errors, explanations and repairs, as JSON Lines.

A record is one program, as a sample (risk_lsp/lab/patches/programs.py), with its whole problem, what running it said,
and under `repairs` each attempt to repair it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, NamedTuple

from risk_lsp.edits.candidates import candidates
from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import read_objects
from risk_lsp.lab.patches.programs import read_repairs
from risk_lsp.lab.training.training_documents import Split, split_of
from risk_lsp.repair.execution import ProblemTests, failed_verdict
from risk_lsp.repair.harness import MARK, NO_EVIDENCE, read_evidence
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import TEST_LIMITS, Problem, judge, script_with_tests

_MOST_SHARE = 0.99  # of a program that fails, whatever it prints

# Stands for the call of check_stdio, so that one case's failure does not hide the others'.
_CALL = "check_stdio(_run)\n"
_CASE_BY_CASE = """\
import json
_failed, _held, _every = [], 0, CASES
for _case in _every:
    CASES = [_case]
    try:
        check_stdio(_run)
        _held += 1
    except BaseException:
        _failed.append([])
print({mark!r} + json.dumps([_failed, [], [], _held]))
"""


class ExaminedProgram(NamedTuple):
    """passed: all tests. reason: "" then, else one word. failure: for a model. share: of the tests that held."""

    passed: bool
    reason: str
    failure: str
    share: float


PASSED = ExaminedProgram(True, "", "", 1.0)


class Examiner:
    """Examines programs one after the other and remembers them. A context manager."""

    def __init__(self) -> None:
        self._sandbox = Sandbox(TEST_LIMITS)
        self._known: dict[tuple[str, str, str], ExaminedProgram] = {}

    def __enter__(self) -> Examiner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sandbox.close()

    def examine(self, problem: Problem, program: str) -> ExaminedProgram:
        """Run a program. BadInput for a problem without tests, SandboxError where nothing can be run."""
        key = problem.task_id, problem.tests, program
        if key in self._known:
            return self._known[key]
        verdict, found = judge(self._sandbox, problem, program), PASSED
        if not verdict.passed:
            # The plain run alone decides; the second one counts, and finds words.
            watched = ProblemTests(problem).watching_script(program) or script_with_tests(problem, program).replace(
                _CALL, _CASE_BY_CASE.format(mark=MARK)
            )
            evidence = NO_EVIDENCE if verdict.error == "timeout" else read_evidence(self._sandbox.run(watched).stdout)
            told = failed_verdict(verdict.outcome, evidence)
            tests = evidence.failed + evidence.held
            share = min(_MOST_SHARE, evidence.held / tests) if tests else 0.0
            found = ExaminedProgram(False, told.reason, told.failure, share)
        self._known[key] = found
        return found


PUBLISHED = "published"  # the critic of explanations that a source came with


@dataclass(frozen=True)
class Attempt:
    """A repair that was tried: the explanation in front of it, "" without one, and whether it passes all tests."""

    explanation: str
    program: str
    passed: bool


@dataclass(frozen=True)
class Mistake:
    """A program that fails its problem's tests, with the words of the failure, and the attempts to repair it."""

    problem: Problem
    program: str
    failure: str
    attempts: tuple[Attempt, ...]

    @property
    def repairs(self) -> tuple[Attempt, ...]:
        """The attempts that pass all tests."""
        return tuple(attempt for attempt in self.attempts if attempt.passed)


def read_mistakes(paths: Iterable[Path], split: Split | None = None) -> list[Mistake]:
    """The failing programs in files of `risk-lsp debugger synthesise`, of one split of the problems or of all.

    A program that its problem had before is left out. BadInput names the file and the line of a wrong record.
    """
    found = []
    for path in paths:
        for where, record in read_objects(path):
            try:
                other_split = split is not None and split_of(record["group"]) != split
                if record["verified"] or record.get("repeats", False) or other_split:
                    continue
                attempts = [Attempt(each["explanation"], each["program"], each["passed"]) for each in record["repairs"]]
                problem = Problem(**record["problem"])
                found.append(Mistake(problem, record["program"], record["error"], tuple(attempts)))
            except (KeyError, TypeError) as error:
                raise BadInput(
                    f"{where}: is no program of `debugger synthesise` ({error!r})", "name a file that it wrote"
                ) from error
    return found


def published_records(
    paths: Sequence[Path], problems: Mapping[str, Problem], examiner: Examiner, known: set[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """Records of published pairs of a failing program and its repair that hold when they are run here.

    known: (task_id, program) of pairs that are left out; grows. A pair whose problem has no tests is left out.
    """
    for path in paths:
        # The two readings go through the same lines; what a source says in words is of no use elsewhere.
        for repair, (_, words) in zip(read_repairs(path, problems), read_objects(path), strict=True):
            problem, broken, fixed = repair
            key = problem.task_id, broken.program
            if problem.test_kind == "none" or not problem.trusted or key in known:
                continue
            failed = examiner.examine(problem, broken.program)
            if failed.passed or not examiner.examine(problem, fixed.program).passed:
                continue
            known.add(key)
            explanation = str(words.get("reflection") or "")
            if not explanation and "explanation" in str(words.get("feedback_model")):
                explanation = str(words.get("feedback") or "")
            yield {
                "task_id": problem.task_id,
                "benchmark": broken.benchmark,
                "group": broken.group,
                "model": broken.model,
                "program": broken.program,
                "prompt_lines": broken.prompt_lines,
                "form": broken.form,
                "verified": False,
                "err": failed.reason,
                "error": failed.failure,
                "problem": asdict(problem),
                "critic": PUBLISHED,
                "repairs": [{"explanation": explanation.strip(), "program": fixed.program, "passed": True}],
                "origin": broken.origin or path.name,
            }


BROKEN = "edit"  # stands for the model that wrote a right program with one edit in it
_MOST_TRIED = 8  # edits for each program that is wanted


def broken_records(problem: Problem, examiner: Examiner, *, per_problem: int, seed: int) -> Iterator[dict[str, Any]]:
    """Records of a problem's reference with one edit of a line that makes tests fail, at most `per_problem`.

    Edits are drawn by `seed`. The repair is the reference; the explanation names the line and says what belongs there.
    None if the reference itself fails here.
    """
    reference = (problem.reference or "").rstrip("\n") + "\n"
    draw = Random(f"{seed}:{problem.task_id}")
    edits = candidates(reference, given=len(problem.prompt) if reference.startswith(problem.prompt) else 0)
    made = [(candidate.text, words) for candidate in edits if (words := _told_change(candidate.text, reference))]
    chosen = draw.sample(made, min(len(made), _MOST_TRIED * per_problem))
    if not chosen or not examiner.examine(problem, reference).passed:
        return
    count = 0
    for program, words in chosen:
        failed = examiner.examine(problem, program)
        if failed.passed or failed.reason == "timeout":
            continue
        yield {
            "task_id": problem.task_id,
            "benchmark": problem.benchmark,
            "group": problem.group,
            "model": BROKEN,
            "index": count,
            "program": program,
            "prompt_lines": 0,
            "verified": False,
            "err": failed.reason,
            "error": failed.failure,
            "problem": asdict(problem),
            "critic": BROKEN,
            "repairs": [{"explanation": words, "program": reference, "passed": True}],
        }
        count += 1
        if count == per_problem:
            return


def _told_change(broken: str, right: str) -> str:
    """What is wrong, where one line is not what it should be; else ""."""
    lines, expected = broken.splitlines(), right.splitlines()
    differing = [number for number, pair in enumerate(zip(lines, expected, strict=False)) if pair[0] != pair[1]]
    if len(lines) != len(expected) or len(differing) != 1:
        return ""
    (number,) = differing
    return f"Line {number + 1} is wrong: `{lines[number].strip()}` should be `{expected[number].strip()}`."


def statistics_of_synthesis(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Counts over all records, under "all", and by benchmark.

    failing: programs that differ within their problem; explained, repaired: those with an explanation, with an attempt
    that passes; verified: attempts that pass; tokens: read and written by models, as far as is known.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    problems: dict[str, set[str]] = defaultdict(set)
    for record in records:
        attempts = record["repairs"]
        passing = sum(attempt["passed"] for attempt in attempts)
        failing = not record["verified"] and not record.get("repeats", False)
        explained = any(attempt["explanation"] for attempt in attempts)
        tokens = [record.get("prompt_tokens"), record.get("completion_tokens")]
        tokens += [count for attempt in attempts for count in attempt.get("tokens", [])]
        for name in ("all", record["benchmark"]):
            problems[name].add(record["group"])
            counts[name].update(
                programs=1,
                failing=int(failing),
                explained=int(explained),
                attempts=len(attempts),
                verified=passing,
                repaired=int(passing > 0),
                tokens=sum(count or 0 for count in tokens),
            )
    return {name: {"problems": len(problems[name]), **counts[name]} for name in counts}


_COLUMNS = ("problems", "programs", "failing", "explained", "attempts", "verified", "repaired", "tokens")
_CARD = """\
# Failing programs, explanations and repairs

Every record is one program that was run against its problem's tests in a sandbox (docs/debugger.md has the fields). A
repair counts as verified where the whole program passed all tests here. Explanations are a model's words, and nothing
but the repair behind them was checked.

{table}
failing: different programs of a problem; explained: with an explanation; attempts: repairs that were asked for;
verified: attempts that pass; repaired: programs with one of those.

Programs by: {models}. Explanations and repairs by: {critics}.

{licences}
"""


def card_of_synthesis(records: Sequence[Mapping[str, Any]]) -> str:
    """The data card, in Markdown. BadInput where there are no records."""
    if not records:
        raise BadInput("there is nothing to describe", "let `debugger synthesise` write some records first")
    figures = statistics_of_synthesis(records)
    rows = [("benchmark", *_COLUMNS), ("---",) * (1 + len(_COLUMNS))]
    rows += [(name, *(f"{row[column]:,}" for column in _COLUMNS)) for name, row in figures.items()]
    licences = sorted({(str(each["benchmark"]), str(each["problem"]["license"] or "not given")) for each in records})
    terms = [("benchmark", "licence of the problem"), ("---", "---"), *licences]
    return _CARD.format(
        table=_table(rows),
        models=_count_names(str(each["model"]) for each in records),
        critics=_count_names(str(each["critic"]) for each in records if each["repairs"]) or "nobody",
        licences=_table(terms).rstrip("\n"),
    )


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def _count_names(names: Iterable[str]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in Counter(names).most_common())
