"""The `risk-lsp` command: parses, calls, prints; and the options that several commands have.

What a command needs is imported when that command runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from risk_lsp import __version__
from risk_lsp.errors import BadInput, RiskError
from risk_lsp.settings import Settings

if TYPE_CHECKING:
    from risk_lsp.probe.calibration import Place
    from risk_lsp.probe.manifest import ReferenceTable
    from risk_lsp.risk.engine import Engine
    from risk_lsp.risk.span_risk import Scorer


OK, FINDINGS, BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141

# Which extra installs what a command may lack.
_EXTRAS = {
    "torch": "train",
    "transformers": "train",
    "matplotlib": "train",
    "scipy": "train",
    "sklearn": "train",
    "openai": "endpoint",
    "starlette": "team",
    "uvicorn": "team",
    "prometheus_client": "team",
    "httpx2": "team",
}


@dataclass(frozen=True)
class Command:
    """A command: its words, one line of help, and the module with its options and its work.

    For a last word WORD the module offers add_WORD_arguments(parser) and run_WORD(args) -> exit code. It is imported
    when the command is given.
    """

    words: str
    help: str
    module: str


COMMANDS = (
    Command("serve", "run the language server", "risk_lsp.cli.serving_commands"),
    Command("check", "report on files and folders, or on what changed in them", "risk_lsp.cli.reading_commands"),
    Command("report", "one page of HTML on files and folders", "risk_lsp.cli.reading_commands"),
    Command("score", "score many programs from a JSONL file", "risk_lsp.cli.reading_commands"),
    Command("query", "the probability of one span of a file", "risk_lsp.cli.reading_commands"),
    Command("doctor", "versions, model, device, memory, and a self-test", "risk_lsp.cli.upkeep_commands"),
    Command("repair", "look for a repair of a file, or of a line of it", "risk_lsp.cli.writing_commands"),
    Command("personal", "what was learnt from your own edits", "risk_lsp.cli.upkeep_commands"),
    Command("generate", "write at a line of a file, and say how risky that is", "risk_lsp.cli.writing_commands"),
    Command("host", "one model behind the editors of a team", "risk_lsp.cli.serving_commands"),
    Command("host key", "make a person's key for a team's host", "risk_lsp.cli.serving_commands"),
    Command("models", "list, fetch, add, remove and choose models", "risk_lsp.cli.upkeep_commands"),
)
_GROUPS = {
    "corpus": "the text that models are trained on",
    "train": "the code model",
    "probe": "the probe that reads a model",
    "patches": "programs of models, and the patches that mend them",
    "debugger": "a model that learns to repair its own programs",
}
# Distributions add commands by an entry point of this group: a tuple of Command.
_MORE_COMMANDS = "risk_lsp.commands"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        words = sys.argv[1:] if argv is None else list(argv)
        own = bool(words) and words[0] in {command.words for command in COMMANDS}
        args = build_parser(COMMANDS if own else all_commands()).parse_args(words)
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except RiskError as error:
        print_error(error)
        return BAD_INPUT
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        print_error(BadInput(f"this command needs {error.name}", f"install the extra: pip install 'risk-lsp[{extra}]'"))
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def print_error(error: RiskError) -> None:
    """Print what is wrong, and the way out, to stderr. Line breaks in names are made visible."""
    from risk_lsp.report.wording import printable

    print(f"error: {printable(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"hint: {printable(error.hint)}", file=sys.stderr)


class _LazyParser(argparse.ArgumentParser):
    """A parser that imports its command's module when it is used, so that those of other commands are not."""

    command: Command | None = None
    below: Mapping[str, _LazyParser] = MappingProxyType({})  # commands whose words go on from this one's

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, with the command's options."""
        if args and args[0] in self.below:
            return self.below[args[0]].parse_known_args(args[1:], namespace)
        if self.command is not None:
            implementation, name = import_module(self.command.module), self.command.words.split()[-1]
            self.command = None
            getattr(implementation, f"add_{name}_arguments")(self)
            self.set_defaults(run=getattr(implementation, f"run_{name}"))
        return super().parse_known_args(args, namespace)


def all_commands() -> tuple[Command, ...]:
    """Our commands, and those that installed distributions add; takes some milliseconds."""
    more = [command for point in entry_points(group=_MORE_COMMANDS) for command in point.load()]
    return (*COMMANDS, *more)


