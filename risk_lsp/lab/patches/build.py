"""`risk-lsp patches build`: a data set of minimal patches from problems and samples, resumable at any time."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import RecordStore
from risk_lsp.lab.patches.build_inputs import InputFiles, Inputs, read_inputs
from risk_lsp.lab.patches.build_worker import Notice, WorkerOptions, open_search
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
from risk_lsp.lab.task_pool import LocalProcesses, RayCluster, TaskPool, add_ray_argument
from risk_lsp.report.wording import shown_progress
from risk_lsp.sandbox.verdicts import Problem

if TYPE_CHECKING:
    from risk_lsp.lab.patches.program_writers import FixOptions


@dataclass(frozen=True)
class BuildOptions:
    """What to build from, where to, and how.

    per_benchmark, per_problem: patch only so many failing programs of each, always the same ones first. bugs: how many
    are put into each reference. max_share: a patch that touches a larger share of the lines a model wrote is a rewrite
    and gives no label. fixes: a language model to ask as well. known: labels of earlier builds, as files and folders.
    trusts_known: these labels are taken as they are; nothing is run, and nothing else is looked for. work: a folder, or
    the URL of one in an object store, for records as they are found (default: in `out`).
    """

    inputs: InputFiles
    out: Path
    search: SearchSettings
    pool: TaskPool = field(default_factory=lambda: LocalProcesses(2))
    work: str | None = None
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
    with RecordStore(options.work or str(options.out / "work"), options.settings()) as store:
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
        noted = False
        job = partial(open_search, WorkerOptions(options.search, options.weak, options.fixes, options.out / "work"))
        before = len(records)
        with shown_progress(messages, "programs", expected) as progress:
            for result in options.pool.run(job, tasks, say=progress.say):
                if isinstance(result, Notice):
                    if not noted:
                        progress.say(result.text)
                    noted = True
                    continue
                store.append(result)
                records[result["id"]] = result
                progress.show(len(records) - before)
    return records


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


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp patches build`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the data set; a build in it goes on")
    parser.add_argument("--problems", type=Path, nargs="+", default=[], metavar="FILE", help="problems with tests")
    parser.add_argument("--samples", type=Path, nargs="+", default=[], metavar="FILE", help="programs of models")
    parser.add_argument(
        "--verdicts", type=Path, nargs="+", default=[], metavar="FILE", help="what came of running samples before"
    )
    parser.add_argument(
        "--repairs", type=Path, nargs="+", default=[], metavar="FILE", help="programs with a bug and their repairs"
    )
    parser.add_argument(
        "--references",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="problems whose reference solutions count as programs that pass, and get bugs",
    )
    parser.add_argument("--bugs", type=int, default=2, metavar="N", help="for each reference (default 2)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes at work here (default 2)")
    add_ray_argument(parser)
    parser.add_argument(
        "--work",
        metavar="URL",
        help="folder, or URL of one in an object store, for records as they are found (default OUT/work)",
    )
    parser.add_argument(
        "--per-benchmark", type=int, metavar="N", help="patch N failing programs of each benchmark, not all"
    )
    parser.add_argument(
        "--per-problem", type=int, metavar="N", help="patch N failing programs of each problem, not all"
    )
    parser.add_argument(
        "--known",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="labels of earlier builds, files or folders: their patches are run once more and not searched again; with "
        "--per-problem 0 nothing else is done",
    )
    parser.add_argument(
        "--trust-known", action="store_true", help="take the labels of --known as they are: nothing is run or searched"
    )
    parser.add_argument(
        "--budget",
        type=int,
        default=1000,
        metavar="N",
        help="what the search for one program may cost, in runs (default 1000)",
    )
    parser.add_argument(
        "--max-share",
        type=float,
        default=1.0,
        metavar="P",
        help="a patch that touches more of the model's lines is a rewrite and gives no label (default 1: none is)",
    )
    parser.add_argument(
        "--licences", type=Path, metavar="FILE", help='JSON for the data card: {"origin of samples": "licence", ...}'
    )
    parser.add_argument(
        "--weak-sandbox", action="store_true", help="run programs without bubblewrap: only for code that is trusted"
    )
    asked = parser.add_argument_group("a language model that is asked for fixes as well (its key: OPENAI_API_KEY)")
    asked.add_argument("--model", metavar="NAME", help="the model's name at the endpoint")
    asked.add_argument("--base-url", metavar="URL", help="an endpoint that speaks OpenAI's chat protocol")
    asked.add_argument("--answers", type=int, default=1, metavar="N", help="for each program (default 1)")
    asked.add_argument("--temperature", type=float, default=0.2, metavar="T", help="default 0.2")
    asked.add_argument("--max-tokens", type=int, default=2048, metavar="N", help="of one answer (default 2048)")
    asked.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="of a request (default 120)")


def run_build(args: argparse.Namespace) -> int:
    """Build; returns the exit code."""
    if args.workers < 1 or args.budget < 1 or args.bugs < 1:
        raise BadInput("--workers, --budget and --bugs must be 1 or more", "leave them out for the defaults")
    if not 0 < args.max_share <= 1:
        raise BadInput(f"--max-share {args.max_share} is not a share", "give a number above 0, up to 1")
    if args.trust_known and not args.known:
        raise BadInput("--trust-known has no labels to trust", "name them with --known")
    if args.ray is not None and args.model is not None:
        raise BadInput("--model is asked from one machine, with the key that is there", "leave out --ray, or --model")
    if args.ray is not None and args.weak_sandbox:
        raise BadInput("--weak-sandbox is for one's own machine", "install bubblewrap on those of the cluster")
    options = BuildOptions(
        inputs=InputFiles(
            tuple(args.problems),
            tuple(args.samples),
            tuple(args.verdicts),
            tuple(args.repairs),
            tuple(args.references),
        ),
        out=args.out,
        search=SearchSettings(budget=args.budget),
        pool=LocalProcesses(args.workers) if args.ray is None else RayCluster(args.ray),
        work=args.work,
        per_benchmark=args.per_benchmark,
        per_problem=args.per_problem,
        max_share=args.max_share,
        licences=_licences(args.licences),
        weak=args.weak_sandbox,
        fixes=_fixes(args),
        bugs=args.bugs,
        known=tuple(args.known),
        trusts_known=args.trust_known,
    )
    statistics = build(options, sys.stderr).statistics
    figures = statistics["without_syntax_errors"]
    print(f"{args.out}: {figures['patched']:,} of {figures['failing']:,} failing programs that parse have a label")
    if options.fixes is not None:
        asked = statistics["asked"]
        print(
            f"{options.fixes.model}: {asked['answers']:,} answers for {asked['programs']:,} programs, "
            f"{asked['prompt_tokens']:,} tokens read and {asked['completion_tokens']:,} written"
        )
    return 0


def _fixes(args: argparse.Namespace) -> FixOptions | None:
    """How a language model is asked; None if nobody named one."""
    if args.model is None:
        if args.base_url is not None:
            raise BadInput("no model is named", "name one of the endpoint's with --model")
        return None
    if args.answers < 1 or args.max_tokens < 1:
        raise BadInput("--answers and --max-tokens must be 1 or more", "leave them out for the defaults")
    from risk_lsp.lab.patches.program_writers import FixOptions

    options = FixOptions(args.model, args.base_url, args.answers, args.temperature, args.max_tokens, args.timeout)
    options.endpoint()  # refused now rather than in every worker, if it cannot be asked at all
    return options


def _licences(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        licences = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}", "give a JSON object of names and licences") from error
    if not isinstance(licences, dict) or not all(isinstance(value, str) for value in licences.values()):
        raise BadInput(f"{path} is not a JSON object of texts", "give a JSON object of names and licences")
    return licences
