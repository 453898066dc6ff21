"""Python text of a wanted length, made of the project's own code."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

_ROOT = Path(__file__).parents[2] / "risk_lsp"


def program(lines: int) -> str:
    """The first `lines` lines of the project's modules, one after the other, again from the first where they end."""
    whole = [line for path in sorted(_ROOT.rglob("*.py")) for line in path.read_text("utf-8").splitlines(keepends=True)]
    return "".join(islice(cycle(whole), lines))
