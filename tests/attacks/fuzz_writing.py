"""Random typing with inline completion over real stdio: what is offered is never for an older text.

    python -m tests.attacks.fuzz_writing [--steps 4000] [--seed 0]

The scripted model says in what it writes which text it was written for, and takes a while for some. Every request has
exactly one answer; one that an edit overtook, whose answer comes after the edit was handled, has no items; and no item
was written for another text than that of its request.
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

from tests.server.lsp_client import LspClient, server_command
from tests.server.scripted_worker import NAMES_ITS_PROMPT, prompt_name

_URI = "file:///typed.py"
_WORDS = ["x", " = 1", "\n", "def f(a):\n    ", "BUG", "(", "SLOW", "😀", '"', "    "]
_AT_A_TIME = 40  # steps between two questions that have to be answered


@dataclass
class Typing:
    """A document as its person sees it, and what was asked for it."""

    chance: random.Random
    text: str = ""
    version: int = 1
    prompts: dict[int, str] = field(default_factory=dict)  # by request: the text before the cursor
    overtaken: dict[int, int] = field(default_factory=dict)  # by request: the first question sent after the next edit
    waiting: list[int] = field(default_factory=list)  # requests that no edit has overtaken yet
    offered: list[dict[str, Any]] = field(default_factory=list)
    cancelled: set[int] = field(default_factory=set)

    def edit(self, client: LspClient) -> None:
        """Type a word at the end, or take some of the end away."""
        if self.text and self.chance.random() < 0.3:
            self.text = self.text[: -self.chance.randrange(1, 1 + min(8, len(self.text)))]
        else:
            self.text += self.chance.choice(_WORDS)
        self.version += 1
        client.replace(_URI, self.version, self.text)
        overtakes = client.send_request("textDocument/hover", {"textDocument": {"uri": _URI}, "position": _end_of("")})
        self.overtaken |= dict.fromkeys(self.waiting, overtakes)
        self.waiting.clear()

    def ask(self, client: LspClient) -> None:
        """Ask what the model would write at the end; any earlier request ends with it."""
        context = {"triggerKind": self.chance.choice((1, 2))}
        document = {"textDocument": {"uri": _URI}, "position": _end_of(self.text), "context": context}
        request = client.send_request("textDocument/inlineCompletion", document)
        self.prompts[request] = self.text
        self.waiting.append(request)

    def cancel(self, client: LspClient) -> None:
        """Take some request back."""
        if self.prompts:
            request = self.chance.choice([*self.prompts])
            client.notify("$/cancelRequest", {"id": request})
            self.cancelled.add(request)

    def accept(self, client: LspClient) -> None:
        """Accept something that was offered, now or long ago, and sometimes insert it first."""
        if self.offered:
            item = self.chance.choice(self.offered[-4:])
            if self.chance.random() < 0.5:
                self.text += item["insertText"]
                self.edit(client)
            client.send_request("workspace/executeCommand", {**item["command"], "command": "riskLsp.acceptWritten"})


def _end_of(text: str) -> dict[str, int]:
    lines = text.split("\n")
    return {"line": len(lines) - 1, "character": len(lines[-1].encode("utf-16-le")) // 2}


async def fuzz_writing(steps: int, seed: int, folder: Path) -> int:
    """So many steps of one person; returns how many texts were offered. Raises AssertionError for what is wrong."""
    (folder / "writes").write_text(json.dumps([NAMES_ITS_PROMPT, f"{NAMES_ITS_PROMPT} BUG"]), encoding="utf-8")
    client = await LspClient.start(server_command(folder))
    typing = Typing(random.Random(f"{seed} typing"))
    try:
        options = {"debounce": 0.0, "inlineCompletion": True}
        await client.initialize("vscode-1.139", initializationOptions=options)
        client.open(_URI, "")
        await client.request("riskLsp/lines", {"uri": _URI})
        for step in range(steps):
            kind = typing.chance.choices((typing.edit, typing.ask, typing.cancel, typing.accept), (5, 4, 1, 1))[0]
            kind(client)
            if typing.chance.random() < 0.25:
                await asyncio.sleep(typing.chance.random() * 0.25)
            if step % _AT_A_TIME == 0:
                await client.hover(_URI, line=0)
                typing.offered = [item for answer in client.received for item in _items(answer)][-20:]
        await client.hover(_URI, line=0)
        assert await client.shut_down() == 0
        await client.kill()  # the reader ends with the stream: everything has arrived
        return _check(client, typing)
    finally:
        await client.kill()


def _items(answer: dict[str, Any]) -> list[dict[str, Any]]:
    result = answer.get("result")
    return result.get("items", []) if isinstance(result, dict) and "method" not in answer else []


def _check(client: LspClient, typing: Typing) -> int:
    answers = [message for message in client.received if "method" not in message]
    counts = Counter(answer["id"] for answer in answers)
    assert counts == dict.fromkeys(range(1, client.requests_sent + 1), 1), "not exactly one answer to each request"
    place = {answer["id"]: number for number, answer in enumerate(answers)}
    offered = 0
    for request, prompt in typing.prompts.items():
        answer = answers[place[request]]
        assert "result" in answer or request in typing.cancelled, answer["error"]
        items = _items(answer)
        offered += len(items)
        overtakes = typing.overtaken.get(request)
        late = overtakes is not None and place[request] > place[overtakes]
        assert not (late and items), f"offered for a text that was gone: {items}"
        wrong = [item["insertText"] for item in items if prompt_name(prompt) not in item["insertText"]]
        assert not wrong, f"written for another text: {wrong}"
    return offered


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        offered = asyncio.run(fuzz_writing(options.steps, options.seed, Path(folder)))
    print(f"{options.steps:,} steps, {offered:,} texts offered, none stale, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
