"""What a build works on: the usable programs, and those that are still to be done, problem by problem."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import read_fields
from risk_lsp.lab.patches.build_worker import BuildTask, Task
from risk_lsp.lab.patches.known_fixes import ReferenceTask
from risk_lsp.lab.patches.labels import sample_id
from risk_lsp.lab.patches.programs import Repair, Sample, problems_by_id, read_repairs, read_samples
from risk_lsp.sandbox.verdicts import Problem

# A program that fails in one of these ways is not patched: what is wrong with it needs no tests to be seen, or takes
# them too long to see.
_NOT_SEARCHED = ("SyntaxError", "IndentationError", "TabError", "load", "timeout")
_VERDICT_HINT = "a verdict has task_id, program_md5_nows, passed, verified, and err"


@dataclass(frozen=True)
class InputFiles:
    """What to read. samples: programs of models; verdicts: what came of running them, where they do not say.

    repairs: programs and what they were repaired to. references: problems into whose references bugs are put.
    """

    problems: tuple[Path, ...]
    samples: tuple[Path, ...] = ()
    verdicts: tuple[Path, ...] = ()
    repairs: tuple[Path, ...] = ()
    references: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """Problems by their ids, usable programs by theirs, repairs, and the ids of problems whose references get bugs."""

    problems: Mapping[str, Problem]
    samples: Mapping[str, Sample]
    repairs: tuple[Repair, ...]
    references: tuple[str, ...]

    def pending(self, per_problem: int | None, per_benchmark: int | None) -> set[str]:
        """The programs to patch: those that failed, or that nobody ran, in an order that depends on nothing else."""
        chosen: set[str] = set()
        counts: Counter[str] = Counter()
        for name in sorted(self.samples, key=lambda name: sha256(name.encode("utf-8", "surrogatepass")).digest()):
            sample = self.samples[name]
            if sample.verified or sample.failure.startswith(_NOT_SEARCHED):
                continue
            limits = {sample.benchmark: per_benchmark, sample.task_id: per_problem}
            if all(limit is None or counts[key] < limit for key, limit in limits.items()):
                chosen.add(name)
                counts.update(limits.keys())
        return chosen

    def sample_tasks(
        self, pending: Collection[str], records: Mapping[str, Any], known: Mapping[str, dict[str, Any]]
    ) -> Iterator[Task]:
        """One task per problem, those with the most programs first, so that no long one is left for the end."""
        waiting, passing, fixed = defaultdict(list), defaultdict(list), defaultdict(list)
        for name, sample in self.samples.items():
            if name in pending:
                waiting[sample.task_id].append(sample)
            elif sample.verified or records.get(name, {}).get("passed"):
                passing[sample.task_id].append(sample.program)
                if sample.plus and (stricter := _stricter(self.problems, sample)) is not None:
                    passing[stricter.task_id].append(sample.program)
            if "patch" in records.get(name, {}):
                fixed[sample.task_id].append(records[name]["patch"]["fixed"])
        for task_id in sorted(waiting, key=lambda task_id: (-len(waiting[task_id]), task_id)):
            labels = {name: known[name] for name in map(sample_id, waiting[task_id]) if name in known}
            yield BuildTask(
                self.problems[task_id],
                tuple(waiting[task_id]),
                tuple(passing[task_id]),
                tuple(fixed[task_id]),
                labels,
            )

    def repair_tasks(self, records: Collection[str], only: Collection[str] | None) -> Iterator[Task]:
        """The repairs without a record yet; of these the ones in `only`, if it is given."""
        for repair in self.repairs:
            name = sample_id(repair.broken)
            if name not in records and (only is None or name in only):
                yield repair

    def reference_tasks(
        self, bugs: int, records: Iterable[Mapping[str, Any]], known: Mapping[str, dict[str, Any]], *, only_known: bool
    ) -> Iterator[ReferenceTask]:
        """The problems whose references have no records yet; with `only_known` those with labels."""
        done = {record["task_id"] for record in records if record["kind"] == "reference"}
        labels: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for name, label in known.items():
            if "injected" in label:
                labels[name.rsplit("/", 2)[0]][name] = label
        for task_id in self.references:
            if task_id not in done and (task_id in labels or not only_known):
                yield ReferenceTask(self.problems[task_id], bugs, labels[task_id])


def read_inputs(files: InputFiles) -> Inputs:
    """Read everything. BadInput for a file that is wrong, a sample of an unknown problem, or if nothing is usable."""
    problems = problems_by_id([*files.problems, *(path for path in files.references if path not in files.problems)])
    samples = _usable(files.samples, problems, _verdicts(files.verdicts))
    repairs = tuple(repair for path in files.repairs for repair in read_repairs(path, problems))
    references = tuple(
        task_id
        for task_id, problem in problems_by_id(files.references).items()
        if problem.reference and problem.trusted and problem.test_kind != "none"
    )
    if not (samples or repairs or references):
        raise BadInput("no program has a problem with tests", "give samples of problems whose test_kind is not none")
    return Inputs(problems, samples, repairs, references)


def _usable(
    paths: Iterable[Path], problems: Mapping[str, Problem], verdicts: Mapping[tuple[str, str], tuple[bool, str]]
) -> dict[str, Sample]:
    """The programs, by id, whose problem has tests to trust and whose verdicts do not contradict each other.

    One that passes the tests of its problem and fails the stricter ones of another is a failing program of that one.
    """
    usable: dict[str, Sample] = {}
    for path in paths:
        for sample in read_samples(path):
            problem = problems.get(sample.task_id)
            if problem is None:
                raise BadInput(f"{path}: no problem {sample.task_id} is known", "give its file with --problems")
            sample = replace(sample, benchmark=sample.benchmark or problem.benchmark)
            # The md5 of a program without its white space, which names it in files of verdicts.
            text = "".join(sample.program.split())
            key = (sample.task_id, md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest())
            if sample.verified is None and key in verdicts:
                verified, failure = verdicts[key]
                conflict = sample.passed is not None and sample.passed != verified
                sample = replace(sample, verified=verified, failure=failure, conflict=conflict)
            if sample.verified and sample.plus is False and (stricter := _stricter(problems, sample)) is not None:
                problem = stricter
                sample = replace(
                    sample, task_id=problem.task_id, benchmark=problem.benchmark, verified=False, passed=None
                )
            if problem.test_kind != "none" and problem.trusted and not sample.conflict:
                usable.setdefault(sample_id(sample), sample)
    return usable


def _stricter(problems: Mapping[str, Problem], sample: Sample) -> Problem | None:
    """The problem that asks the same with more tests: that of EvalPlus, whose ids differ by the benchmark's name."""
    benchmark, _, number = sample.task_id.partition("/")
    names = {"HumanEval": "HumanEvalPlus", "MBPP": "MbppPlus"}
    return problems.get(f"{names[benchmark]}/{number}") if benchmark in names else None


def _verdicts(paths: Iterable[Path]) -> dict[tuple[str, str], tuple[bool, str]]:
    """Whether a program passes, and why not, by task and digest of the program."""
    found: dict[tuple[str, str], tuple[bool, str]] = {}
    for path in paths:
        for fields in read_fields(path, _VERDICT_HINT):
            verified = fields.optional("verified", bool)
            if verified is not None:
                key = (fields.get("task_id", str), fields.get("program_md5_nows", str))
                found[key] = (verified, fields.get("err", str, default=""))
    return found
