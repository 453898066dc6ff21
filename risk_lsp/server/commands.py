"""`workspace/executeCommand`: from a command's name to what does it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

from pygls.exceptions import JsonRpcInvalidParams

from risk_lsp.server.arguments import Arguments
from risk_lsp.server.barrier import barrier
from risk_lsp.server.handshake import COMMANDS

_USAGE: dict[str, str] = {
    "riskLsp.analyseNow": "[uri]",
    "riskLsp.snooze": "[minutes]",
    "riskLsp.ignoreLine": '[uri, line, "source" or "stored"]',
    "riskLsp.stopIgnoring": "[uri, line]",
    "riskLsp.markGenerated": "[uri, range]",
    "riskLsp.unmarkGenerated": "[uri, range]",
    "riskLsp.report": "[uri]",
    "riskLsp.restart": "[]",
    "riskLsp.repair": "[uri, range]",
    "riskLsp.repairWithHint": "[uri, range, hint]",
    "riskLsp.cancelRepair": "[uri]",
    "riskLsp.forgetTestAnswers": "[]",
    "riskLsp.explain": "[uri, range]",
}


class Commands:
    """Runs commands. A handler takes the checked arguments and returns the answer, or something to await for it."""

    def __init__(self, handlers: Mapping[str, Callable[[Arguments], Any]]) -> None:
        assert set(handlers) == set(COMMANDS)
        self._handlers = handlers

    def execute(self, params: object) -> Generator[Any, Any, Any]:
        """Answer one request, in pygls's sense; the handler has begun before the next message is read."""
        fields = params if isinstance(params, Mapping) else {}
        name = fields.get("command")
        handler = self._handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            raise JsonRpcInvalidParams(f"unknown command; known are {', '.join(self._handlers)}")
        assert isinstance(name, str)
        answer = handler(Arguments(name, _USAGE[name], fields.get("arguments"), fields.get("workDoneToken")))
        if inspect.isawaitable(answer):
            answer = yield barrier(name, _awaited), (answer,), None
        return answer


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer
