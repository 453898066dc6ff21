"""`risk-lsp query`: the probability of one span of a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from risk_lsp.cli.command_line import OK
from risk_lsp.cli.engine_options import (
    add_bundle_arguments,
    add_cache_argument,
    add_place_argument,
    cached_scorer,
    load_engine,
    reference_of,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp query`."""
    from risk_lsp.report.span_query import FORMS

    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("span", metavar="START-END", help=FORMS)
    add_place_argument(parser)
    add_cache_argument(parser)
    add_bundle_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the probability of one span."""
    from risk_lsp.report.span_query import describe_span
    from risk_lsp.report.wording import write_all

    engine = load_engine(args)
    found = describe_span(
        cached_scorer(engine, args), args.file, args.span, reference_of(engine), engine.manifest.priors, args.place
    )
    write_all(sys.stdout, found)
    return OK
