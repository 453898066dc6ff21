"""What IPython adds to Python: magics (`%matplotlib inline`), shell escapes (`!pip install x`) and help (`?len`)."""

from __future__ import annotations

import re

# At the start of a line. `% b` and `!= b` continue an expression, and an IPython user writes no magic like that.
_SPECIAL = re.compile(r"(?<![^\r\n])[ \t]*(?=%{1,2}[A-Za-z_]|!(?!=)|\?)")
_CELL_MAGIC = re.compile(r"\s*%%(\w+)")
_TAKE_PYTHON = frozenset({"capture", "debug", "memit", "mprun", "prun", "python", "python3", "time", "timeit"})


def is_python_cell(text: str) -> bool:
    """Whether a code cell holds Python, and is not handed to another language as a whole (`%%bash`, `%%writefile`)."""
    magic = _CELL_MAGIC.match(text)
    return magic is None or magic[1] in _TAKE_PYTHON


def without_magics(text: str) -> str:
    """The text with every line that is no Python made a comment, by changing one ASCII character to another.

    Magics in the middle of a line (`files = !ls`) stay: readers have to bear with text that does not parse anyway.
    """
    places = [found.end() for found in _SPECIAL.finditer(text)]
    if not places:
        return text
    characters = list(text)
    for place in places:
        characters[place] = "#"
    return "".join(characters)
