"""The commands of `workspace/executeCommand`: what each is called, what arguments it takes, and what it does.

A new command is one entry of `COMMANDS` and one function. The server advertises the names before it imports the
protocol library, so an entry names its function, which is imported afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

_LONGEST_MINUTES = 7 * 24 * 60


@dataclass(frozen=True)
class Argument:
    """One argument of a command.

    `name` is its word in the usage, and `rule` says what it has to be. `read` takes the JSON value, or None where the
    client sent none, and returns what the function takes; it raises ValueError for a value against the rule.
    """

    name: str
    rule: str
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class LspCommand:
    """A command, its arguments in order, and the function that carries it out, as MODULE:NAME.

    The function takes the session and the arguments, and returns the answer or an awaitable of it. If the command
    `reports_progress`, a last argument is the request's progress token, or None.
    """

    name: str
    arguments: tuple[Argument, ...]
    function: str
    reports_progress: bool = False

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        module, _, name = self.function.partition(":")
        function: Callable[..., Any] = getattr(import_module(module), name)
        return function

    def read(self, values: object) -> list[Any]:
        """The function's arguments, from what a client sent. Raises ValueError, which says what was expected."""
        given = values if isinstance(values, list) else []
        read = []
        for place, argument in enumerate(self.arguments):
            try:
                read.append(argument.read(given[place] if place < len(given) else None))
            except ValueError:
                usage = ", ".join(argument.name for argument in self.arguments)
                raise ValueError(f"{self.name}: expected the arguments [{usage}]; {argument.rule}") from None
        return read


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _line(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _minutes(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= _LONGEST_MINUTES:
        raise ValueError
    return float(value)


def _place(value: Any) -> str:
    if value not in ("source", "stored"):
        raise ValueError
    return str(value)


def _range(value: Any) -> Any:
    from risk_lsp.server.wire.convert import range_from_json  # with the protocol library

    return range_from_json(value)


URI = Argument("uri", "the URI is a string", _text)
LINE = Argument("line", "the line is a whole number from 0", _line)
RANGE = Argument("range", "the range is an LSP range", _range)
MINUTES = Argument("minutes", f"minutes are a number from 0 to {_LONGEST_MINUTES}", _minutes)
PLACE = Argument('"source" or "stored"', 'the last argument is "source" or "stored"', _place)
NAME = Argument("name", "the name is a string", _text)
PATH = Argument("path", "the path is a string", _text)
HINT = Argument("hint", "the last argument is a text", lambda value: None if value is None else _text(value))

IGNORE_LINE = "riskLsp.ignoreLine"
STOP_IGNORING = "riskLsp.stopIgnoring"
REPAIR = "riskLsp.repair"
REPAIR_WITH_HINT = "riskLsp.repairWithHint"
EXPLAIN = "riskLsp.explain"

_ACTIONS = "risk_lsp.server.features.commands"
_REPAIRS = "risk_lsp.server.repair.queue"
_MODELS = "risk_lsp.server.features.model_choice"

COMMANDS = (
    LspCommand("riskLsp.analyseNow", (URI,), f"{_ACTIONS}:analyse_now"),
    LspCommand("riskLsp.snooze", (MINUTES,), f"{_ACTIONS}:snooze"),
    LspCommand(IGNORE_LINE, (URI, LINE, PLACE), f"{_ACTIONS}:ignore_line"),
    LspCommand(STOP_IGNORING, (URI, LINE), f"{_ACTIONS}:stop_ignoring"),
    LspCommand("riskLsp.markGenerated", (URI, RANGE), f"{_ACTIONS}:mark_generated"),
    LspCommand("riskLsp.unmarkGenerated", (URI, RANGE), f"{_ACTIONS}:unmark_generated"),
    LspCommand("riskLsp.report", (URI,), f"{_ACTIONS}:report"),
    LspCommand("riskLsp.restart", (), f"{_ACTIONS}:restart"),
    LspCommand(REPAIR, (URI, RANGE), f"{_REPAIRS}:repair", reports_progress=True),
    LspCommand(REPAIR_WITH_HINT, (URI, RANGE, HINT), f"{_REPAIRS}:repair_with_hint", reports_progress=True),
    LspCommand("riskLsp.cancelRepair", (URI,), f"{_REPAIRS}:cancel_repair"),
    LspCommand("riskLsp.forgetTestAnswers", (), f"{_REPAIRS}:forget_test_answers"),
    LspCommand(EXPLAIN, (URI, RANGE), "risk_lsp.server.features.explanation:explain"),
    LspCommand("riskLsp.listModels", (), f"{_MODELS}:list_models"),
    LspCommand("riskLsp.useModel", (NAME,), f"{_MODELS}:use_model"),
    LspCommand("riskLsp.fetchModel", (NAME,), f"{_MODELS}:fetch_model", reports_progress=True),
    LspCommand("riskLsp.addModel", (PATH,), f"{_MODELS}:add_model"),
    LspCommand("riskLsp.removeModel", (NAME,), f"{_MODELS}:remove_model"),
)
