"""Whether a place in a Python program is in a comment, however broken the program is."""

from __future__ import annotations

import tree_sitter_python
from tree_sitter import Language, Parser

_LANGUAGE = Language(tree_sitter_python.language())


def is_python_comment(text: str, offset: int) -> bool:
    """Whether the character at an offset belongs to a comment."""
    source = text.encode("utf-8", "surrogatepass")
    place = len(text[:offset].encode("utf-8", "surrogatepass"))
    node = Parser(_LANGUAGE).parse(source).root_node.descendant_for_byte_range(place, place + 1)
    return node is not None and node.type == "comment"
