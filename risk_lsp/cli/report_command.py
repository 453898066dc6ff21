"""`risk-lsp report`: one page of HTML on files and folders."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from risk_lsp.cli.command_line import BAD_INPUT, OK, print_error
from risk_lsp.cli.engine_options import (
    add_bundle_arguments,
    add_cache_argument,
    add_length_argument,
    add_place_argument,
    cached_scorer,
    load_engine,
    reference_of,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> int:
    """Write the page; what could not be checked is named in it, and on stderr."""
    from risk_lsp.report.check import CheckOptions, check_paths, collected
    from risk_lsp.report.html_report import html_report, write_page
    from risk_lsp.report.progress import shown_reading
    from risk_lsp.report.wording import tool_of

    options = CheckOptions(args.top, place=args.place, longest=args.max_characters)
    engine = load_engine(args)
    options = replace(options, priors=engine.manifest.priors)
    reference = reference_of(engine)
    with shown_reading(sys.stderr) as reading:
        engine.model.on_run = reading.ran
        scorer = cached_scorer(engine, args)
        outcomes = check_paths(scorer, args.paths, options, reference, on_batch=reading.begin)
        result = collected(outcomes, options)
    for failure in result.failures:
        print_error(failure.error)
    page = html_report(
        result.reports,
        tool_of(engine.manifest),
        reference,
        result.failures,
        result.threshold,
        result.passed_over,
    )
    write_page(page, args.output)
    return BAD_INPUT if result.failures else OK
