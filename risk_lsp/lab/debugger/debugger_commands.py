"""`risk-lsp debugger synthesise`: failing programs, explained and repaired."""

from __future__ import annotations

import argparse
import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import read_objects
from risk_lsp.lab.patches.sample_command import SamplingOptions

if TYPE_CHECKING:
    from risk_lsp.lab.debugger.synthesis import Crew

_STOP = ("\nif __name__",)  # what a model adds to try a program out


def add_synthesise_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp debugger synthesise`."""
    parser.add_argument("out", type=Path, metavar="OUT.jsonl", help="records; what it already holds is not made again")
    parser.add_argument(
        "--problems", type=Path, nargs="+", required=True, metavar="FILE", help="JSON Lines, as for `patches sample`"
    )
    parser.add_argument(
        "--from", type=Path, nargs="+", dest="published", metavar="FILE", help="published repairs: ask no model at all"
    )
    parser.add_argument("--model", help="a folder, a GGUF file or a hub id; with --base-url: the name there")
    parser.add_argument("--critic", metavar="NAME", help="another model at --base-url that explains and repairs")
    parser.add_argument("--base-url", metavar="URL", help="an endpoint that speaks OpenAI's chat protocol")
    parser.add_argument("--split", default="train", choices=("train", "calibration", "test", "all"), help="of problems")
    parser.add_argument("--count", type=int, metavar="N", help="problems at most, chosen by --seed (default: all)")
    parser.add_argument("--per-problem", type=int, default=20, metavar="N", help="programs for each (20)")
    parser.add_argument("--attempts", type=int, default=1, metavar="N", help="repairs of each failing program (1)")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="T", help="of every answer (0.8)")
    parser.add_argument("--max-tokens", type=int, default=512, metavar="N", help="of every answer (512)")
    parser.add_argument("--together", type=int, default=16, metavar="N", help="programs that are made at a time (16)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)


def run_synthesise(args: argparse.Namespace) -> int:
    """Synthesise; returns the exit code. The key of an endpoint is read from OPENAI_API_KEY."""
    from risk_lsp.lab.debugger.debugging_data import card_of_synthesis, statistics_of_synthesis
    from risk_lsp.lab.debugger.examining import Examiner
    from risk_lsp.lab.debugger.synthesis import SynthesisOptions, add_published, synthesise
    from risk_lsp.lab.patches.programs import problems_by_id
    from risk_lsp.lab.training.documents import split_of

    for name in ("per_problem", "attempts", "max_tokens", "together"):
        if getattr(args, name) < 1:
            raise BadInput(f"--{name.replace('_', '-')} must be 1 or more", "leave it out for the default")
    problems = problems_by_id(args.problems)
    with Examiner() as examiner:
        if args.published:
            add_published(args.out, args.published, problems, examiner)
        else:
            chosen = [
                problem
                for problem in problems.values()
                if problem.test_kind != "none" and problem.trusted and args.split in ("all", split_of(problem.group))
            ]
            chosen.sort(key=lambda problem: sha256(f"{args.seed}:{problem.task_id}".encode()).digest())
            crew, sampling = _crew(args)
            options = SynthesisOptions(sampling, args.attempts, args.together)
            synthesise(chosen[: args.count], crew, examiner, options, args.out, sys.stderr)
    records = [record for _, record in read_objects(args.out)]
    args.out.with_suffix(".md").write_text(card_of_synthesis(records), encoding="utf-8")
    figures = statistics_of_synthesis(records)["all"]
    print(
        f"{args.out}: {figures['programs']:,} programs of {figures['problems']:,} problems, {figures['failing']:,} "
        f"different ones fail, {figures['repaired']:,} are repaired, {figures['verified']:,} verified repairs"
    )
    return 0


def _crew(args: argparse.Namespace) -> tuple[Crew, SamplingOptions]:
    from risk_lsp.lab.debugger.dialogue import ChatFormat, EndpointRespondent, LocalRespondent
    from risk_lsp.lab.debugger.synthesis import Crew
    from risk_lsp.lab.patches.writers import ChatWriter, HostedWriter
    from risk_lsp.model.code_model import CodeModel
    from risk_lsp.model.sources import locate_model
    from risk_lsp.repair.endpoint import Endpoint, EndpointOptions

    if not args.model:
        raise BadInput("no model is named", "name one with --model, or published repairs with --from")
    if args.critic and not args.base_url:
        raise BadInput("--critic names a model at an endpoint", "name the endpoint with --base-url")
    asking = {"temperature": args.temperature, "parallel": args.together}

    def sampling(name: str) -> SamplingOptions:
        return SamplingOptions(name, args.per_problem, args.temperature, stop=_STOP, seed=args.seed)

    def endpoint(name: str) -> Endpoint:
        at = EndpointOptions(name, args.base_url, os.environ.get("OPENAI_API_KEY"), timeout=300.0, retries=4)
        return Endpoint(at, max_tokens=args.max_tokens)

    if args.base_url and not args.critic:
        options, same = sampling(args.model), EndpointRespondent(endpoint(args.model), args.model, **asking)
        return Crew(ChatWriter(endpoint(args.model), options, args.together), same, same), options
    model = CodeModel.load(args.model, device=args.device, threads=args.threads)
    options, room = sampling(model.name), {"max_tokens": args.max_tokens, "together": args.together}
    writer = HostedWriter(model, options, **room)
    if args.critic:
        other = EndpointRespondent(endpoint(args.critic), args.critic, **asking)
        return Crew(writer, other, other), options
    chat = ChatFormat.of(locate_model(args.model).path)
    local = LocalRespondent(model, chat, temperature=args.temperature, **room)
    return Crew(writer, local, local), options
