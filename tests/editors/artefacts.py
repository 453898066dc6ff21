"""Captures of editors, kept for people to look at."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.editors.terminal import Terminal

FOLDER = Path(__file__).parents[2] / ".cache/editors/artefacts"


def keep(terminal: Terminal, name: str) -> None:
    """Keep what the screen shows: NAME.ansi for a terminal, NAME.svg for a browser."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    screen = terminal.escaped_screen()
    (FOLDER / f"{name}.ansi").write_text(screen)
    picture = Text.from_ansi(screen.rstrip("\n"))
    console = Console(
        record=True, width=terminal.columns, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(picture, no_wrap=True, crop=True)
    console.save_svg(str(FOLDER / f"{name}.svg"), title=name)
