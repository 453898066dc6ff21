"""`risk-lsp patches sample`: programs of a model for problems."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from risk_lsp.errors import BadInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--model", required=True, help="the model's name at the endpoint")
    parser.add_argument("--base-url", metavar="URL", help="an endpoint that speaks OpenAI's chat protocol")
    parser.add_argument("--per-problem", type=int, default=5, metavar="N", help="programs for each (default 5)")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="T", help="default 0.8")
    parser.add_argument("--max-tokens", type=int, default=2048, metavar="N", help="of one answer (default 2048)")
    parser.add_argument("--parallel", type=int, default=4, metavar="N", help="requests at a time (default 4)")
    parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="of a request (default 300)")


def run(args: argparse.Namespace) -> int:
    """Sample; returns the exit code. The key is read from OPENAI_API_KEY."""
    for name in ("per_problem", "max_tokens", "parallel"):
        if getattr(args, name) < 1:
            raise BadInput(f"--{name.replace('_', '-')} must be 1 or more", "leave it out for the default")
    try:
        from risk_lsp.patches.endpoint import Endpoint, EndpointOptions
    except ModuleNotFoundError as error:
        raise BadInput(
            f"asking a model needs the package {error.name}", "install the extra: pip install 'risk-lsp[endpoint]'"
        ) from error
    from risk_lsp.patches.problems import problems_by_id
    from risk_lsp.patches.progress import Progress
    from risk_lsp.patches.sampling import SamplingOptions, sample

    key = os.environ.get("OPENAI_API_KEY")
    at = EndpointOptions(args.model, args.base_url, key, timeout=args.timeout, retries=4)
    endpoint = Endpoint(at, max_tokens=args.max_tokens)
    options = SamplingOptions(args.model, args.per_problem, args.temperature, args.parallel)
    progress: list[Progress] = []

    def show(done: int, total: int) -> None:
        if not progress:
            progress.append(Progress(sys.stderr, "programs", total))
        progress[0](done)

    tally = sample(problems_by_id(args.problems).values(), endpoint.complete, options, args.out, show)
    print(
        f"{args.out}: {tally.programs:,} programs more, {tally.prompt_tokens:,} tokens read and "
        f"{tally.completion_tokens:,} written"
    )
    return 0
