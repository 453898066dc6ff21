"""An editor in a terminal, as a person sees it: a tmux window whose cells can be read back."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

PATIENCE = 300.0  # seconds; loading the model or looking for a repair takes a while on a busy machine
_ESCAPE = re.compile(r"\x1b\[([0-9;:]*)m|\x1b[^m]*?[a-zA-Z\\]")

Value = TypeVar("Value")


@dataclass(frozen=True)
class Cell:
    """One character on the screen, with its combining marks beside it in cells of their own."""

    character: str
    underlined: bool


class Terminal:
    """A tmux server of its own with one window, `size` columns and rows large, that runs `command`."""

    def __init__(
        self, tmux: Path, socket: Path, command: str, environment: Mapping[str, str], size: tuple[int, int] = (110, 30)
    ) -> None:
        self.columns, rows = size
        self._tmux = [str(tmux), "-f", "/dev/null", "-u", "-S", str(socket)]
        self._environment = dict(environment)
        self._run("new-session", "-d", "-x", str(self.columns), "-y", str(rows), command)
        self._run("set-option", "-s", "escape-time", "0")

    def press(self, *keys: str) -> None:
        """Press keys by their tmux names."""
        self._run("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self._run("send-keys", "-l", text)

    def screen(self) -> str:
        """What the screen shows, without colours."""
        return self._run("capture-pane", "-p")

    def escaped_screen(self) -> str:
        """What the screen shows, with the escape sequences of colours and attributes."""
        return self._run("capture-pane", "-e", "-p", "-N")

    def cells(self) -> list[list[Cell]]:
        """What the screen shows, by lines."""
        return [list(_cells(line)) for line in self.escaped_screen().split("\n")]

    def underlined(self) -> list[str]:
        """The underlined text of each line that has some."""
        lines = ("".join(cell.character for cell in line if cell.underlined) for line in self.cells())
        return [line for line in lines if line]

    def wait_for(self, what: str, condition: Callable[[], Value]) -> Value:
        """Wait until `condition` returns something true and return that; AssertionError with the screen if never."""
        end = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < end, f"waited in vain for {what}; the screen:\n{self.screen()}"
            time.sleep(0.05)
        return value

    def wait_for_text(self, pattern: str) -> None:
        """Wait until the screen shows something like `pattern`."""
        self.wait_for(pattern, lambda: re.search(pattern, self.screen()))

    def close(self) -> None:
        """End the editor and the tmux server."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)

    def _run(self, *arguments: str) -> str:
        command = [*self._tmux, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=self._environment)
        return done.stdout


def _cells(line: str) -> Iterator[Cell]:
    underlined = False
    place = 0
    for escape in _ESCAPE.finditer(line):
        yield from (Cell(character, underlined) for character in line[place : escape.start()])
        place = escape.end()
        if escape[1] is not None:
            underlined = _underlined_after(escape[1], underlined)
    yield from (Cell(character, underlined) for character in line[place:])


def _underlined_after(attributes: str, underlined: bool) -> bool:
    """Whether text is underlined after an SGR sequence: 4 and 4:n begin it, 24, 4:0 and 0 end it."""
    numbers = iter((attributes or "0").split(";"))
    for number in numbers:
        if number in ("38", "48", "58"):  # a colour in the old notation: its numbers are no attributes
            skipped = 1 if next(numbers, "") == "5" else 3
            for _ in range(skipped):
                next(numbers, "")
        elif number in ("0", "00", "", "24", "4:0"):
            underlined = False
        elif number == "4" or number.startswith("4:"):
            underlined = True
    return underlined
