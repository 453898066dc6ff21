"""A client with a person at it, who answers what the server asks and sees what it shows; a file to be repaired."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.server.lsp_client import LspClient

CANCELLED = -32800
LARGEST = '''def largest(numbers):
    """The largest of some numbers.

    >>> largest([1, 3, 2])
    3
    """
    best = numbers[0]
    for number in numbers:
        if number < best:  # BUG
            best = number
    return best
'''
RIGHT = LARGEST.replace("number < best", "number > best")
FAULTY_LINE = 8

Reply = Callable[[Any], Any]


class Person(LspClient):
    """Answers requests by method as `replies` says: with a value, or with what a function of the params gives.

    A method of `silent` is never answered. An edit to apply is applied, as an editor does.
    """

    def __init__(self, process: Any) -> None:
        super().__init__(process)
        self.replies: dict[str, Any] = {}
        self.silent: set[str] = set()
        self.texts: dict[str, tuple[int, str]] = {}

    def show(self, path: Path, text: str) -> str:
        """Open a text at a path; its URI."""
        uri = path.as_uri()
        self.texts[uri] = (1, text)
        self.open(uri, text)
        return uri

    def choose(self, *titles: str) -> None:
        """Pick the buttons of these names, one after the other; then dismiss what is asked."""
        left = list(titles)

        def chosen(params: Any) -> Any:
            title = left.pop(0) if left else None
            return next((action for action in params["actions"] if action["title"] == title), None)

        self.replies["window/showMessageRequest"] = chosen

    def repair(self, uri: str, line: int = FAULTY_LINE, token: str | None = "token") -> int:
        """Ask for a repair of a line, under a progress token if there is one; the request's id."""
        place = at_line(line)
        given = {} if token is None else {"workDoneToken": token}
        return self.send_request(
            "workspace/executeCommand", {"command": "riskLsp.repair", "arguments": [uri, place], **given}
        )

    async def repaired(self, uri: str, line: int = FAULTY_LINE) -> dict[str, Any]:
        """What came of a repair of a line."""
        outcome = await self.result_of(self.repair(uri, line))
        assert isinstance(outcome, dict)
        return outcome

    async def stage(self, words: str) -> None:
        """Wait for progress with these words."""
        await self.message(
            lambda message: message.get("method") == "$/progress" and message["params"]["value"].get("message") == words
        )

    @property
    def shown(self) -> list[str]:
        """The messages so far."""
        return [params["message"] for params in self.all_of("window/showMessage")]

    @property
    def questions(self) -> list[str]:
        """What the person was asked so far."""
        return [params["message"] for params in self.all_of("window/showMessageRequest")]

    def answer(self, request: dict[str, Any]) -> None:
        """As `replies` says."""
        method: str = request["method"]
        params: Any = request.get("params")
        result: Any
        if method in self.silent:
            return
        if method == "workspace/applyEdit" and method not in self.replies:
            result = {"applied": self._apply(params["edit"])}
        elif method in self.replies:
            reply = self.replies[method]
            result = reply(params) if callable(reply) else reply
        else:
            super().answer(request)
            return
        self.send({"jsonrpc": "2.0", "id": request["id"], "result": result})

    def _apply(self, edit: dict[str, Any]) -> bool:
        """Apply an edit of one document; no other version than the newest is touched."""
        if "changes" in edit:
            ((uri, edits),) = edit["changes"].items()
        else:
            (change,) = edit["documentChanges"]
            uri, edits = change["textDocument"]["uri"], change["edits"]
            if change["textDocument"]["version"] != self.texts[uri][0]:
                return False
        version, text = self.texts[uri]
        lines = text.splitlines(keepends=True)
        for each in sorted(edits, key=lambda each: -each["range"]["start"]["line"]):
            start, end = each["range"]["start"], each["range"]["end"]
            rest = lines[end["line"]][end["character"] :] if end["line"] < len(lines) else ""
            lines[start["line"] : end["line"] + 1] = [
                lines[start["line"]][: start["character"]] + each["newText"] + rest
            ]
        self.texts[uri] = (version + 1, "".join(lines))
        self.replace(uri, version + 1, "".join(lines))
        return True


def at_line(line: int) -> dict[str, Any]:
    return {"start": {"line": line, "character": 0}, "end": {"line": line, "character": 0}}


def environment_with_canary(folder: Path) -> tuple[dict[str, str], Path]:
    """An environment in which every start of the sandbox leaves a file, and that file. No program is run for real: the
    sandbox needs its program a second time, inside, where this one is out of sight."""
    canary, real = folder / "canary", shutil.which("bwrap")
    program = folder / "bin" / "bwrap"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ntouch "{canary}"\nexec "{real}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}, canary


def default_server(folder: Path) -> Sequence[str]:
    """How to start the server with the embedded default and its data in the folder."""
    code = "import sys; from risk_lsp.server.app import *; sys.exit(run_stdio(ServerOptions(data_folder=sys.argv[1])))"
    return [sys.executable, "-c", code, str(folder / "data")]


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended may still be listed until somebody takes note."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of(process: int) -> set[int]:
    """All processes below one."""
    try:
        listed = Path(f"/proc/{process}/task").iterdir()
        below = {int(child) for task in listed for child in (task / "children").read_text("ascii").split()}
    except OSError:
        return set()
    return below.union(*(children_of(child) for child in below))
