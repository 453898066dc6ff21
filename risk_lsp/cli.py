"""The `risk-lsp` command: parses, calls, prints. What a command needs is imported when that command runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from risk_lsp import __version__
from risk_lsp.errors import BadInput, RiskError

if TYPE_CHECKING:
    from risk_lsp.risk.check import CheckResult
    from risk_lsp.risk.engine import Engine
    from risk_lsp.risk.reference import ReferenceTable
    from risk_lsp.risk.span_risk import Scorer

OK, FINDINGS, BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141

# Which extra installs what a command may lack.
_EXTRAS = {
    "torch": "train",
    "transformers": "train",
    "matplotlib": "train",
    "scipy": "train",
    "sklearn": "train",
    "openai": "endpoint",
}


@dataclass(frozen=True)
class Command:
    """A command: its words, one line of help, and where its options and its work are, as "module" or "module:suffix".

    The module offers add_arguments(parser) and run(args) -> exit code; a suffix names one pair of several.
    """

    words: str
    help: str
    place: str


COMMANDS = (
    Command("serve", "run the language server", "risk_lsp.cli:serve"),
    Command("check", "report on files and folders, or on what changed in them", "risk_lsp.cli:check"),
    Command("report", "one page of HTML on files and folders", "risk_lsp.cli:report"),
    Command("score", "score many programs from a JSONL file", "risk_lsp.cli:score"),
    Command("query", "the probability of one span of a file", "risk_lsp.cli:query"),
    Command("doctor", "versions, model, device, memory, and a self-test", "risk_lsp.cli:doctor"),
    Command("corpus build", "files to packed tokens for training", "risk_lsp.training.corpus_command"),
    Command("train model", "train a small code model", "risk_lsp.training.model_command"),
    Command("probe fit", "fit a probe to a model and labelled programs", "risk_lsp.training.probe_fit_command"),
    Command("probe evaluate", "measure a bundle on labelled programs", "risk_lsp.training.probe_evaluate_command"),
    Command("evaluate", "a report on a bundle and its rivals", "risk_lsp.training.evaluate_command"),
    Command("evaluate repair", "how many programs are repaired, and at what cost", "risk_lsp.repair.evaluate_command"),
    Command("repair", "look for a repair of a file, a line or a part of it", "risk_lsp.repair.repair_command"),
    Command("patches sample", "programs of a model for problems", "risk_lsp.patches.sample_command"),
    Command("patches build", "minimal patches of failing programs", "risk_lsp.patches.build_command"),
)
_GROUPS = {
    "corpus": "the text that models are trained on",
    "train": "the code model",
    "probe": "the probe that reads a model",
    "patches": "programs of models, and the patches that mend them",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        args = build_parser().parse_args(argv)
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except RiskError as error:
        print_error(error)
        return BAD_INPUT
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        print_error(BadInput(f"this command needs {error.name}", f"install the extra: pip install 'risk-lsp[{extra}]'"))
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def print_error(error: RiskError) -> None:
    """What is wrong, and the way out, on stderr. A name in it, whatever it holds, stays on its line."""
    from risk_lsp.risk.terminal_text import printable

    print(f"error: {printable(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"hint: {printable(error.hint)}", file=sys.stderr)


class _LazyParser(argparse.ArgumentParser):
    """A parser that asks for its options when it is used: most commands' modules are never imported."""

    command: Command | None = None
    below: dict[str, _LazyParser]  # commands whose words go on from this one's

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse has it, with the command's options."""
        if args and args[0] in getattr(self, "below", {}):
            return self.below[args[0]].parse_known_args(args[1:], namespace)
        if self.command is not None:
            add_arguments, run = _implementation(self.command)
            self.command = None
            add_arguments(self)
            self.set_defaults(run=run)
        return super().parse_known_args(args, namespace)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _LazyParser(
        prog="risk-lsp",
        description="How likely is it that a span of model-written code has to be edited?",
        epilog="Exit codes: 0, 1 for findings (check) or a failed self-test (doctor), 2 for bad input.",
    )
    parser.add_argument("--version", action="version", version=f"risk-lsp {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups: dict[str, Any] = {}
    whole: dict[str, Any] = {}  # commands of one word
    for command in COMMANDS:
        *group, name = command.words.split()
        parent = commands
        if group and group[0] in whole:
            longer = _LazyParser(prog=f"risk-lsp {command.words}", description=command.help)
            longer.command = command
            whole[group[0]].below = {name: longer}
            continue
        if group:
            if group[0] not in groups:
                group_parser = commands.add_parser(group[0], help=_GROUPS[group[0]], description=_GROUPS[group[0]])
                groups[group[0]] = group_parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
            parent = groups[group[0]]
        made = parent.add_parser(name, help=command.help, description=command.help)
        made.command = command
        if not group:
            whole[name] = made
    return parser


def _implementation(command: Command) -> tuple[Callable[..., None], Callable[..., int]]:
    module_name, _, suffix = command.place.partition(":")
    module = import_module(module_name)
    ending = f"_{suffix}" if suffix else ""
    return getattr(module, f"add_arguments{ending}"), getattr(module, f"run{ending}")


# --- shared by the commands that load a bundle


def _add_bundle_arguments(parser: argparse.ArgumentParser) -> None:
    bundle = parser.add_argument_group("model")
    bundle.add_argument("--bundle", metavar="PATH", help="a bundle's folder (default: the built-in one)")
    bundle.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    bundle.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    bundle.add_argument("--threads", type=_at_least_one, metavar="N", help="CPU threads for the model")
    bundle.add_argument("--online", action="store_true", help="let the model of a bundle be fetched from its hub")


def _load(args: argparse.Namespace) -> Engine:
    from risk_lsp.probe.locate import bundle_path
    from risk_lsp.risk.engine import Engine

    return Engine.load(
        bundle_path(args.bundle),
        device=args.device,
        dtype=args.dtype,
        offline=not args.online,
        threads=args.threads,
    )


def _add_cache_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-cache", action="store_true", help="score again what was scored before, and keep nothing")


def _scorer(engine: Engine, args: argparse.Namespace) -> Scorer:
    """The engine, behind what is on disk of earlier runs."""
    from risk_lsp.risk.disk_cache import CachedScorer, DiskCache, cache_folder

    if args.no_cache:
        return engine
    numbers = f"{engine.model.device} {engine.model.dtype}"
    return CachedScorer(engine, engine.manifest, DiskCache(cache_folder()), numbers=numbers)


def _reference(engine: Engine) -> ReferenceTable:
    from risk_lsp.risk.reference import ReferenceTable

    return ReferenceTable.from_manifest(engine.manifest.reference)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def _probability(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a probability from 0 to 1")
    return number


# --- serve


def add_arguments_serve(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp serve`; those given win over the client's settings."""
    parser.add_argument("--tcp", metavar="HOST:PORT", help="listen for one client there instead of on stdin and stdout")
    parser.add_argument("--bundle", metavar="PATH", help="a bundle's folder (default: as the client's settings say)")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"))
    parser.add_argument("--threads", type=_at_least_one, metavar="N", help="CPU threads for the model")
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))


def run_serve(args: argparse.Namespace) -> int:
    """Serve one client until it leaves."""
    if os.name == "nt":
        raise BadInput("the language server does not run on Windows", "run it, and the editor's remote, inside WSL")
    from risk_lsp.server.app import run_stdio, run_tcp
    from risk_lsp.server.options import ServerOptions

    options = ServerOptions(
        bundle=args.bundle, threads=args.threads, device=args.device, dtype=args.dtype, log_level=args.log_level
    )
    if args.tcp is None:
        return run_stdio(options)
    host, _, port = args.tcp.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise BadInput(f"--tcp {args.tcp} is not an address", "write it as HOST:PORT, such as 127.0.0.1:2087")
    return run_tcp(host.strip("[]"), int(port), options)


# --- check


def add_arguments_check(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp check`."""
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="files, or folders with Python files (--diff: default .)"
    )
    parser.add_argument(
        "--diff", metavar="BASE", help="check the lines that git says were added or changed since this commit only"
    )
    parser.add_argument("--format", default="text", choices=("text", "json", "sarif", "github", "svg"))
    parser.add_argument(
        "--fail-above", type=_probability, metavar="P", help="exit with 1 if a line is likelier than P to need an edit"
    )
    parser.add_argument(
        "--top", type=int, default=3, metavar="N", help="name the N lines of a file, or a diff, most worth reading (3)"
    )
    _add_cache_argument(parser)
    _add_bundle_arguments(parser)


def run_check(args: argparse.Namespace) -> int:
    """Check files; the report goes to stdout, errors to stderr."""
    from risk_lsp.risk.changes import changes_since
    from risk_lsp.risk.check import DEFAULT_THRESHOLD, CheckOptions, check_paths, collected
    from risk_lsp.risk.terminal_text import write_all

    if not args.paths and args.diff is None:
        raise BadInput("no PATH to check", "name files or folders, or what to compare with: --diff BASE")
    options = CheckOptions(args.top, DEFAULT_THRESHOLD if args.fail_above is None else args.fail_above)
    changes = None if args.diff is None else changes_since(args.diff, Path.cwd())
    engine = _load(args)
    scorer = _scorer(engine, args)
    outcomes = check_paths(scorer, args.paths or [Path()], options, _reference(engine), changes)
    result = collected(outcomes, options, args.diff)
    for failure in result.failures:
        print_error(failure.error)
    write_all(sys.stdout, _report(args.format, result, engine))
    if result.failures:
        return BAD_INPUT
    return FINDINGS if args.fail_above is not None and result.has_findings else OK


def _report(form: str, result: CheckResult, engine: Engine) -> str:
    from risk_lsp.risk.report_github import github_report
    from risk_lsp.risk.report_json import json_report
    from risk_lsp.risk.report_sarif import sarif_report
    from risk_lsp.risk.report_text import TextStyle, svg_report, text_report
    from risk_lsp.risk.terminal_text import shows_unicode, wants_color
    from risk_lsp.risk.tool import tool_of

    if form == "json":
        return json_report(result, tool_of(engine.manifest))
    if form == "sarif":
        return sarif_report(result, tool_of(engine.manifest), Path.cwd())
    if form == "github":
        return github_report(result, Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()))
    if form == "svg":
        return svg_report(result, "risk-lsp check")
    style = TextStyle(color=wants_color(sys.stdout, os.environ), ascii_only=not shows_unicode(sys.stdout))
    return text_report(result, style)


# --- report


def add_arguments_report(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp report`."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, or folders with Python files")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write the page (default: stdout)")
    parser.add_argument(
        "--top", type=int, default=3, metavar="N", help="name the N lines of a file most worth reading (default 3)"
    )
    _add_cache_argument(parser)
    _add_bundle_arguments(parser)


def run_report(args: argparse.Namespace) -> int:
    """Write the page; what could not be checked is named in it, and on stderr."""
    from risk_lsp.risk.check import CheckOptions, check_paths, collected
    from risk_lsp.risk.report_html import html_report, write_page
    from risk_lsp.risk.tool import tool_of

    options = CheckOptions(args.top)
    engine = _load(args)
    reference = _reference(engine)
    result = collected(check_paths(_scorer(engine, args), args.paths, options, reference), options)
    for failure in result.failures:
        print_error(failure.error)
    page = html_report(result.reports, tool_of(engine.manifest), reference, result.failures, result.threshold)
    write_page(page, args.output)
    return BAD_INPUT if result.failures else OK


# --- score


def add_arguments_score(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp score`."""
    parser.add_argument("input", type=Path, metavar="IN.jsonl", help='lines {"id": ..., "text": ...}')
    parser.add_argument("output", type=Path, metavar="OUT.jsonl", help="what it already holds is not scored again")
    parser.add_argument("--skip-bad", action="store_true", help='write {"id", "error"} for a bad line and go on')
    _add_bundle_arguments(parser)


def run_score(args: argparse.Namespace) -> int:
    """Score a file of programs; progress goes to stderr."""
    from risk_lsp.risk.progress import Progress
    from risk_lsp.risk.score import count_lines, score_file

    progress = Progress(sys.stderr, "programs", count_lines(args.input))
    score_file(_load(args), args.input, args.output, skip_bad=args.skip_bad, on_progress=progress)
    return OK


# --- query


def add_arguments_query(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp query`."""
    from risk_lsp.risk.span_argument import FORMS

    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("span", metavar="START-END", help=FORMS)
    _add_cache_argument(parser)
    _add_bundle_arguments(parser)


def run_query(args: argparse.Namespace) -> int:
    """Print the probability of one span."""
    from risk_lsp.risk.query import describe_span
    from risk_lsp.risk.terminal_text import write_all

    engine = _load(args)
    write_all(sys.stdout, describe_span(_scorer(engine, args), args.file, args.span, _reference(engine)))
    return OK


# --- doctor


def add_arguments_doctor(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp doctor`."""
    _add_bundle_arguments(parser)


def run_doctor(args: argparse.Namespace) -> int:
    """Print what there is to know, as it becomes known."""
    from risk_lsp.probe.locate import bundle_path
    from risk_lsp.risk.doctor import examine
    from risk_lsp.risk.terminal_text import write_all

    healthy = True
    for finding in examine(lambda: _load(args), bundle_path(args.bundle), offline=not args.online):
        write_all(sys.stdout, f"{finding.name:>12}  {finding.value}\n")
        sys.stdout.flush()
        healthy = healthy and finding.ok
    return OK if healthy else FINDINGS
