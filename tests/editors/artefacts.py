"""Captures of editors, kept for people to look at."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.editors.terminal import Terminal

FOLDER = Path(__file__).parents[2] / ".cache/editors/artefacts"
_STYLED_UNDERLINE = re.compile(r"\x1b\[4:[1-9]m")
_UNDERLINE_COLOUR = re.compile(r"\x1b\[58[;:][\d;:]*m")
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # they would be fetched from elsewhere


def keep(terminal: Terminal, name: str, title: str = "") -> None:
    """Keep what the screen shows: NAME.ansi for a terminal, NAME.svg for a browser and READMEs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    screen = terminal.escaped_screen()
    (FOLDER / f"{name}.ansi").write_text(screen, encoding="utf-8")
    plain = _UNDERLINE_COLOUR.sub("", _STYLED_UNDERLINE.sub("\x1b[4m", screen))  # the rest is known to rich
    picture = Text.from_ansi(plain.rstrip("\n"))
    console = Console(
        record=True, width=terminal.columns, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(picture, no_wrap=True, crop=True)
    drawing = console.export_svg(title=title or name, unique_id="terminal")
    (FOLDER / f"{name}.svg").write_text(_FONTS.sub("", drawing), encoding="utf-8")
