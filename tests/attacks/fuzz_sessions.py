"""Random sessions over real stdio: messages that are valid, nearly valid, and no messages at all.

    python -m tests.attacks.fuzz_sessions [--messages 10000] [--seed 0]

The server has to be alive at the end, with exactly one response to every request and none to anything else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from risk_lsp.settings import SETTINGS
from tests.server.lsp_client import LspClient, server_command

_AT_A_TIME = 200  # messages between two questions that have to be answered
_URIS = ["file:///a.py", "file:///b.py", "untitled:c", "file:///d.ipynb", "git:/e.py", "", "a b", "file:///\ud800"]
_CELLS = ["vscode-notebook-cell:/d#1", "vscode-notebook-cell:/d#2", "file:///a.py"]
_WORDS = [
    "BUG",
    "MAYBE",
    "def f(x):\n",
    "    ",
    "\n",
    "\r",
    "😀",
    "\u2028",
    "\ud83d",
    "%%bash\n",
    "!ls\n",
    "'''",
    "REFUSE",
    "BREAK",
]
_COMMANDS = ["riskLsp.analyseNow", "riskLsp.snooze", "riskLsp.ignoreLine", "riskLsp.stopIgnoring"]
_COMMANDS += ["riskLsp.markGenerated", "riskLsp.unmarkGenerated", "riskLsp.report", "riskLsp.unheardOf"]
_COMMANDS += ["riskLsp.repair", "riskLsp.repairWithHint", "riskLsp.explain", "riskLsp.cancelRepair"]
_COMMANDS += ["riskLsp.restart", "riskLsp.forgetTestAnswers", "riskLsp.writeBody", "riskLsp.acceptWritten"]
_ODD: list[Any] = [None, True, -1, 2**63, 1e308, "", "x", "\ud800", [], {}, [[]], {"uri": 5}, "\0" * 50]


class RudeClient(LspClient):
    """Answers the server's requests late, wrongly, or not at all."""

    chance: random.Random

    def answer(self, request: dict[str, Any]) -> None:
        """Anything but what was asked for, mostly."""
        kind = self.chance.randrange(5)
        if kind == 0:
            super().answer(request)
        elif kind == 1:
            self.send({"jsonrpc": "2.0", "id": request["id"], "result": self.chance.choice(_ODD)})
        elif kind == 2:
            self.send({"jsonrpc": "2.0", "id": request["id"], "error": self.chance.choice(_ODD)})
        elif kind == 3:
            self.send({"jsonrpc": "2.0", "id": request["id"], "error": {"code": 1, "message": "no"}})


