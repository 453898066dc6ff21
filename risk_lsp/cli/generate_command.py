"""`risk-lsp generate`: what the hosted model would write at a line of a file, as a diff, with its risk."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from risk_lsp.cli.command_line import FINDINGS, OK
from risk_lsp.cli.engine_options import add_bundle_arguments, at_least_one, load_engine
from risk_lsp.repair.picking import PICKS, PickedText

_MOST_TOKENS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp generate`."""
    parser.add_argument("target", metavar="FILE:LINE", help="a line; of a function without a body, the body is written")
    parser.add_argument("--samples", type=at_least_one, default=1, metavar="N", help="texts to choose from (1)")
    parser.add_argument("--pick", default="lowest-risk", choices=PICKS, help="which of them (default: lowest-risk)")
    parser.add_argument(
        "--tests", metavar="CMD", help="run all with these tests, on a copy of the workspace in a sandbox"
    )
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="the folder with the tests (default: .)")
    parser.add_argument("--tokens", type=at_least_one, default=_MOST_TOKENS, metavar="N", help="at most, a text (256)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for all texts but the first (0)")
    add_bundle_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write at one place; 0 if there is something to show and no test failed with it, 1 if not."""
    from risk_lsp.cli.repair_command import parse_target
    from risk_lsp.errors import BadInput
    from risk_lsp.repair.picking import pick
    from risk_lsp.repair.test_plan import find_tests
    from risk_lsp.repair.workbench import unified_diff
    from risk_lsp.report.wording import write_all
    from risk_lsp.risk.writer import Writer
    from risk_lsp.risk.writing import WritingTask
    from risk_lsp.text.extents import writing_place
    from risk_lsp.text.source_files import language_of, read_source

    path, line = parse_target(args.target)
    if line is None:
        raise BadInput(f"{args.target} names no line", "write FILE:LINE, lines from 1")
    text, language_id = read_source(path), language_of(path)
    place, extent = writing_place(text, line, language_id)
    tests = None
    if args.tests is not None:
        tests = find_tests(path, text, workspace=args.workspace or Path.cwd(), command=args.tests)
    writer = Writer(load_engine(args, whole_model=True))
    task = WritingTask(text, *place, extent, language_id, count=args.samples, max_tokens=args.tokens, seed=args.seed)
    texts = writer.write(task)
    if not texts:
        print("the model writes nothing there", file=sys.stderr)
        return FINDINGS
    picked = asyncio.run(pick(texts, text, place.end, args.pick, tests))
    after = text[: place.start] + picked.text.text + text[place.end :]
    write_all(sys.stdout, unified_diff(text, after, path.name))
    print(_said(picked, len(texts), args.pick), file=sys.stderr)
    return OK if picked.passes is None or picked.passes[0] else FINDINGS


def _said(picked: PickedText, count: int, by: str) -> str:
    from risk_lsp.risk.presentation import percent

    said = f"{percent(picked.text.probability)} likely to need an edit"
    if count > 1:
        said += f"; {by} of {count} different texts"
    if picked.passes is None or picked.at_random is None:
        return said
    verdict = "passes" if picked.passes[0] else "fails"
    return f"{said}\n{verdict} the tests; of all, {sum(picked.passes)} pass (picked at random: {picked.at_random:.0%})"
