"""`risk-lsp debugger`: failing programs as data, a model that learns from them, and how well models repair."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import warnings
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from risk_lsp.errors import BadInput, RiskError
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
    parser.add_argument(
        "--broken",
        action="store_true",
        help="the problems' own right programs, broken by one edit: ask no model at all",
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
    from risk_lsp.lab.debugger.debugging_data import Examiner, card_of_synthesis, statistics_of_synthesis
    from risk_lsp.lab.debugger.synthesis import SynthesisOptions, add_broken, add_published, synthesise
    from risk_lsp.lab.patches.programs import problems_by_id
    from risk_lsp.lab.training.training_documents import split_of

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
            chosen = chosen[: args.count]
            if args.broken:
                drawn = {"per_problem": args.per_problem, "seed": args.seed}
                add_broken(args.out, chosen, examiner, **drawn, messages=sys.stderr)
            else:
                crew, sampling = _crew(args)
                options = SynthesisOptions(sampling, args.attempts, args.together)
                synthesise(chosen, crew, examiner, options, args.out, sys.stderr)
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
    from risk_lsp.lab.patches.program_writers import ChatWriter, HostedWriter
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


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp debugger train`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder for the run; one that was killed goes on there")
    parser.add_argument("--method", required=True, choices=("sft", "rl"), help="verified repairs, or rewards (GRPO)")
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE", help="of `debugger synthesise`")
    parser.add_argument("--model", type=Path, required=True, help="a model folder or a GGUF file")
    parser.add_argument("--adapter", type=Path, help="go on from this one, such as SFT/adapter (default: a new one)")
    parser.add_argument("--split", default="train", choices=("train", "calibration", "test", "all"), help="of problems")
    parser.add_argument(
        "--forms", nargs="+", default=["explained", "direct"], choices=("explained", "direct"), help="of answers (both)"
    )
    parser.add_argument("--products", default="float32", choices=("float32", "bfloat16"), help="of matrices (float32)")
    parser.add_argument("--rank", type=int, default=16, help="of a new adapter (16)")
    parser.add_argument("--blocks", type=int, metavar="N", help="that learn, the uppermost ones (default: all)")
    parser.add_argument("--rate", type=float, help="learning rate (sft: 0.0002, rl: 0.00002)")
    parser.add_argument("--epochs", type=float, default=1.0, help="passes over the data (1)")
    parser.add_argument("--steps", type=int, help="steps, instead of epochs")
    parser.add_argument("--minutes", type=float, default=math.inf, help="time budget, earlier parts counted in")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="sft: answers of a step (8)")
    parser.add_argument("--group", type=int, default=8, metavar="N", help="rl: answers to a step's question (8)")
    parser.add_argument("--kl", type=float, default=0.04, help="rl: weight of the KL to the model before (0.04)")
    parser.add_argument("--max-tokens", type=int, default=256, metavar="N", help="rl: of an answer (256)")
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T", help="rl: of an answer (1)")
    parser.add_argument("--longest", type=int, default=1024, metavar="N", help="tokens with the answer (1024)")
    parser.add_argument("--checkpoint-steps", type=int, default=20, metavar="N", help="between checkpoints (20)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)


def run_train(args: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    from risk_lsp.lab.debugger.debugging_data import read_mistakes

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when trl is first imported
    warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)  # at every step, and not ours
    try:
        from risk_lsp.lab.debugger.adapters import AdapterOptions
        from risk_lsp.lab.debugger.fine_tuning import ReinforcementOptions, train_reinforced, train_supervised
    except ModuleNotFoundError as error:
        raise RiskError(
            f"training needs {error.name}", "pip install 'risk-lsp[debugger]' with Python 3.11 or newer"
        ) from error
    if args.method == "rl" and args.group < 2:
        raise BadInput("--group must be 2 or more", "answers to one question are compared with each other")
    options = AdapterOptions(
        model=args.model,
        out=args.out,
        adapter=args.adapter,
        products=args.products,
        rank=args.rank,
        blocks=args.blocks,
        rate=args.rate or (2e-4 if args.method == "sft" else 2e-5),
        steps=args.steps,
        epochs=args.epochs,
        minutes=args.minutes,
        longest=args.longest,
        checkpoint_steps=args.checkpoint_steps,
        threads=args.threads,
        seed=args.seed,
    )
    mistakes = read_mistakes(args.data, None if args.split == "all" else args.split)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.method == "sft":
        record = train_supervised(mistakes, options, args.forms, batch=args.batch)
        learnt, figure = f"{record['learnt']:,} lessons", "loss"
    else:
        more = ReinforcementOptions(args.group, args.kl, args.max_tokens, args.temperature)
        record = train_reinforced(mistakes, options, args.forms, more)
        learnt, figure = f"{record['questions']:,} questions", "reward"
    values = [step[figure] for step in record["figures"] if figure in step]
    tenth = max(1, len(values) // 10)
    first, last = (sum(part) / len(part) for part in (values[:tenth], values[-tenth:]))
    print(f"{args.out}: {record['steps']:,} steps over {learnt}; {figure} {first:.3f} at first, {last:.3f} at last")
    return 0


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp debugger evaluate`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder for outcomes, figures and table; resumed")
    parser.add_argument(
        "--models",
        nargs="+",
        required=True,
        metavar="NAME=PATH",
        help="folders or GGUF files; gains are over the first",
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE", help="of `debugger synthesise`")
    parser.add_argument("--split", default="test", choices=("train", "calibration", "test", "all"), help="of problems")
    parser.add_argument("--count", type=int, metavar="N", help="problems at most, the first (default: all)")
    parser.add_argument("--answers", type=int, default=10, metavar="N", help="to every question (10)")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="T", help="default 0.8")
    parser.add_argument("--max-tokens", type=int, default=320, metavar="N", help="of an answer (320)")
    parser.add_argument("--together", type=int, default=20, metavar="N", help="answers that are written at a time (20)")
    parser.add_argument("--guided", action="store_true", help="ask with the riskiest lines in the question, too")
    parser.add_argument("--bundle", metavar="PATH", help="whose risks those are (default: the built-in one)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)


def run_evaluate(args: argparse.Namespace) -> int:
    """Measure, and print the table; returns the exit code."""
    from risk_lsp.lab.debugger.debugger_evaluation import (
        EvaluationOptions,
        figures_of,
        first_mistakes,
        measure_contestants,
        table_of,
    )
    from risk_lsp.lab.debugger.debugging_data import read_mistakes
    from risk_lsp.probe.manifest import bundle_path
    from risk_lsp.risk.engine import Engine

    contestants = {}
    for model in args.models:
        name, equals, path = model.partition("=")
        if not (name and equals and path) or name in contestants:
            raise BadInput(f"--models {model} is not a name of its own and a path", "write sft=path/to/sft/model")
        contestants[name] = Path(path)
    if args.answers < 1 or args.max_tokens < 1:
        raise BadInput("--answers and --max-tokens must be 1 or more", "leave them out for the defaults")
    mistakes = first_mistakes(read_mistakes(args.data, None if args.split == "all" else args.split))[: args.count]
    if not mistakes:
        raise BadInput(f"the data hold no failing program of the {args.split} split", "synthesise some with --split")
    options = EvaluationOptions(
        args.answers, args.temperature, args.max_tokens, args.together, args.seed, args.device, args.threads
    )
    engine = Engine.load(bundle_path(args.bundle), device=args.device, threads=args.threads) if args.guided else None
    args.out.mkdir(parents=True, exist_ok=True)
    outcomes = measure_contestants(contestants, mistakes, engine, options, args.out / "outcomes.jsonl", sys.stderr)
    figures = figures_of(outcomes, next(iter(contestants)))
    (args.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (args.out / "table.md").write_text(table_of(figures), encoding="utf-8")
    print(table_of(figures), end="")
    return 0
