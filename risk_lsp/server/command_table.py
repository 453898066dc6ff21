"""The commands of `workspace/executeCommand`: what each is called, what arguments it takes, and what it does.

A new command is one entry of `COMMANDS` and one function. The server advertises the names before it imports the
protocol library, so an entry names its function, which is imported afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import zip_longest
from typing import Any

_LONGEST_MINUTES = 7 * 24 * 60


@dataclass(frozen=True)
class Argument:
    """One argument of a command.

    `name` is its word in the usage, and `rule` says what it has to be. `accepts` tells whether a JSON value is that; a
    missing one is None. `convert` makes of it what the function takes, and may raise ValueError, too.
    """

    name: str
    rule: str
    accepts: Callable[[Any], bool]
    convert: Callable[[Any], Any] = lambda value: value


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
        for argument, value in zip_longest(self.arguments, given[: len(self.arguments)]):
            try:
                if not argument.accepts(value):
                    raise ValueError
                read.append(argument.convert(value))
            except ValueError:
                usage = ", ".join(argument.name for argument in self.arguments)
                raise ValueError(f"{self.name}: expected the arguments [{usage}]; {argument.rule}") from None
        return read


def _range_of(value: Any) -> Any:
    from risk_lsp.server.wire.convert import range_from_json  # with the protocol library

    return range_from_json(value)


URI = Argument("uri", "the URI is a string", lambda value: isinstance(value, str))
ANY_URI = Argument(
    "uri", "the URI, if there is one, is a string", lambda value: value is None or isinstance(value, str)
)
NAME = Argument("name", "the name is a string", lambda value: isinstance(value, str))
PATH = Argument("path", "the path is a string", lambda value: isinstance(value, str))
HINT = Argument("hint", "the last argument is a text", lambda value: value is None or isinstance(value, str))
LINE = Argument("line", "the line is a whole number from 0", lambda value: type(value) is int and value >= 0)
RANGE = Argument("range", "the range is an LSP range", lambda value: isinstance(value, dict), _range_of)
WHERE = Argument('"source" or "stored"', 'the last argument is "source" or "stored"', ("source", "stored").__contains__)
SUGGESTION = Argument("suggestion", "the suggestion is a whole number", lambda value: type(value) is int)
MINUTES = Argument(
    "minutes",
    f"minutes are a number from 0 to {_LONGEST_MINUTES}",
    lambda value: type(value) in (int, float) and 0 <= value <= _LONGEST_MINUTES,
)

IGNORE_LINE = "riskLsp.ignoreLine"
STOP_IGNORING = "riskLsp.stopIgnoring"
REPAIR = "riskLsp.repair"
REPAIR_WITH_HINT = "riskLsp.repairWithHint"
EXPLAIN = "riskLsp.explain"
WRITE_BODY = "riskLsp.writeBody"
WRITE_BODY_WITH_HINT = "riskLsp.writeBodyWithHint"
ACCEPT_WRITTEN = "riskLsp.acceptWritten"

_ACTIONS = "risk_lsp.server.features.commands"
_REPAIRS = "risk_lsp.server.repair.queue"
_WRITING = "risk_lsp.server.writing.inline_completion"
_MODELS = "risk_lsp.server.features.model_choice"

COMMANDS = (
    LspCommand("riskLsp.analyseNow", (URI,), f"{_ACTIONS}:analyse_now"),
    LspCommand("riskLsp.snooze", (MINUTES,), f"{_ACTIONS}:snooze"),
    LspCommand(IGNORE_LINE, (URI, LINE, WHERE), f"{_ACTIONS}:ignore_line"),
    LspCommand(STOP_IGNORING, (URI, LINE), f"{_ACTIONS}:stop_ignoring"),
    LspCommand("riskLsp.markGenerated", (URI, RANGE), f"{_ACTIONS}:mark_generated"),
    LspCommand("riskLsp.unmarkGenerated", (URI, RANGE), f"{_ACTIONS}:unmark_generated"),
    LspCommand("riskLsp.report", (URI,), f"{_ACTIONS}:report"),
    LspCommand(
        "riskLsp.reviewGenerated", (ANY_URI,), "risk_lsp.server.features.review:review_generated", reports_progress=True
    ),
    LspCommand("riskLsp.restart", (), f"{_ACTIONS}:restart"),
    LspCommand(REPAIR, (URI, RANGE), f"{_REPAIRS}:repair", reports_progress=True),
    LspCommand(REPAIR_WITH_HINT, (URI, RANGE, HINT), f"{_REPAIRS}:repair_with_hint", reports_progress=True),
    LspCommand("riskLsp.cancelRepair", (URI,), f"{_REPAIRS}:cancel_repair"),
    LspCommand("riskLsp.forgetTestAnswers", (), f"{_REPAIRS}:forget_test_answers"),
    LspCommand(EXPLAIN, (URI, RANGE), "risk_lsp.server.features.commands:explain"),
    LspCommand(WRITE_BODY, (URI, RANGE), "risk_lsp.server.writing.body:write_body", reports_progress=True),
    LspCommand(
        WRITE_BODY_WITH_HINT,
        (URI, RANGE, HINT),
        "risk_lsp.server.writing.body:write_body_with_hint",
        reports_progress=True,
    ),
    LspCommand(ACCEPT_WRITTEN, (URI, SUGGESTION), f"{_WRITING}:accept_written"),
    LspCommand("riskLsp.listModels", (), f"{_MODELS}:list_models"),
    LspCommand("riskLsp.useModel", (NAME,), f"{_MODELS}:use_model"),
    LspCommand("riskLsp.fetchModel", (NAME,), f"{_MODELS}:fetch_model", reports_progress=True),
    LspCommand("riskLsp.addModel", (PATH,), f"{_MODELS}:add_model"),
    LspCommand("riskLsp.removeModel", (NAME,), f"{_MODELS}:remove_model"),
)
