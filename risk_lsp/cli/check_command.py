"""`risk-lsp check`: a report on files and folders, or on what changed in them."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from risk_lsp.cli.command_line import BAD_INPUT, FINDINGS, OK, print_error
from risk_lsp.cli.engine_options import (
    add_bundle_arguments,
    add_cache_argument,
    add_length_argument,
    add_place_argument,
    cached_scorer,
    load_engine,
    probability,
    reference_of,
)
from risk_lsp.errors import BadInput

if TYPE_CHECKING:
    from risk_lsp.report.check import CheckResult
    from risk_lsp.risk.engine import Engine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp check`."""
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="files, or folders with Python files (--diff: default .)"
    )
    parser.add_argument(
        "--diff", metavar="BASE", help="check the lines that git says were added or changed since this commit only"
    )
    parser.add_argument("--format", default="text", choices=("text", "json", "sarif", "github", "svg"))
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


def run(args: argparse.Namespace) -> int:
    """Check files; the report goes to stdout, errors to stderr."""
    from risk_lsp.report.check import DEFAULT_THRESHOLD, CheckOptions, check_paths, collected
    from risk_lsp.report.progress import shown_reading
    from risk_lsp.report.wording import write_all
    from risk_lsp.risk.changes import changes_since

    if not args.paths and args.diff is None:
        raise BadInput("no PATH to check", "name files or folders, or what to compare with: --diff BASE")
    threshold = DEFAULT_THRESHOLD if args.fail_above is None else args.fail_above
    options = CheckOptions(args.top, threshold, args.place, longest=args.max_characters)
    changes = None if args.diff is None else changes_since(args.diff, Path.cwd())
    engine = load_engine(args)
    options = replace(options, priors=engine.manifest.priors)
    scorer = cached_scorer(engine, args)
    paths, reference = args.paths or [Path()], reference_of(engine)
    with shown_reading(sys.stderr) as reading:
        engine.model.on_run = reading.ran
        outcomes = check_paths(scorer, paths, options, reference, changes, on_batch=reading.begin)
        result = collected(outcomes, options, args.diff)
    for failure in result.failures:
        print_error(failure.error)
    write_all(sys.stdout, _report(args.format, result, engine))
    if result.failures:
        return BAD_INPUT
    return FINDINGS if args.fail_above is not None and result.has_findings else OK


def _report(form: str, result: CheckResult, engine: Engine) -> str:
    from risk_lsp.report.github_report import github_report
    from risk_lsp.report.json_report import json_report
    from risk_lsp.report.sarif_report import sarif_report
    from risk_lsp.report.text_report import TextStyle, svg_report, text_report
    from risk_lsp.report.wording import shows_unicode, tool_of, wants_color

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