@dataclass
class Session:
    """What was sent, and so what has to come back."""

    chance: random.Random
    requests: Counter[str] = field(default_factory=Counter)  # by id, how often
    versions: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0  # messages that may be answered with an error without an id

    def message(self) -> bytes:
        """The body of the next message."""
        kind = self.chance.random()
        if kind < 0.04:
            self.unreadable += 1
            return self.chance.choice(
                (b"", b"{", b"\xff\xfe{}", b"[]", b"5", b"null", b'"x"', self.chance.randbytes(40))
            )
        message = self._notification() if self.chance.random() < 0.6 else self._request()
        if kind < 0.25:
            message["params"] = self._mutated(message["params"])
        elif kind < 0.30:
            message = self._odd(message)
        self._count(message)
        return json.dumps(message).encode()

    def _count(self, message: dict[str, Any]) -> None:
        method, message_id = message.get("method"), message.get("id")
        is_usable = isinstance(message_id, int | str) and not isinstance(message_id, bool)
        if isinstance(method, str) and "id" in message and is_usable:
            self.requests[json.dumps(message_id)] += 1
        elif "method" in message and (not isinstance(method, str) or "id" in message):
            self.unreadable += 1

    def _odd(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message that is wrong in itself: its id, its method, its version, or a response to nothing."""
        kind = self.chance.randrange(5)
        if kind == 0:
            return {**message, "id": self.chance.choice([None, True, [], {}, 1.5, "7", 10**9])}
        if kind == 1:
            return {**message, "method": self.chance.choice([None, 5, [], "", "exitt", "$/x", "riskLsp/"])}
        if kind == 2:
            return {**message, "jsonrpc": self.chance.choice([None, "1.0", 2])}
        asked = self.chance.choice([*self.requests, "1"])
        return {"jsonrpc": "2.0", "id": json.loads(asked), "result": self.chance.choice(_ODD)}

    def _mutated(self, value: Any) -> Any:
        """The value with something in it replaced."""
        if isinstance(value, dict) and value and self.chance.random() < 0.85:
            name = self.chance.choice(list(value))
            return {**value, name: self._mutated(value[name])}
        if isinstance(value, list) and value and self.chance.random() < 0.85:
            place = self.chance.randrange(len(value))
            return [*value[:place], self._mutated(value[place]), *value[place + 1 :]]
        return self.chance.choice(_ODD)

    # What a client might well send

    def _request(self) -> dict[str, Any]:
        document = {"textDocument": {"uri": self._uri()}}
        place = {"range": self._range()}
        choices: list[tuple[str, Any]] = [
            ("textDocument/hover", {**document, "position": self._position()}),
            ("textDocument/inlineCompletion", {**document, "position": self._position(), "context": self._trigger()}),
            ("riskLsp/lines", {"uri": self._uri()}),
            ("riskLsp/written", {"uri": self._uri()}),
            ("riskLsp/query", {"uri": self._uri(), "ranges": [self._range(), self._range()]}),
            ("textDocument/inlayHint", {**document, **place}),
            ("textDocument/codeLens", document),
            ("textDocument/diagnostic", document),
            ("textDocument/codeAction", {**document, **place, "context": {"diagnostics": []}}),
            ("workspace/executeCommand", {"command": self.chance.choice(_COMMANDS), "arguments": self._arguments()}),
            ("textDocument/foldingRange", document),
            ("initialize", {"processId": None, "capabilities": {}}),
        ]
        method, params = self.chance.choice(choices)
        return {"jsonrpc": "2.0", "id": sum(self.requests.values()) + 10**6, "method": method, "params": params}

    def _notification(self) -> dict[str, Any]:
        uri = self._uri()
        changes = [self._edit() for _ in range(self.chance.randrange(3))]
        asked = self.chance.choice([*self.requests, "0"])
        choices: list[tuple[str, Any]] = [
            ("textDocument/didOpen", {"textDocument": self._item(uri)}),
            ("textDocument/didChange", {"textDocument": self._versioned(uri), "contentChanges": changes}),
            ("textDocument/didChange", {"textDocument": self._versioned(uri), "contentChanges": changes}),
            ("textDocument/didClose", {"textDocument": {"uri": uri}}),
            ("textDocument/didSave", {"textDocument": {"uri": uri}}),
            ("notebookDocument/didOpen", self._notebook()),
            ("notebookDocument/didChange", self._notebook_change(changes)),
            ("notebookDocument/didChange", self._notebook_change(changes)),
            ("notebookDocument/didClose", {"notebookDocument": {"uri": "file:///d.ipynb"}, "cellTextDocuments": []}),
            ("workspace/didChangeConfiguration", {"settings": {"riskLsp": self._settings()}}),
            ("riskLsp/userSettings", self._settings()),
            ("$/cancelRequest", {"id": json.loads(asked)}),
            ("$/setTrace", {"value": "verbose"}),
            ("initialized", {}),
            ("window/workDoneProgress/cancel", {"token": "x"}),
        ]
        method, params = self.chance.choice(choices)
        return {"jsonrpc": "2.0", "method": method, "params": params}

    def _notebook(self) -> dict[str, Any]:
        cells = [self._cell() for _ in range(self.chance.randrange(4))]
        items = [self._item(cell["document"]) for cell in cells]
        notebook = {"uri": "file:///d.ipynb", "notebookType": "jupyter-notebook", "version": 1, "cells": cells}
        return {"notebookDocument": notebook, "cellTextDocuments": items}

    def _notebook_change(self, changes: list[dict[str, Any]]) -> dict[str, Any]:
        cell = self._cell()
        array = {"start": self.chance.randrange(4), "deleteCount": self.chance.randrange(3), "cells": [cell]}
        cells: dict[str, Any] = self.chance.choice(
            [
                {"structure": {"array": array, "didOpen": [self._item(cell["document"])]}},
                {"structure": {"array": array, "didClose": [{"uri": cell["document"]}]}},
                {"data": [cell]},
                {"textContent": [{"document": self._versioned(cell["document"]), "changes": changes}]},
            ]
        )
        return {"notebookDocument": self._versioned("file:///d.ipynb"), "change": {"cells": cells}}

    def _settings(self) -> dict[str, Any]:
        values = [0, 1, 5, 0.5, True, False, "generated", "document", None, -1]
        named = [setting.name for setting in SETTINGS if setting.name != "debounce"]
        return {name: self.chance.choice(values) for name in self.chance.sample(named, 3)}

    def _arguments(self) -> list[Any]:
        choices = [self._uri(), self.chance.randrange(5), "stored", "source", 0, self._range()]
        return [self._uri(), *self.chance.choices(choices, k=self.chance.randrange(3))]

    def _uri(self) -> str:
        return self.chance.choice(_URIS[:3] * 3 + _CELLS + _URIS)

    def _cell(self) -> dict[str, Any]:
        return {"kind": self.chance.choice((1, 2, 2, 2)), "document": self.chance.choice(_CELLS)}

    def _item(self, uri: str) -> dict[str, Any]:
        language = self.chance.choice(("python", "python", "python", "javascript", ""))
        return {"uri": uri, "languageId": language, "version": self.chance.randrange(9), "text": self._text()}

    def _versioned(self, uri: str) -> dict[str, Any]:
        self.versions[uri] += self.chance.choice((1, 1, 1, 1, -3))
        return {"uri": uri, "version": self.versions[uri]}

    def _edit(self) -> dict[str, Any]:
        return {"text": self._text()} | ({"range": self._range()} if self.chance.random() < 0.9 else {})

    def _text(self) -> str:
        return " ".join(self.chance.choices(_WORDS, k=self.chance.randrange(12)))

    def _trigger(self) -> dict[str, Any]:
        return {"triggerKind": self.chance.choice((1, 2))}

    def _position(self) -> dict[str, int]:
        return {"line": self.chance.randrange(8), "character": self.chance.choice((0, 3, 9, 2**31 - 1))}

    def _range(self) -> dict[str, Any]:
        return {"start": self._position(), "end": self._position()}


async def fuzz_sessions(messages: int, seed: int, folder: Path, pull: bool = False) -> int:
    """One session of so many messages with the scripted worker, which leaves its notes in `folder`; returns how many
    requests were among them. Raises AssertionError for whatever the server does wrong."""
    chance = random.Random(f"{seed} session")
    session = Session(chance)
    (folder / "writes").write_text(json.dumps(["return BUG", "pass"]), encoding="utf-8")
    client = await RudeClient.start(server_command(folder))
    assert isinstance(client, RudeClient)
    client.chance = chance
    try:
        dump = chance.choice(["vscode-1.139", "nvim-0.12", "emacs30-eglot"])
        await client.initialize(dump, pull=pull, initializationOptions={"debounce": 0.0, "inlineCompletion": True})
        for sent in range(0, messages, _AT_A_TIME):
            for _ in range(min(_AT_A_TIME, messages - sent)):
                client.send_bytes(session.message())
            await client.hover("file:///nothing", line=0)
        assert await client.shut_down() == 0
        await client.kill()  # the reader ends with the stream: everything has arrived
        _check(client, session)
    finally:
        await client.kill()
    return sum(session.requests.values())


def _check(client: LspClient, session: Session) -> None:
    answers = [message for message in client.received if "method" not in message]
    own = range(client.requests_sent + 1)
    given = Counter(
        json.dumps(answer["id"]) for answer in answers if answer["id"] is not None and answer["id"] not in own
    )
    assert given == session.requests, (
        f"unanswered: {session.requests - given}, answered too often: {given - session.requests}"
    )
    assert sum(answer["id"] is None for answer in answers) <= session.unreadable
    internal = [answer["error"]["message"] for answer in answers if answer.get("error", {}).get("code") == -32603]
    assert internal == [], internal


async def _run(messages: int, seed: int) -> None:
    started = time.monotonic()
    requests = 0
    for place in range(4):
        with tempfile.TemporaryDirectory() as folder:
            requests += await fuzz_sessions(messages // 4, seed + place, Path(folder), pull=place % 2 == 1)
    seconds = time.monotonic() - started
    print(f"{messages:,} messages in 4 sessions, {requests:,} requests answered once each, {seconds:.0f} s")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(_run(options.messages, options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
