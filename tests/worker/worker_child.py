"""A worker that hosts a small scorer, for the supervisor's tests; run as a program with a mode.

A text that starts with a word of `ACTIONS` makes the scorer do that; any other is counted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from risk_lsp.errors import BadInput, ModelError
from risk_lsp.risk.engine_worker import Answer, run_worker


class CharacterCounter:
    """Scores a text by its characters."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    def score(self, text: str, language_id: str, at: int, on_part: Callable[[Answer], None]) -> Answer:
        action = ACTIONS.get(text.partition(" ")[0])
        if action is not None:
            action(text.partition(" ")[2])
        codes = np.array([ord(character) for character in text], dtype=np.int32)
        header = {"length": len(text), "language": language_id, "name": self._options.get("name")}
        return header, {"codes": codes, "halves": codes.astype(np.float32) / 2}

    def answer(self, question: str, parameters: dict[str, Any], on_part: Callable[[Answer], None]) -> Answer:
        if question != "length":
            raise BadInput(f"no question {question}", "ask for a length")
        return {"length": len(parameters["text"])}, {}

    def describe(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "name": self._options.get("name")}


def be_killed(_rest: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(_rest: str) -> None:
    threading.Event().wait()


def touch_and_wait(paths: str) -> None:
    """Show that work has begun by opening one fifo for writing, and go on when another is opened for writing."""
    begun, proceed = paths.split("|")
    with open(begun, "w"):
        pass
    with open(proceed):
        pass


def print_things(_rest: str) -> None:
    print("a stray print", flush=True)
    os.write(1, b"\x00stray bytes")
    sys.stdin.read()


def print_much(_rest: str) -> None:
    for _ in range(20_000):
        print("x" * 200, file=sys.stderr)


def refuse(_rest: str) -> None:
    raise BadInput("the text is refused", "write another")


def fail(rest: str) -> None:
    raise ValueError(f"cannot read {rest} in /home/somebody/secret.py")


def leave_grandchild(fifo: str) -> None:
    """Start a process that keeps `fifo` open for writing until it is killed."""
    program = "import signal, sys; held = open(sys.argv[1], 'w'); signal.pause()"
    subprocess.Popen([sys.executable, "-c", program, fifo])


def keep_little_of_much(megabytes: str) -> None:
    """Take memory in small blocks, and free all of them but the last, which holds the heap below it."""
    blocks = [bytearray(1 << 16) for _ in range(16 * int(megabytes))]
    KEPT.append(blocks[-1])


KEPT: list[bytearray] = []
ACTIONS = {
    "keep": keep_little_of_much,
    "kill": be_killed,
    "hang": hang,
    "wait": touch_and_wait,
    "print": print_things,
    "stderr": print_much,
    "refuse": refuse,
    "fail": fail,
    "grandchild": leave_grandchild,
}


def load(options: dict[str, Any]) -> CharacterCounter:
    if options.get("refuse"):
        raise ModelError("there is no such model", "name another")
    if options.get("crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    if options.get("hold"):
        # Whoever reads this fifo sees its end when this process ends.
        os.open(options["hold"], os.O_WRONLY)
    return CharacterCounter(options)


def main(mode: str) -> int:
    if mode == "dies at start":
        return 3
    if mode == "writes garbage":
        sys.stdout.write("Hello, I am not a worker at all.\n")
        sys.stdout.flush()
        threading.Event().wait()
    return run_worker(load)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
