"""`risk-lsp repair` and `generate`: what could stand in a file instead, as a diff."""

from __future__ import annotations

import argparse
import asyncio
import codecs
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
from platformdirs import user_state_path

from risk_lsp.cli.command_line import FINDINGS, OK, add_bundle_arguments, at_least_one, load_engine
from risk_lsp.errors import BadInput, RepairError
from risk_lsp.files import write_whole
from risk_lsp.probe.manifest import bundle_path
from risk_lsp.repair.chat import ChatProvider, HostedChat
from risk_lsp.repair.embedded import EmbeddedProvider
from risk_lsp.repair.execution import Execution
from risk_lsp.repair.model_questions import WorkerModel
from risk_lsp.repair.orchestration import Provider, TwoProviders, repair
from risk_lsp.repair.test_plan import TestPlan, find_tests
from risk_lsp.repair.tree import TreeStore
from risk_lsp.repair.workbench import Budget, RepairRequest, RepairResult, unified_diff
from risk_lsp.report.wording import printable, shown_stage, write_all
from risk_lsp.risk.presentation import percent
from risk_lsp.risk.span_risk import WORKER_COMMAND, WritingTask, WrittenText
from risk_lsp.sandbox.isolation import SandboxError
from risk_lsp.text.document import LineIndex, Span
from risk_lsp.text.source_files import language_of, read_source
from risk_lsp.worker.supervisor import Supervisor

if TYPE_CHECKING:
    from risk_lsp.repair.endpoint import EndpointChat


REPAIRED, NOT_REPAIRED = 0, 1


class Target(NamedTuple):
    """A file, and the line in it that was named, from 1, or None."""

    path: Path
    line: int | None


