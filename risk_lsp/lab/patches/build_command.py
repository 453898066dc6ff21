"""`risk-lsp patches build`: minimal patches from problems and samples."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from risk_lsp.errors import BadInput

if TYPE_CHECKING:
    from risk_lsp.lab.patches.program_writers import FixOptions


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
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes at work (default 2)")
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
    from risk_lsp.lab.patches.build import BuildOptions, build
    from risk_lsp.lab.patches.build_inputs import InputFiles
    from risk_lsp.lab.patches.search import SearchSettings

    if args.workers < 1 or args.budget < 1 or args.bugs < 1:
        raise BadInput("--workers, --budget and --bugs must be 1 or more", "leave them out for the defaults")
    if not 0 < args.max_share <= 1:
        raise BadInput(f"--max-share {args.max_share} is not a share", "give a number above 0, up to 1")
    if args.trust_known and not args.known:
        raise BadInput("--trust-known has no labels to trust", "name them with --known")
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
        workers=args.workers,
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
