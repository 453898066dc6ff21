"""`risk-lsp debugger synthesise`: programs of a model, why they fail, and what repairs them. Each is kept at once."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import read_appended, read_objects
from risk_lsp.lab.patches.sample_command import SamplingOptions, Wanted, Writer, sample_record, seed_of
from risk_lsp.report.progress import shown_progress
from risk_lsp.sandbox.verdicts import Problem

if TYPE_CHECKING:
    from risk_lsp.lab.debugger.dialogue import Reply, Respondent
    from risk_lsp.lab.debugger.examining import Examiner

_STOP = ("\nif __name__",)  # what a model adds to try a program out


@dataclass(frozen=True)
class Crew:
    """Who writes programs, who says why they fail, and who repairs them, given that."""

    writer: Writer
    critic: Respondent
    repairer: Respondent


@dataclass(frozen=True)
class SynthesisOptions:
    """attempts: explanations, each with a repair, of every failing program. together: programs that are worked on."""

    sampling: SamplingOptions
    attempts: int
    together: int


def synthesise(
    problems: Sequence[Problem], crew: Crew, examiner: Examiner, options: SynthesisOptions, out: Path, messages: TextIO
) -> int:
    """Append to `out` what it lacks, one record for each program, and return how many those are.

    A run that was killed loses no more than the programs that it was working on; the next one makes them again, and
    the same ones where the models draw by seeds.
    """
    known, programs = _known(out, options.sampling.model)
    missing = [
        (problem, index)
        for problem in problems
        for index in range(options.sampling.per_problem)
        if (problem.task_id, index) not in known
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    with shown_progress(messages, "programs", len(missing)) as progress, out.open("a", encoding="utf-8") as file:
        for first in range(0, len(missing), options.together):
            part = missing[first : first + options.together]
            records = _written(part, crew, options)
            for record, (problem, _) in zip(records, part, strict=True):
                examined = examiner.examine(problem, record["program"])
                record |= {"verified": examined.passed, "err": examined.reason, "error": examined.failure}
                key = problem.task_id, record["program"]
                record["repeats"] = key in programs
                programs.add(key)
            failing = [
                (problem, record)
                for record, (problem, _) in zip(records, part, strict=True)
                if not record["verified"] and not record["repeats"]
            ]
            _repair(failing, crew, examiner, options)
            file.write("".join(json.dumps(record) + "\n" for record in records))
            file.flush()
            progress.show(first + len(part))
    return len(missing)


def _written(part: Sequence[tuple[Problem, int]], crew: Crew, options: SynthesisOptions) -> list[dict[str, Any]]:
    """A record of a program for each problem and index, in their order."""
    wanted = [Wanted(problem, seed_of(options.sampling, problem, index)) for problem, index in part]
    written = {(item.problem.task_id, item.seed): program for item, program in crew.writer.written(wanted)}
    return [
        {
            **sample_record(problem, written[problem.task_id, item.seed], options.sampling),
            "index": index,
            "problem": asdict(problem),
            "critic": crew.critic.name,
            "repairer": crew.repairer.name,
            "repairs": [],
        }
        for item, (problem, index) in zip(wanted, part, strict=True)
    ]


def _repair(
    failing: Sequence[tuple[Problem, dict[str, Any]]], crew: Crew, examiner: Examiner, options: SynthesisOptions
) -> None:
    """Ask why each program fails and for a repair, and run that; what came of it is added to the records."""
    from risk_lsp.lab.debugger.dialogue import kind_of, repair_question, situation_of
    from risk_lsp.repair.model_questions import feedback_prompt, program_in, repair_prompt

    told = [(problem, record, record["program"], record["error"]) for problem, record in failing]
    questions = [
        repair_question(feedback_prompt(situation_of(problem, program, error)), _seeds(record, options), "words")
        for problem, record, program, error in told
    ]
    words = crew.critic.answers(questions)
    asked = [
        repair_question(
            repair_prompt(situation_of(problem, program, error, feedback=reply.text.strip())),
            [_seeds(record, options)[number]],
            kind_of(problem),
        )
        for (problem, record, program, error), replies in zip(told, words, strict=True)
        for number, reply in enumerate(replies)
    ]
    answers: Iterator[list[Reply]] = iter(crew.repairer.answers(asked))
    for (problem, record, program, _), replies in zip(told, words, strict=True):
        for reply in replies:
            (answer,) = next(answers)
            repaired = program_in(answer.text, program) or ""
            examined = examiner.examine(problem, repaired)
            record["repairs"].append(
                {
                    "explanation": reply.text.strip(),
                    "program": repaired,
                    "passed": examined.passed,
                    "err": examined.reason,
                    "share": round(examined.share, 4),
                    "tokens": [*reply[1:], *answer[1:]],
                }
            )


def _seeds(record: dict[str, Any], options: SynthesisOptions) -> list[int]:
    """31 bits for each attempt; a run that goes on finds the same ones."""
    names = [f"{options.sampling.seed or 0}:{record['task_id']}:{record['index']}:{n}" for n in range(options.attempts)]
    return [int.from_bytes(sha256(name.encode()).digest()[:4], "big") >> 1 for name in names]


def _known(out: Path, model: str) -> tuple[set[tuple[str, int]], set[tuple[str, str]]]:
    """The problems and indices that `out` holds of this model, and the problems and programs of anybody.

    A last line that was cut short is removed.
    """
    known: set[tuple[str, int]] = set()
    programs: set[tuple[str, str]] = set()
    for where, record in read_appended(out):
        try:
            programs.add((record["task_id"], record["program"]))
            if record["model"] == model and "index" in record:
                known.add((record["task_id"], record["index"]))
        except KeyError as error:
            raise BadInput(f"{where}: is no record of this command ({error!r})", "name another file") from error
    return known, programs


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> int:
    """Synthesise; returns the exit code. The key of an endpoint is read from OPENAI_API_KEY."""
    from risk_lsp.lab.debugger.debugging_data import card_of_synthesis, published_records, statistics_of_synthesis
    from risk_lsp.lab.debugger.examining import Examiner
    from risk_lsp.lab.patches.problems import problems_by_id
    from risk_lsp.lab.training.documents import split_of

    for name in ("per_problem", "attempts", "max_tokens", "together"):
        if getattr(args, name) < 1:
            raise BadInput(f"--{name.replace('_', '-')} must be 1 or more", "leave it out for the default")
    problems = problems_by_id(args.problems)
    with Examiner() as examiner:
        if args.published:
            _, known = _known(args.out, "")
            args.out.parent.mkdir(parents=True, exist_ok=True)
            with args.out.open("a", encoding="utf-8") as file:
                for record in published_records(args.published, problems, examiner, known):
                    file.write(json.dumps(record) + "\n")
                    file.flush()
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
