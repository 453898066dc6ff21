"""`risk-lsp check`, `report`, `score` and `query`: the risks of files."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from risk_lsp.cli.command_line import (
    BAD_INPUT,
    FINDINGS,
    OK,
    add_bundle_arguments,
    add_cache_argument,
    add_length_argument,
    add_place_argument,
    cached_scorer,
    load_engine,
    print_error,
    probability,
    reference_of,
)
from risk_lsp.errors import BadInput

if TYPE_CHECKING:
    from risk_lsp.report.check import CheckOptions, CheckResult
    from risk_lsp.risk.changes import Changes
    from risk_lsp.risk.engine import Engine


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp check`."""
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="files, or folders with Python files (--diff: default .)"
    )
    parser.add_argument(
        "--diff", metavar="BASE", help="check the lines that git says were added or changed since this commit only"
    )
    parser.add_argument("--format", default="text", choices=("text", "json", "sarif", "github", "svg", "html"))
    parser.add_argument(
        "--fail-above", type=probability, metavar="P", help="exit with 1 if a line is likelier than P to need an edit"
    )
    parser.add_argument(
        "--top", type=int, default=3, metavar="N", help="name the N lines of a file, or a diff, most worth reading (3)"
    )
    add_length_argument(parser)
    add_place_argument(parser)
    add_cache_argument(parser)
    add_bundle_arguments(parser)


def run_check(args: argparse.Namespace) -> int:
    """Check files; the report goes to stdout, errors to stderr."""
    from risk_lsp.report.check import DEFAULT_THRESHOLD, CheckOptions
    from risk_lsp.report.wording import write_all
    from risk_lsp.risk.changes import changes_since

    if not args.paths and args.diff is None:
        raise BadInput("no PATH to check", "name files or folders, or what to compare with: --diff BASE")
    threshold = DEFAULT_THRESHOLD if args.fail_above is None else args.fail_above
    options = CheckOptions(args.top, threshold, args.place, longest=args.max_characters)
    changes = None if args.diff is None else changes_since(args.diff, Path.cwd())
    engine = load_engine(args)
    result = _check_files(args, engine, options, changes)
    write_all(sys.stdout, _format_result(args.format, result, engine))
    if result.failures:
        return BAD_INPUT
    has_findings = any(report.findings for report in result.reports)
    return FINDINGS if args.fail_above is not None and has_findings else OK


def _check_files(
    args: argparse.Namespace, engine: Engine, options: CheckOptions, changes: Changes | None = None
) -> CheckResult:
    """What is found in the named files, by default in those of this folder; errors are printed."""
    from risk_lsp.report.check import check_paths, collect_result
    from risk_lsp.report.wording import shown_reading

    options = replace(options, priors=engine.manifest.priors)
    scorer, paths = cached_scorer(engine, args), args.paths or [Path()]
    with shown_reading(sys.stderr) as reading:
        engine.model.on_run = reading.ran
        outcomes = check_paths(scorer, paths, options, reference_of(engine), changes, on_batch=reading.begin)
        result = collect_result(outcomes, options, None if changes is None else args.diff)
    for failure in result.failures:
        print_error(failure.error)
    return result


def _format_result(form: str, result: CheckResult, engine: Engine) -> str:
    from risk_lsp.report.text_report import TextStyle, svg_report, text_report
    from risk_lsp.report.tool_reports import github_report, json_report, sarif_report
    from risk_lsp.report.wording import shows_unicode, tool_of, wants_color

    if form == "json":
        return json_report(result, tool_of(engine.manifest))
    if form == "sarif":
        return sarif_report(result, tool_of(engine.manifest), Path.cwd())
    if form == "github":
        return github_report(result, Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()))
    if form == "svg":
        return svg_report(result, "risk-lsp check")
    if form == "html":
        return _page_of(result, engine)
    style = TextStyle(color=wants_color(sys.stdout, os.environ), ascii_only=not shows_unicode(sys.stdout))
    return text_report(result, style)


def _page_of(result: CheckResult, engine: Engine) -> str:
    from risk_lsp.report.html_report import html_report
    from risk_lsp.report.wording import tool_of

    tool, reference = tool_of(engine.manifest), reference_of(engine)
    return html_report(result.reports, tool, reference, result.failures, result.threshold, result.passed_over)


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp report`."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, or folders with Python files")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write the page (default: stdout)")
    parser.add_argument(
        "--top", type=int, default=3, metavar="N", help="name the N lines of a file most worth reading (default 3)"
    )
    add_length_argument(parser)
    add_place_argument(parser)
    add_cache_argument(parser)
    add_bundle_arguments(parser)


def run_report(args: argparse.Namespace) -> int:
    """Write the page; what could not be checked is named in it, and on stderr."""
    from risk_lsp.report.check import CheckOptions
    from risk_lsp.report.html_report import write_page

    engine = load_engine(args)
    result = _check_files(args, engine, CheckOptions(args.top, place=args.place, longest=args.max_characters))
    write_page(_page_of(result, engine), args.output)
    return BAD_INPUT if result.failures else OK


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp score`."""
    parser.add_argument("input", type=Path, metavar="IN.jsonl", help='lines {"id": ..., "text": ...}')
    parser.add_argument("output", type=Path, metavar="OUT.jsonl", help="what it already holds is not scored again")
    parser.add_argument("--skip-bad", action="store_true", help='write {"id", "error"} for a bad line and go on')
    add_bundle_arguments(parser)


def run_score(args: argparse.Namespace) -> int:
    """Score a file of programs; progress goes to stderr."""
    from risk_lsp.report.score import count_lines, score_file
    from risk_lsp.report.wording import shown_progress

    total = count_lines(args.input)
    already = count_lines(args.output) if args.output.exists() else 0
    engine = load_engine(args)
    with shown_progress(sys.stderr, "programs", total, already) as progress:
        score_file(
            engine,
            args.input,
            args.output,
            skip_bad=args.skip_bad,
            on_progress=progress.show,
            priors=engine.manifest.priors,
        )
    return OK


def add_query_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp query`."""
    from risk_lsp.report.text_report import FORMS

    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("span", metavar="START-END", help=FORMS)
    add_place_argument(parser)
    add_cache_argument(parser)
    add_bundle_arguments(parser)


def run_query(args: argparse.Namespace) -> int:
    """Print the probability of one span."""
    from risk_lsp.report.text_report import describe_span
    from risk_lsp.report.wording import write_all

    engine = load_engine(args)
    found = describe_span(
        cached_scorer(engine, args), args.file, args.span, reference_of(engine), engine.manifest.priors, args.place
    )
    write_all(sys.stdout, found)
    return OK
