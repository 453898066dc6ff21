"""Builds a data set of minimal patches: many problems on several processes, resumable at any time."""

from __future__ import annotations

import multiprocessing
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from risk_lsp.errors import BadInput
from risk_lsp.patches.build_release import Release, replace_file, write_release
from risk_lsp.patches.build_store import BuildStore
from risk_lsp.patches.build_worker import BuildTask, Notice, WorkerOptions, work
from risk_lsp.patches.known_labels import LABELS_FILE, packed_labels, read_labels
from risk_lsp.patches.labels import labelled_record, sample_id
from risk_lsp.patches.outcome import SandboxError
from risk_lsp.patches.problems import Problem, Sample, problems_by_id, read_samples
from risk_lsp.patches.progress import Progress
from risk_lsp.patches.search import SearchSettings

if TYPE_CHECKING:
    from risk_lsp.patches.asked_fixes import FixOptions


@dataclass(frozen=True)
class BuildOptions:
    """What to build from, where to, and how.

    per_benchmark, per_problem: patch only so many failing programs of each, always the same ones first. max_share: a
    patch that touches a larger share of the lines a model wrote is a rewrite and gives no label. fixes: a language
    model to ask as well.
    """

    problems: tuple[Path, ...]
    samples: tuple[Path, ...]
    out: Path
    search: SearchSettings
    workers: int = 2
    per_benchmark: int | None = None
    per_problem: int | None = None
    max_share: float = 1.0
    licences: dict[str, str] | None = None
    weak: bool = False
    fixes: FixOptions | None = None
    known: Path | None = None

    def settings(self) -> dict[str, Any]:
        """What decides which patches are found."""
        return asdict(self.search) | ({} if self.fixes is None else {"fixes": self.fixes.identity()})


def build(options: BuildOptions, messages: TextIO) -> Release:
    """Find patches for what has no record yet, then write the data set. Progress goes to `messages`."""
    problems = problems_by_id(options.problems)
    samples = _usable(options.samples, problems)
    with BuildStore(options.out / "work", options.settings()) as store:
        records = {record["id"]: record for record in store.records()}
        known = {} if options.known is None else read_labels(options.known)
        pending = (_pending(samples, options) | (set(known) & set(samples))) - set(records)
        messages.write(
            f"{len(samples):,} programs of {len({sample.task_id for sample in samples.values()}):,} problems with "
            f"tests, {len(records):,} of them done, {len(pending):,} to do\n"
        )
        tasks = list(_tasks(problems, samples, pending, records, known))
        progress = Progress(messages, "programs", len(pending))
        done = 0
        noted = False
        for result in _results(tasks, options):
            if isinstance(result, Notice):
                if not noted:
                    messages.write(f"{result.text}\n")
                noted = True
                continue
            store.append(result)
            records[result["id"]] = result
            done += 1
            progress(done)
    replace_file(options.out / LABELS_FILE, packed_labels(records.values()))
    records |= _known_to_pass(problems, samples, records)
    licences = {problems[sample.task_id].benchmark: problems[sample.task_id].license for sample in samples.values()}
    return write_release(
        options.out, records.values(), options.max_share, licences, options.licences or {}, _outcomes(samples, records)
    )


def _usable(paths: Iterable[Path], problems: dict[str, Problem]) -> dict[str, Sample]:
    """By id, the programs whose problem has tests and whose verdicts do not contradict each other."""
    usable: dict[str, Sample] = {}
    for path in paths:
        for sample in read_samples(path):
            problem = problems.get(sample.task_id)
            if problem is None:
                raise BadInput(f"{path}: no problem {sample.task_id} is known", "give its file with --problems")
            if problem.test_kind != "none" and not sample.conflict:
                usable.setdefault(sample_id(sample), sample)
    if not usable:
        raise BadInput("no program has a problem with tests", "give samples of problems whose test_kind is not none")
    return usable


def _pending(samples: dict[str, Sample], options: BuildOptions) -> set[str]:
    """The programs to run: those that failed, or that nobody ran, in an order that depends on nothing else."""
    chosen: set[str] = set()
    counts: Counter[str] = Counter()
    for name in sorted(samples, key=lambda name: sha256(name.encode("utf-8", "surrogatepass")).digest()):
        sample = samples[name]
        limits = {sample.benchmark: options.per_benchmark, sample.task_id: options.per_problem}
        if not sample.verified and all(limit is None or counts[key] < limit for key, limit in limits.items()):
            chosen.add(name)
            counts.update(limits.keys())
    return chosen


def _tasks(
    problems: dict[str, Problem],
    samples: dict[str, Sample],
    pending: set[str],
    records: dict[str, Any],
    known: dict[str, dict[str, Any]],
) -> Iterator[BuildTask]:
    """One task per problem, those with the most programs first, so that no long one is left for the end."""
    waiting, passing, fixed = defaultdict(list), defaultdict(list), defaultdict(list)
    for name, sample in samples.items():
        if name in pending:
            waiting[sample.task_id].append(sample)
        elif sample.verified or records.get(name, {}).get("passed"):
            passing[sample.task_id].append(sample.program)
        if "patch" in records.get(name, {}):
            fixed[sample.task_id].append(records[name]["patch"]["fixed"])
    for task_id in sorted(waiting, key=lambda task_id: (-len(waiting[task_id]), task_id)):
        labels = {name: known[name] for name in map(sample_id, waiting[task_id]) if name in known}
        yield BuildTask(
            problems[task_id], tuple(waiting[task_id]), tuple(passing[task_id]), tuple(fixed[task_id]), labels
        )


def _results(tasks: list[BuildTask], options: BuildOptions) -> Iterator[dict[str, Any] | Notice]:
    """Records and notices from the workers, in the order in which they come."""
    worker_options = WorkerOptions(options.search, options.weak, options.fixes, options.out / "work")
    # Not forked: a fork would keep the other workers' pipes open, and they would outlive this process.
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, BaseProcess] = {}
    process: BaseProcess
    waiting = iter(tasks)
    try:
        for task in waiting:
            own, other = context.Pipe()
            process = context.Process(target=work, args=(other, worker_options), daemon=True)
            process.start()
            other.close()
            own.send(task)
            running[own] = process
            if len(running) == options.workers:
                break
        while running:
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                record = _received(connection)
                if record is not None:
                    yield record
                elif (task := next(waiting, None)) is not None:  # type: ignore[assignment]
                    connection.send(task)
                else:
                    connection.close()
                    running.pop(connection).join()
    finally:
        for process in running.values():
            process.terminate()
            process.join()


def _received(connection: Connection) -> dict[str, Any] | Notice | None:
    try:
        record: dict[str, Any] | Notice | None = connection.recv()
    except EOFError:
        raise SandboxError(
            "a worker process ended before its work was done", "see its error above; what was found so far is kept"
        ) from None
    return record


def _outcomes(samples: dict[str, Sample], records: dict[str, dict[str, Any]]) -> dict[str, list[int]]:
    """By problem, how many of its programs pass and fail: of those that nobody patched the published run counts."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, sample in samples.items():
        passed = records[name]["passed"] if name in records else sample.verified
        if passed is not None:
            counts[sample.group][0 if passed else 1] += 1
    return dict(sorted(counts.items()))


def _known_to_pass(
    problems: dict[str, Problem], samples: dict[str, Sample], records: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    return {
        name: labelled_record(problems[sample.task_id], sample, passed=True)
        for name, sample in samples.items()
        if sample.verified and name not in records
    }
