"""Builds a data set of minimal patches: many problems on several processes, resumable at any time."""

from __future__ import annotations

import json
import multiprocessing
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import read_appended
from risk_lsp.lab.patches.build_inputs import InputFiles, Inputs, read_inputs
from risk_lsp.lab.patches.build_worker import Notice, Task, WorkerOptions, work
from risk_lsp.lab.patches.known_fixes import injected_samples, reference_sample
from risk_lsp.lab.patches.labels import (
    LABELS,
    fixed_by,
    labelled_record,
    read_labels,
    record_of,
    sample_id,
    write_labels,
)
from risk_lsp.lab.patches.programs import Sample
from risk_lsp.lab.patches.release import Release, write_release
from risk_lsp.lab.patches.search import SearchSettings
from risk_lsp.report.wording import shown_progress
from risk_lsp.sandbox.isolation import SandboxError
from risk_lsp.sandbox.verdicts import Problem

if TYPE_CHECKING:
    from risk_lsp.lab.patches.program_writers import FixOptions


_PART_RECORDS = 2000
_SETTINGS = "settings.json"


class BuildStore:
    """The folder of a build under way. A context manager; BadInput if it was begun with other settings.

    Each run writes parts of its own. A last line that was cut short when a run was killed is removed.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / _SETTINGS
        if path.exists():
            try:
                known = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise BadInput(f"{path} is damaged: {error}", "remove the folder to begin anew") from error
            if known != settings:
                raise BadInput(
                    f"{folder.parent} was begun with other settings: {json.dumps(known)}",
                    "use the same ones to go on, or another folder",
                )
        else:
            path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        numbers = (int(path.stem.removeprefix("part-")) for path in folder.glob("part-*.jsonl"))
        self._number = max(numbers, default=-1)
        self._written = _PART_RECORDS
        self._part: Any = None

    def __enter__(self) -> BuildStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._part is not None:
            self._part.close()

    def records(self) -> Iterator[dict[str, Any]]:
        """Every record so far, oldest first."""
        for path in sorted(self._folder.glob("part-*.jsonl")):
            yield from (record for _, record in read_appended(path))

    def append(self, record: dict[str, Any]) -> None:
        """Write one record; it survives the end of this process at once."""
        if self._written >= _PART_RECORDS:
            if self._part is not None:
                self._part.close()
            self._number += 1
            self._written = 0
            self._part = (self._folder / f"part-{self._number:05}.jsonl").open("x", encoding="utf-8")
        self._part.write(json.dumps(record) + "\n")
        self._part.flush()
        self._written += 1


@dataclass(frozen=True)
class BuildOptions:
    """What to build from, where to, and how.

    per_benchmark, per_problem: patch only so many failing programs of each, always the same ones first. bugs: how many
    are put into each reference. max_share: a patch that touches a larger share of the lines a model wrote is a rewrite
    and gives no label. fixes: a language model to ask as well. known: labels of earlier builds, as files and folders.
    trusts_known: these labels are taken as they are; nothing is run, and nothing else is looked for.
    """

    inputs: InputFiles
    out: Path
    search: SearchSettings
    workers: int = 2
    per_benchmark: int | None = None
    per_problem: int | None = None
    bugs: int = 2
    max_share: float = 1.0
    licences: dict[str, str] | None = None
    weak: bool = False
    fixes: FixOptions | None = None
    known: tuple[Path, ...] = ()
    trusts_known: bool = False

    def settings(self) -> dict[str, Any]:
        """What decides which patches are found."""
        return asdict(self.search) | ({} if self.fixes is None else {"fixes": self.fixes.identity()})


def build(options: BuildOptions, messages: TextIO) -> Release:
    """Find patches for what has no record yet, then write the data set. Progress goes to `messages`."""
    inputs = read_inputs(options.inputs)
    if options.trusts_known:
        records = {record["id"]: record for record in kept_records(inputs, read_labels(options.known))}
    else:
        records = _collect_records(options, inputs, messages)
    write_labels(options.out / LABELS, records.values())
    records |= {
        name: labelled_record(inputs.problems[sample.task_id], sample, passed=True)
        for name, sample in inputs.samples.items()
        if sample.verified and name not in records
    }
    return write_release(
        options.out,
        records.values(),
        options.max_share,
        {problem.benchmark: problem.license for problem in inputs.problems.values() if problem.license},
        options.licences or {},
        _outcomes(inputs.samples, records),
    )


def _collect_records(options: BuildOptions, inputs: Inputs, messages: TextIO) -> dict[str, dict[str, Any]]:
    """All records by the ids of their programs: those of earlier runs, and of what was still to be done."""
    with BuildStore(options.out / "work", options.settings()) as store:
        records = {record["id"]: record for record in store.records()}
        known = read_labels(options.known)
        only_known = options.per_problem == 0
        pending = inputs.pending(options.per_problem, options.per_benchmark) | (set(known) & set(inputs.samples))
        pending -= set(records)
        repairs = list(inputs.repair_tasks(records, known if only_known else None))
        references = list(inputs.reference_tasks(options.bugs, records.values(), known, only_known=only_known))
        tasks = [*references, *repairs, *inputs.sample_tasks(pending, records, known)]
        # Of a repair there are two programs, of a reference as many more as it has bugs; some turn out to be no use.
        expected = len(pending) + 2 * len(repairs) + (1 + options.bugs) * len(references)
        messages.write(
            f"{len(inputs.samples):,} programs of models, {len(inputs.repairs):,} repairs, {len(inputs.references):,} "
            f"references; {len(records):,} records so far, about {expected:,} to come\n"
        )
        done = 0
        noted = False
        with shown_progress(messages, "programs", expected) as progress:
            for result in _results(tasks, options):
                if isinstance(result, Notice):
                    if not noted:
                        progress.say(result.text)
                    noted = True
                    continue
                store.append(result)
                records[result["id"]] = result
                done += 1
                progress.show(done)
    return records


def _results(tasks: list[Task], options: BuildOptions) -> Iterator[dict[str, Any] | Notice]:
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
                record = _receive(connection)
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


def _receive(connection: Connection) -> dict[str, Any] | Notice | None:
    try:
        record: dict[str, Any] | Notice | None = connection.recv()
    except EOFError:
        raise SandboxError(
            "a worker process ended before its work was done", "see its error above; what was found so far is kept"
        ) from None
    return record


def _outcomes(samples: Mapping[str, Sample], records: Mapping[str, dict[str, Any]]) -> dict[str, list[int]]:
    """How many programs of each problem pass and fail; the published run counts for those that nobody patched."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, sample in samples.items():
        if name not in records and sample.verified is not None:
            counts[sample.group][0 if sample.verified else 1] += 1
    for record in records.values():
        counts[record["group"]][0 if record["passed"] else 1] += 1
    return dict(sorted(counts.items()))


def kept_records(inputs: Inputs, known: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The records that `known`, labels by the ids of programs, tells of the inputs, as a build that runs them has them.

    Labels of programs that the inputs lack count for nothing.
    """
    for name, sample in inputs.samples.items():
        if name in known:
            yield _record(inputs.problems[sample.task_id], sample, known[name])
    for problem, broken, fixed in inputs.repairs:
        if (label := known.get(sample_id(broken))) is not None:
            yield _record(problem, broken, label)
            yield labelled_record(problem, fixed, passed=True)
    for task in inputs.reference_tasks(0, (), known, only_known=True):
        yield labelled_record(task.problem, reference_sample(task.problem), passed=True)
        for sample in injected_samples(task):
            if (label := task.known.get(sample_id(sample))) is not None:
                yield _record(task.problem, sample, label)


def _record(problem: Problem, sample: Sample, label: dict[str, Any]) -> dict[str, Any]:
    if label["passed"]:
        return labelled_record(problem, sample, passed=True)
    return record_of(problem, sample, label, fixed_by(problem, sample, label))
