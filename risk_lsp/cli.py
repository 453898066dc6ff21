"""The `risk-lsp` command: parses, calls, prints. What a command needs is imported when that command runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from risk_lsp import __version__
from risk_lsp.errors import BadInput, RiskError

OK, FINDINGS, BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141

# Which extra installs what a command may lack.
_EXTRAS = {
    "torch": "train",
    "transformers": "train",
    "matplotlib": "train",
    "scipy": "train",
    "sklearn": "train",
    "openai": "endpoint",
}


@dataclass(frozen=True)
class Command:
    """A command: its words, one line of help, and where its options and its work are, as "module" or "module:suffix".

    The module offers add_arguments(parser) and run(args) -> exit code; a suffix names one pair of several.
    """

    words: str
    help: str
    place: str


COMMANDS = (
    Command("serve", "run the language server", "risk_lsp.cli_commands:serve"),
    Command("check", "report on files and folders, or on what changed in them", "risk_lsp.cli_commands:check"),
    Command("report", "one page of HTML on files and folders", "risk_lsp.cli_commands:report"),
    Command("score", "score many programs from a JSONL file", "risk_lsp.cli_commands:score"),
    Command("query", "the probability of one span of a file", "risk_lsp.cli_commands:query"),
    Command("doctor", "versions, model, device, memory, and a self-test", "risk_lsp.cli_commands:doctor"),
    Command("corpus build", "files to packed tokens for training", "risk_lsp.training.corpus_command"),
    Command("train model", "train a small code model", "risk_lsp.training.model_command"),
    Command("probe fit", "fit a probe to a model and labelled programs", "risk_lsp.training.probe_fit_command"),
    Command("probe evaluate", "measure a bundle on labelled programs", "risk_lsp.training.probe_evaluate_command"),
    Command("evaluate", "a report on a bundle and its rivals", "risk_lsp.training.evaluate_command"),
    Command("evaluate repair", "how many programs are repaired, and at what cost", "risk_lsp.repair.evaluate_command"),
    Command("repair", "look for a repair of a file, or of a line of it", "risk_lsp.repair.repair_command"),
    Command("patches sample", "programs of a model for problems", "risk_lsp.patches.sample_command"),
    Command("patches build", "minimal patches of failing programs", "risk_lsp.patches.build_command"),
)
_GROUPS = {
    "corpus": "the text that models are trained on",
    "train": "the code model",
    "probe": "the probe that reads a model",
    "patches": "programs of models, and the patches that mend them",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        args = build_parser().parse_args(argv)
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
    """What is wrong, and the way out, on stderr. A name in it, whatever it holds, stays on its line."""
    from risk_lsp.risk.terminal_text import printable

    print(f"error: {printable(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"hint: {printable(error.hint)}", file=sys.stderr)


class _LazyParser(argparse.ArgumentParser):
    """A parser that asks for its options when it is used: most commands' modules are never imported."""

    command: Command | None = None
    below: dict[str, _LazyParser]  # commands whose words go on from this one's

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse has it, with the command's options."""
        if args and args[0] in getattr(self, "below", {}):
            return self.below[args[0]].parse_known_args(args[1:], namespace)
        if self.command is not None:
            add_arguments, run = _implementation(self.command)
            self.command = None
            add_arguments(self)
            self.set_defaults(run=run)
        return super().parse_known_args(args, namespace)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _LazyParser(
        prog="risk-lsp",
        description="How likely is it that a span of model-written code has to be edited?",
        epilog="Exit codes: 0, 1 for findings (check) or a failed self-test (doctor), 2 for bad input.",
    )
    parser.add_argument("--version", action="version", version=f"risk-lsp {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups: dict[str, Any] = {}
    whole: dict[str, Any] = {}  # commands of one word
    for command in COMMANDS:
        *group, name = command.words.split()
        parent = commands
        if group and group[0] in whole:
            longer = _LazyParser(prog=f"risk-lsp {command.words}", description=command.help)
            longer.command = command
            whole[group[0]].below = {name: longer}
            continue
        if group:
            if group[0] not in groups:
                group_parser = commands.add_parser(group[0], help=_GROUPS[group[0]], description=_GROUPS[group[0]])
                groups[group[0]] = group_parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
            parent = groups[group[0]]
        made = parent.add_parser(name, help=command.help, description=command.help)
        made.command = command
        if not group:
            whole[name] = made
    return parser


def _implementation(command: Command) -> tuple[Callable[..., None], Callable[..., int]]:
    module_name, _, suffix = command.place.partition(":")
    module = import_module(module_name)
    ending = f"_{suffix}" if suffix else ""
    return getattr(module, f"add_arguments{ending}"), getattr(module, f"run{ending}")
