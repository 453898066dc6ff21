"""The commands that serve, check and score: options, and what is called with them. Imports what a command needs when it
runs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from risk_lsp.cli import BAD_INPUT, FINDINGS, OK, print_error
from risk_lsp.errors import BadInput

if TYPE_CHECKING:
    from risk_lsp.risk.check import CheckResult
    from risk_lsp.risk.engine import Engine
    from risk_lsp.risk.reference import ReferenceTable
    from risk_lsp.risk.span_risk import Scorer

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
