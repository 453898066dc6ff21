"""`risk-lsp patches sample`: programs of a model for problems. Each is appended to its file at once."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TextIO

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import read_appended
from risk_lsp.lab.task_pool import RayCluster, add_ray_argument
from risk_lsp.report.wording import shown_progress
from risk_lsp.sandbox.verdicts import Problem
from risk_lsp.text.structure import parses

if TYPE_CHECKING:
    from risk_lsp.lab.patches.program_writers import HostedWriter


@dataclass(frozen=True)
class SamplingOptions:
    """How many programs of which model for each problem, and how it draws them.

    stop: texts in front of which an answer ends. seed: None where nobody asked for the same programs again.
    """

    model: str
    per_problem: int
    temperature: float
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None


class WantedProgram(NamedTuple):
    """A program that is missing, and the seed that makes it differ from the others of its problem."""

    problem: Problem
    seed: int


class WrittenProgram(NamedTuple):
    """A program, how many of its first lines were given to the model, and the tokens it took, where that is known."""

    program: str
    prompt_lines: int
    prompt_tokens: int | None
    completion_tokens: int | None


class ProgramWriter(Protocol):
    """What writes programs."""

    def write(self, wanted: Sequence[WantedProgram]) -> Iterator[tuple[WantedProgram, WrittenProgram]]:
        """The programs, in any order, each as soon as it is there."""
        ...


class Tally(NamedTuple):
    """Programs written by one run, and the tokens that they took, as far as is known."""

    programs: int
    prompt_tokens: int
    completion_tokens: int


def sample(
    problems: Iterable[Problem],
    writer: ProgramWriter,
    options: SamplingOptions,
    out: Path,
    messages: TextIO,
) -> Tally:
    """Write what `out` lacks and append it there, one line per program, each as soon as it is there.

    The progress of this run goes to `messages`.
    """
    known = _count_known(out, options)
    missing = [
        WantedProgram(problem, seed_of(options, problem, index))
        for problem in problems
        for index in range(known[problem.task_id], options.per_problem)
    ]
    tally = Counter[str]()
    out.parent.mkdir(parents=True, exist_ok=True)
    with shown_progress(messages, "programs", len(missing)) as progress, out.open("a", encoding="utf-8") as file:
        for done, (wanted, written) in enumerate(writer.write(missing), start=1):
            file.write(json.dumps(sample_record(wanted.problem, written, options)) + "\n")
            file.flush()
            tally["prompt"] += written.prompt_tokens or 0
            tally["completion"] += written.completion_tokens or 0
            progress.show(done)
    return Tally(len(missing), tally["prompt"], tally["completion"])


def is_code(prompt: str) -> bool:
    """Whether a prompt is the beginning of a program rather than words."""
    return parses(prompt) or parses(f"{prompt.rstrip()}\n    pass\n")


def sample_record(problem: Problem, written: WrittenProgram, options: SamplingOptions) -> dict[str, Any]:
    """A program as a sample that nobody has run yet, behind the lines that stand in front of every program."""
    prelude = "" if written.program.startswith(problem.prelude) else problem.prelude.rstrip("\n") + "\n"
    given = written.prompt_lines
    return {
        "task_id": problem.task_id,
        "benchmark": problem.benchmark,
        "group": problem.group,
        "model": options.model,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "program": prelude + written.program,
        # Labels leave out all that was given where there is a prelude, so no more than that counts as given.
        "prompt_lines": prelude.count("\n") if prelude else given,
        "form": "completion" if given else "script" if problem.test_kind == "stdio" else "full",
        "passed": None,
        "verified": None,
        "origin": f"sampled:{options.model}",
        "prompt_tokens": written.prompt_tokens,
        "completion_tokens": written.completion_tokens,
    }


def seed_of(options: SamplingOptions, problem: Problem, index: int) -> int:
    """The seed of a problem's program number `index`, 31 bits: a run that goes on finds the same one."""
    digest = sha256(f"{options.seed or 0}:{problem.task_id}:{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _count_known(out: Path, options: SamplingOptions) -> Counter[str]:
    """How many programs `out` holds by problem, of this model and drawn so. A last line cut short is removed."""
    known: Counter[str] = Counter()
    drawn = (options.model, options.temperature, options.top_p)
    for where, record in read_appended(out):
        try:
            if (record["model"], record["temperature"], record.get("top_p", 1.0)) == drawn:
                known[record["task_id"]] += 1
        except KeyError as error:
            raise BadInput(f"{where}: is not a sample ({error!r})", "name another file") from error
    return known


def add_sample_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp patches sample`."""
    parser.add_argument("out", type=Path, metavar="OUT.jsonl", help="samples; what it already holds is not asked again")
    parser.add_argument(
        "--problems",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="JSON Lines as HumanEval, MBPP or LiveCodeBench have them, or of our own (docs/patches.md)",
    )
    parser.add_argument(
        "--provider",
        choices=("embedded", "openai"),
        help="a model that is run here, or one at an endpoint (default: openai with --base-url, else embedded)",
    )
    parser.add_argument(
        "--model", help="embedded: a folder or a hub id (default: the bundle's); openai: the name there"
    )
    parser.add_argument("--per-problem", type=int, default=5, metavar="N", help="programs for each (default 5)")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="T", help="default 0.8; 0: the likeliest")
    parser.add_argument("--top-p", type=float, default=1.0, metavar="P", help="draw from the likeliest P alone (1)")
    parser.add_argument("--seed", type=int, metavar="N", help="the same programs again (openai: where it can do that)")
    parser.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="a program ends in front of it; may be repeated"
    )
    parser.add_argument("--max-tokens", type=int, default=2048, metavar="N", help="of one answer (default 2048)")
    parser.add_argument("--parallel", type=int, metavar="N", help="requests (default 4), or programs (16), at a time")
    add_ray_argument(parser)
    parser.add_argument(
        "--shortest-first", action="store_true", help="the problems with the shortest prompts and references first"
    )
    endpoint = parser.add_argument_group("openai")
    endpoint.add_argument("--base-url", metavar="URL", help="an endpoint that speaks OpenAI's chat protocol")
    endpoint.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="of a request (default 300)")
    hosted = parser.add_argument_group("embedded")
    hosted.add_argument("--bundle", metavar="PATH", help="the bundle whose model writes (default: the built-in one)")
    hosted.add_argument(
        "--length",
        type=float,
        metavar="R",
        help="a program gets at most R times the tokens of its problem's reference (default: --max-tokens alone)",
    )
    hosted.add_argument("--revision", help="commit of a hub model")
    hosted.add_argument("--online", action="store_true", help="let a hub model be downloaded")
    hosted.add_argument("--device", default="auto")
    hosted.add_argument("--dtype", default="auto")
    hosted.add_argument("--threads", type=int)


def run_sample(args: argparse.Namespace) -> int:
    """Sample; returns the exit code. The key of an endpoint is read from OPENAI_API_KEY."""
    from risk_lsp.lab.patches.programs import problems_by_id

    for name in ("per_problem", "max_tokens", "parallel"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise BadInput(f"--{name.replace('_', '-')} must be 1 or more", "leave it out for the default")
    if args.length is not None and args.length <= 0:
        raise BadInput(f"--length {args.length} leaves no room for a program", "1.5 suits most")
    if args.temperature < 0:
        raise BadInput(f"--temperature {args.temperature} is below 0", "0 takes the likeliest, 1 draws as it expects")
    if not 0 < args.top_p <= 1:
        raise BadInput(f"--top-p {args.top_p} is not a share", "give a number above 0, up to 1")
    if "" in args.stop:
        raise BadInput("--stop is empty", "name the text that a program ends in front of")
    problems = list(problems_by_id(args.problems).values())
    if args.shortest_first:
        problems.sort(key=lambda problem: len(problem.prompt) + len(problem.reference or ""))
    provider = args.provider or ("openai" if args.base_url else "embedded")
    if args.ray is not None and provider == "openai":
        raise BadInput(
            "--ray spreads a model that is run here", "leave it out: --parallel says how often to ask at a time"
        )
    make_writer = _chat_writer if provider == "openai" else _hosted_writer if args.ray is None else _spread_writer
    writer, options = make_writer(args)
    tally = sample(problems, writer, options, args.out, sys.stderr)
    print(
        f"{args.out}: {tally.programs:,} programs more, {tally.prompt_tokens:,} tokens read and "
        f"{tally.completion_tokens:,} written"
    )
    return 0


def _options(args: argparse.Namespace, model: str) -> SamplingOptions:
    return SamplingOptions(model, args.per_problem, args.temperature, args.top_p, tuple(args.stop), args.seed)


def _chat_writer(args: argparse.Namespace) -> tuple[ProgramWriter, SamplingOptions]:
    if not args.model:
        raise BadInput("no model is named", "name one of the endpoint's with --model")
    from risk_lsp.lab.patches.program_writers import ChatWriter
    from risk_lsp.repair.endpoint import Endpoint, EndpointOptions

    key = os.environ.get("OPENAI_API_KEY")
    at = EndpointOptions(args.model, args.base_url, key, timeout=args.timeout, retries=4)
    options = _options(args, args.model)
    return ChatWriter(Endpoint(at, max_tokens=args.max_tokens), options, args.parallel or 4), options


def _hosted_writer(args: argparse.Namespace) -> tuple[HostedWriter, SamplingOptions]:
    from risk_lsp.lab.patches.program_writers import HostedWriter
    from risk_lsp.model.code_model import CodeModel
    from risk_lsp.probe.bundle import load_bundle
    from risk_lsp.probe.manifest import bundle_path

    loading = {"device": args.device, "dtype": args.dtype, "offline": not args.online, "threads": args.threads}
    if args.model:
        model = CodeModel.load(args.model, revision=args.revision, **loading)
        name = model.name
    else:
        bundle = load_bundle(bundle_path(args.bundle), whole_model=True, **loading)
        model, name = bundle.model, bundle.manifest.name
    options = _options(args, name)
    writer = HostedWriter(model, options, max_tokens=args.max_tokens, together=args.parallel or 16, length=args.length)
    return writer, options


def _spread_writer(args: argparse.Namespace) -> tuple[ProgramWriter, SamplingOptions]:
    from risk_lsp.lab.patches.program_writers import SpreadWriter
    from risk_lsp.model.sources import locate_model
    from risk_lsp.probe.manifest import bundle_path, read_manifest

    args.threads = args.threads or 1
    if args.model:
        name = locate_model(args.model, revision=args.revision, offline=not args.online).name
        if Path(args.model).exists():
            args.model = str(Path(args.model).absolute())
    else:
        args.bundle = bundle_path(args.bundle).absolute()
        name = read_manifest(args.bundle).name
    pool = RayCluster(args.ray, cpus=args.threads, gpus=args.device.startswith("cuda"))
    job = partial(_open_writer, args)
    return SpreadWriter(pool, job, args.parallel or 16, partial(print, file=sys.stderr)), _options(args, name)


@contextmanager
def _open_writer(
    args: argparse.Namespace,
) -> Iterator[Callable[[list[list[WantedProgram]]], Iterator[WrittenProgram]]]:
    writer, _ = _hosted_writer(args)
    yield lambda batch: (written for _, written in writer.write_batch(batch))
