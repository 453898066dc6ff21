"""Captures of editors, kept for people to look at."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tests.editors.terminal import Terminal

FOLDER = Path(__file__).parents[2] / ".cache/editors/artefacts"
_STYLED_UNDERLINE = re.compile(r"(\x1b\[(?:\d+;)*)4:[1-9](?=[;m])")
_UNDERLINE_COLOUR = re.compile(r"\x1b\[58[;:][\d;:]*m")
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # they would be fetched from elsewhere
_TEXT = re.compile(r'textLength="([\d.]+)"([^>]*)>([^<]*)</text>')


def keep(terminal: Terminal, name: str, title: str = "") -> None:
    """Keep what the screen shows: NAME.ansi for a terminal, NAME.svg for a browser and READMEs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    screen = terminal.escaped_screen()
    (FOLDER / f"{name}.ansi").write_text(screen, encoding="utf-8")
    (FOLDER / f"{name}.svg").write_text(drawing(screen, terminal.columns, title or name), encoding="utf-8")


def drawing(screen: str, columns: int, title: str) -> str:
    """A screen with its escape sequences as SVG."""
    plain = _UNDERLINE_COLOUR.sub("", _STYLED_UNDERLINE.sub(r"\g<1>4", screen))  # the rest is known to rich
    picture = Text.from_ansi(plain.rstrip("\n"))
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(picture, no_wrap=True, crop=True)
    return _TEXT.sub(_as_wide_as_its_cells, _FONTS.sub("", console.export_svg(title=title, unique_id="terminal")))


def _as_wide_as_its_cells(found: re.Match[str]) -> str:
    """rich draws each character as wide as any other, also those that take two cells or none."""
    length, rest, shown = found.groups()
    text = html.unescape(shown)
    return f'textLength="{float(length) / len(text) * cell_len(text):.5g}"{rest}>{shown}</text>'
