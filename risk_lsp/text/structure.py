"""The statements, functions and classes of a program, also of one that does not parse.

Statements are what a reader edits: simple statements, and of a compound statement the header only, up to its colon.
Clauses (`else:`, `except E:`, `case x:`) and decorators count as headers of their own. So no statement holds another.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk_lsp.text.code_points import utf8_bytes
from risk_lsp.text.python_grammar import Piece, python_pieces
from risk_lsp.text.spans import Span, stripped_line_spans


@dataclass(frozen=True)
class StructureNode:
    """A piece of a program.

    `kind` is "function", "method", "class", or for a statement the grammar's name ("return_statement", "else_clause").
    `name` is qualified ("Class.method") for functions and classes, empty for statements. The span of a function or
    class includes its decorators.
    """

    kind: str
    name: str
    span: Span


@dataclass(frozen=True)
class Structure:
    """The pieces of a program, each kind in the order of its starts, outer before inner."""

    statements: tuple[StructureNode, ...] = ()
    functions: tuple[StructureNode, ...] = ()
    classes: tuple[StructureNode, ...] = ()

    def enclosing_function(self, offset: int) -> StructureNode | None:
        """The innermost function or method whose span holds the character at the offset."""
        return _innermost(self.functions, offset)


def parse_structure(text: str, language_id: str) -> Structure:
    """The structure of a text; for languages other than Python it is empty."""
    if language_id != "python":
        return Structure()
    source = utf8_bytes(text)
    pieces = [piece for piece in python_pieces(source) if piece.start < piece.end]
    nodes = _nodes(pieces, _offset_of_bytes(source, text))

    def of(role: str) -> tuple[StructureNode, ...]:
        return tuple(node for piece, node in zip(pieces, nodes, strict=True) if piece.role == role)

    return Structure(of("statement"), of("function"), of("class"))


def statement_starts(text: str, language_id: str) -> list[int]:
    """The sorted offsets at which statements start, nested ones too: good places to cut a text.

    Clauses such as `else:` are left out. Without a grammar, or where it finds no statement, these are the starts of the
    lines that are neither blank nor indented, or of all lines that are not blank if every one is indented.
    """
    statements = parse_structure(text, language_id).statements
    starts = {node.span.start for node in statements if not node.kind.endswith("_clause")}
    return sorted(starts) if starts else _line_starts(text)


def _line_starts(text: str) -> list[int]:
    starts = [span.start for span in stripped_line_spans(text) if span.start < span.end]
    return [start for start in starts if start == 0 or text[start - 1] in "\r\n"] or starts


def _innermost(nodes: Sequence[StructureNode], offset: int) -> StructureNode | None:
    """Of nodes in the order of their starts, outer before inner, the last that holds the character at the offset."""
    for place in range(bisect_right(nodes, offset, key=lambda node: node.span.start), 0, -1):
        if nodes[place - 1].span.end > offset:
            return nodes[place - 1]
    return None


def _nodes(pieces: Sequence[Piece], offset_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> list[StructureNode]:
    """Pieces in bytes as nodes in code points."""
    ends = np.array([(piece.start, piece.end) for piece in pieces], dtype=np.int64).reshape(-1, 2)
    spans = offset_of(ends).tolist()
    return [StructureNode(piece.kind, piece.name, Span(*span)) for piece, span in zip(pieces, spans, strict=True)]


def _offset_of_bytes(source: bytes, text: str) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """The map from byte offsets into a text's UTF-8 to code-point offsets, for whole arrays."""
    if text.isascii():
        return lambda places: places
    starts_character = (np.frombuffer(source, dtype=np.uint8) & 0xC0) != 0x80
    before = np.concatenate(([0], np.cumsum(starts_character, dtype=np.int64)))
    return lambda places: before[places]