def build_parser(commands: Sequence[Command] | None = None) -> argparse.ArgumentParser:
    """The parser of these commands, by default of all."""
    parser = _LazyParser(
        prog="risk-lsp",
        description="How likely is it that a span of model-written code has to be edited?",
        epilog="Exit codes: 0, 1 for findings (check) or a failed self-test (doctor), 2 for bad input.",
    )
    parser.add_argument("--version", action="version", version=f"risk-lsp {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups: dict[str, Any] = {}
    whole: dict[str, Any] = {}  # commands of one word
    for command in all_commands() if commands is None else commands:
        *group, name = command.words.split()
        parent = subparsers
        if group and group[0] in whole:
            longer = _LazyParser(prog=f"risk-lsp {command.words}", description=command.help)
            longer.command = command
            whole[group[0]].below = {**whole[group[0]].below, name: longer}
            continue
        if group:
            if group[0] not in groups:
                group_parser = subparsers.add_parser(group[0], help=_GROUPS[group[0]], description=_GROUPS[group[0]])
                groups[group[0]] = group_parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
            parent = groups[group[0]]
        made = parent.add_parser(name, help=command.help, description=command.help)
        made.command = command
        if not group:
            whole[name] = made
    return parser


def add_bundle_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which bundle is loaded, and how it runs."""
    bundle = parser.add_argument_group("model")
    bundle.add_argument("--bundle", metavar="PATH", help="a bundle's name or folder (default: see risk-lsp models)")
    bundle.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    bundle.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    bundle.add_argument("--threads", type=at_least_one, metavar="N", help="CPU threads for the model")
    bundle.add_argument("--online", action="store_true", help="let the model of a bundle be fetched from its hub")


def load_engine(args: argparse.Namespace, *, whole_model: bool = False) -> Engine:
    """The engine that the options name, with the part that writes if it is to be whole. BundleError or ModelError."""
    from risk_lsp.probe.manifest import bundle_path
    from risk_lsp.risk.engine import Engine

    return Engine.load(
        bundle_path(args.bundle),
        device=args.device,
        dtype=args.dtype,
        offline=not args.online,
        threads=args.threads,
        whole_model=whole_model,
    )


def add_place_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that says what kind of text all files are."""
    parser.add_argument(
        "--place",
        type=place,
        metavar="PLACE",
        help="generated, changed or at-rest: what all lines are (default: what git and installed libraries say)",
    )


def add_length_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which files are too long to read."""
    parser.add_argument(
        "--max-characters",
        type=at_least_one,
        default=Settings().max_characters,
        metavar="N",
        help="pass over files of more characters, and say so (default 200,000, as in editors)",
    )


def place(text: str) -> Place:
    """The place of this name; ArgumentTypeError for an unknown one."""
    from risk_lsp.probe.calibration import Place

    names = {each.value.replace("_", "-"): each for each in Place}
    if text not in names:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")
    return names[text]


def add_cache_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option to neither read nor keep results of earlier runs."""
    parser.add_argument("--no-cache", action="store_true", help="score again what was scored before, and keep nothing")


def cached_scorer(engine: Engine, args: argparse.Namespace) -> Scorer:
    """The engine behind a cache on disk, which knows the texts of earlier runs."""
    from risk_lsp.risk.engine import CachedScorer, DiskCache, cache_folder

    if args.no_cache:
        return engine
    numbers = f"{engine.model.device} {engine.model.dtype}"
    return CachedScorer(engine, engine.manifest, DiskCache(cache_folder()), numbers=numbers)


def reference_of(engine: Engine) -> ReferenceTable:
    """How often lines were edited, by the probability that the bundle gave them."""
    from risk_lsp.probe.manifest import ReferenceTable

    return ReferenceTable.from_manifest(engine.manifest.reference)


def at_least_one(text: str) -> int:
    """A whole number from 1; ArgumentTypeError for another."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def at_least_zero(text: str) -> int:
    """A whole number from 0; ArgumentTypeError for another."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


def probability(text: str) -> float:
    """A number from 0 to 1; ArgumentTypeError for another."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a probability from 0 to 1")
    return number
