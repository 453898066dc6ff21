"""The programs in what a chat model answers."""

from __future__ import annotations

import re

_FENCED = re.compile(r"```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_PYTHON = ("", "py", "python", "python3")


def python_blocks(answer: str) -> list[str]:
    """The fenced blocks of an answer that may be Python; the last one need not be closed."""
    return [block for language, block in _FENCED.findall(answer) if language.lower() in _PYTHON]


def without_blocks(answer: str) -> str:
    """The words around the fenced blocks."""
    return _FENCED.sub("", answer).strip()