def add_repair_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp repair`."""
    parser.add_argument("target", metavar="FILE[:LINE]", help="a file, or one line of it")
    parser.add_argument(
        "--tests",
        metavar="CMD",
        help="what decides, by its exit status, run on a copy of the workspace in a sandbox"
        " (default: the pytest files that import the file, else its doctests)",
    )
    parser.add_argument("--no-tests", action="store_true", help="run nothing; suggest what lowers the risk most")
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="the folder with the tests (default: .)")
    parser.add_argument("--python", type=Path, metavar="PATH", help="the interpreter of the tests")
    parser.add_argument("--executions", type=int, default=200, metavar="N", help="programs run at most (200)")
    parser.add_argument("--seconds", type=float, default=120.0, metavar="S", help="time at most (120)")
    parser.add_argument(
        "--provider",
        default="embedded",
        choices=("embedded", "openai"),
        help="edits and what the built-in model would write, offline (embedded, the default), or a model"
        " behind an endpoint that speaks OpenAI's chat protocol (openai)",
    )
    parser.add_argument(
        "--adapter", type=Path, metavar="DIR", help="with it the built-in model repairs what embedded edits do not"
    )
    parser.add_argument("--apply", action="store_true", help="write the repair into the file, if it passes the tests")
    parser.add_argument("--tree", type=Path, metavar="FILE", help="keep the record there, and go on from it")
    asked = parser.add_argument_group("with --provider openai (the key is read from OPENAI_API_KEY)")
    asked.add_argument("--model", metavar="NAME", help="the model's name at the endpoint")
    asked.add_argument(
        "--base-url",
        metavar="URL",
        help="an endpoint, such as Ollama's http://localhost:11434/v1 (default: OPENAI_BASE_URL, else OpenAI's own)",
    )
    asked.add_argument("--hint", default="", metavar="TEXT", help="what you think is wrong")
    asked.add_argument("--budget", type=int, default=20_000, metavar="TOKENS", help="read and written at most (20000)")
    asked.add_argument(
        "--feedback",
        default="joint",
        choices=("joint", "same"),
        help="what is wrong is said with the repair (joint, the default), or the same model is asked for it first",
    )
    asked.add_argument("--feedback-model", metavar="NAME", help="another model there is asked first what is wrong")
    parser.add_argument("--bundle", metavar="PATH", help="a bundle's folder (default: the built-in one)")


def run_repair(args: argparse.Namespace) -> int:
    """Repair one file; 0 if there is something to offer, 1 if not. The key of an endpoint is in OPENAI_API_KEY."""
    target = parse_target(args.target)
    if args.no_tests and args.tests is not None:
        raise BadInput("--tests and --no-tests exclude each other", "give one of them")
    if args.no_tests and args.apply:
        raise BadInput("--apply writes what passes tests, and --no-tests runs none", "leave one of them out")
    for_a_model = {
        "--model": args.model is not None,
        "--base-url": args.base_url is not None,
        "--feedback": args.feedback != "joint" and args.adapter is None,
        "--feedback-model": args.feedback_model is not None,
    }
    if args.provider == "embedded" and any(for_a_model.values()):
        name = next(name for name, is_given in for_a_model.items() if is_given)
        raise BadInput(f"{name} is for an asked model, and none is asked", "add --provider openai, or leave it out")
    if args.provider != "embedded" and args.adapter is not None:
        raise BadInput("--adapter is for the embedded provider", "leave out --provider, or --adapter")
    text = read_source(target.path)
    request = RepairRequest(
        text,
        language_of(target.path),
        _line_span(text, target),
        args.hint,
        target.path.name,
        budget=Budget(args.budget, args.executions, args.seconds),
    )
    workspace: Path | None = args.workspace
    if workspace is None and target.path.absolute().is_relative_to(Path.cwd()):
        workspace = Path.cwd()
    tests = None
    if not args.no_tests:
        tests = find_tests(target.path, text, workspace=workspace, command=args.tests, python=args.python)
    print(f"tests: {printable(tests.command)}" if tests else "tests: none are run", file=sys.stderr)
    if args.hint and args.provider == "embedded" and args.adapter is None:
        print("note: the embedded provider reads no hints; --provider openai asks a model that does", file=sys.stderr)
    try:
        result = asyncio.run(_search(args, request, tests))
    except SandboxError as error:
        raise RepairError(error.message, f"{error.hint}; or use --no-tests") from error
    _report(result, target.path, text)
    if args.apply:
        _apply(result, target.path, text)
    return REPAIRED if result.status in ("repaired", "suggested", "passing") else NOT_REPAIRED


def parse_target(words: str) -> Target:
    """FILE or FILE:LINE. BadInput for a line that is no number; a file whose name ends so is meant as it is."""
    path, colon, line = words.rpartition(":")
    if Path(words).exists() or not colon:
        return Target(Path(words), None)
    if not line.isdecimal() or int(line) < 1:
        raise BadInput(f"{words} names no line", "write FILE or FILE:LINE, lines from 1")
    return Target(Path(path), int(line))


def _line_span(text: str, target: Target) -> Span | None:
    if target.line is None:
        return None
    lines = LineIndex(text)
    if target.line > lines.count:
        raise BadInput(f"{target.path} has {lines.count} lines, not {target.line}", f"name one from 1 to {lines.count}")
    return Span(lines.start(target.line - 1), lines.content_end(target.line - 1))


async def _search(args: argparse.Namespace, request: RepairRequest, tests: TestPlan | None) -> RepairResult:
    records = Path(user_state_path("risk-lsp", appauthor=False)) / "repairs"
    store = TreeStore(args.tree) if args.tree else TreeStore.in_folder(records, request)
    options = {"bundle": str(bundle_path(args.bundle).absolute()), "threads": None, "device": "auto", "dtype": "auto"}
    supervisor = Supervisor({**options, "offline": True}, command=WORKER_COMMAND)
    model = WorkerModel(supervisor.ask)
    provider, chats = _provider(args, model)
    await supervisor.start()
    try:
        with shown_stage(sys.stderr) as show:
            return await repair(
                request,
                model,
                provider,
                tests=tests,
                store=store,
                on_progress=lambda now: show(f"{now.stage} ({now.spent.executions} runs, {now.spent.seconds:.0f} s)"),
            )
    finally:
        await supervisor.stop()
        for chat in chats:
            await chat.close()


def _provider(args: argparse.Namespace, model: WorkerModel) -> tuple[Provider, list[EndpointChat]]:
    """What makes repairs, and what of it is to be closed."""
    if args.provider == "embedded" and args.adapter is None:
        return EmbeddedProvider(), []
    if args.provider == "embedded":
        debugger = ChatProvider(HostedChat(model, args.adapter), feedback=args.feedback)
        return TwoProviders(EmbeddedProvider(), debugger), []
    if args.model is None:
        raise BadInput("--provider openai needs a model", "name it with --model")
    chat = _chat(args, args.model)
    if args.feedback_model is None:
        return ChatProvider(chat, feedback=args.feedback), [chat]
    critic = _chat(args, args.feedback_model)
    return ChatProvider(chat, feedback=critic), [chat, critic]


def _chat(args: argparse.Namespace, model: str) -> EndpointChat:
    from risk_lsp.repair.endpoint import EndpointChat, EndpointOptions

    url = args.base_url or os.environ.get("OPENAI_BASE_URL") or None
    key = os.environ.get("OPENAI_API_KEY")
    return EndpointChat(EndpointOptions(model, url, key, timeout=min(60.0, args.seconds)))


def _report(result: RepairResult, path: Path, text: str) -> None:
    if result.offers:
        best = result.offers[0]
        write_all(sys.stdout, unified_diff(text, best.text, path.as_posix()))
        asked = f"{percent(best.span_risk_before)} -> {percent(best.span_risk_after)}"
        print(f"{best.source}; risk of what was asked about: {asked}", file=sys.stderr)
        if said := best.words_of_model:
            print(printable(said), file=sys.stderr)
    cost = result.cost
    print(f"{result.status}: {printable(result.message)}", file=sys.stderr)
    print(f"next: {result.hint}", file=sys.stderr)
    print(f"cost: {cost.executions} runs, {cost.tokens} tokens, {cost.seconds:.1f} s", file=sys.stderr)


def _apply(result: RepairResult, path: Path, text: str) -> None:
    """Write the best offer, if it passed tests and the file is still what was repaired."""
    if result.status == "suggested":
        raise RepairError("nothing was written: no tests were run", "apply the diff yourself, or name tests")
    if not result.offers:
        return
    if read_source(path) != text:
        raise RepairError(f"{path} has changed meanwhile, so it was left alone", "run the command again")
    place = path.resolve()
    before = place.read_bytes()
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    write_whole(place, mark + result.offers[0].text.encode("utf-8"), place.stat().st_mode & 0o7777)
    print(f"written: {path}", file=sys.stderr)


PickBy = Literal["lowest-risk", "likeliest"]
PICKS: tuple[PickBy, ...] = get_args(PickBy)


class PickedText(NamedTuple):
    """A text of several. passes: for each of them, the picked one first, whether the tests pass; None without tests."""

    text: WrittenText
    passes: tuple[bool, ...] | None

    @property
    def at_random(self) -> float | None:
        """pass@1 of a text picked at random: the share of those that pass; None without tests."""
        return None if self.passes is None else float(np.mean(self.passes))


async def pick(texts: Sequence[WrittenText], program: str, end: int, by: PickBy, tests: TestPlan | None) -> PickedText:
    """Take one of the texts, at least one, written in a program in front of `end`; all are run with the tests.

    by: "lowest-risk" takes the one with the lowest probability that it has to be edited, "likeliest" the one whose
    tokens were the likeliest on average. SandboxError where nothing can be run.
    """
    texts = sorted(texts, key=lambda text: text.probability if by == "lowest-risk" else -text.log_probability)
    if tests is None:
        return PickedText(texts[0], None)
    programs = [program[: text.start] + text.text + program[end:] for text in texts]
    async with Execution(tests) as execution:
        return PickedText(texts[0], tuple([await execution.confirms(each) for each in programs]))


_MOST_TOKENS = 256


def add_generate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp generate`."""
    parser.add_argument("target", metavar="FILE:LINE", help="a line; of a function without a body, the body is written")
    parser.add_argument("--samples", type=at_least_one, default=1, metavar="N", help="texts to choose from (1)")
    parser.add_argument("--pick", default="likeliest", choices=PICKS, help="which of them (default: likeliest)")
    parser.add_argument(
        "--tests", metavar="CMD", help="run all with these tests, on a copy of the workspace in a sandbox"
    )
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="the folder with the tests (default: .)")
    parser.add_argument("--tokens", type=at_least_one, default=_MOST_TOKENS, metavar="N", help="at most, a text (256)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for all texts but the first (0)")
    add_bundle_arguments(parser)


def run_generate(args: argparse.Namespace) -> int:
    """Write at one place; 0 if there is something to show and no test failed with it, 1 if not."""
    from risk_lsp.risk.writer import Writer
    from risk_lsp.text.extents import writing_place

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
    print(_describe_pick(picked, len(texts), args.pick), file=sys.stderr)
    return OK if picked.passes is None or picked.passes[0] else FINDINGS


def _describe_pick(picked: PickedText, count: int, by: str) -> str:
    said = f"{percent(picked.text.probability)} likely to need an edit"
    if count > 1:
        said += f"; {by} of {count} different texts"
    if picked.passes is None or picked.at_random is None:
        return said
    verdict = "passes" if picked.passes[0] else "fails"
    return f"{said}\n{verdict} the tests; of all, {sum(picked.passes)} pass (picked at random: {picked.at_random:.0%})"
