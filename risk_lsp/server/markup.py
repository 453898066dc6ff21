"""Text for a hover, in markdown or without."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# Signs of lists, headings and quotations matter at the start of a line only; some clients show needless escapes.
_SPECIAL = re.compile(r"([\\`*_\[\]<|~])|(?m:^(\s*)([#+\->]))")


@dataclass(frozen=True)
class Markup:
    """How to write prose, what stands out, code, and a paragraph break."""

    is_markdown: bool
    text: Callable[[str], str]
    bold: Callable[[str], str]
    code: Callable[[str], str]


def _markdown_text(text: str) -> str:
    return _SPECIAL.sub(lambda found: found[2] + "\\" + found[3] if found[3] else "\\" + found[1], text)


def _markdown_code(code: str) -> str:
    """A code span with a fence longer than any run of backticks in the code."""
    fence = "`" * (max((len(run) for run in re.findall("`+", code)), default=0) + 1)
    padding = " " if code.startswith("`") or code.endswith("`") else ""
    return f"{fence}{padding}{code}{padding}{fence}"


MARKDOWN = Markup(True, _markdown_text, lambda text: f"**{_markdown_text(text)}**", _markdown_code)
PLAIN_TEXT = Markup(False, str, str, str)
