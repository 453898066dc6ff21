"""Statements, functions and classes of a program, its lines of code, and the parts that are read by themselves."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from risk_lsp.text.lines import LineIndex
from risk_lsp.text.positions import utf8_bytes
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
        for place in range(bisect_right(self.functions, offset, key=lambda node: node.span.start), 0, -1):
            if self.functions[place - 1].span.end > offset:
                return self.functions[place - 1]
        return None


def parse_structure(text: str, language_id: str) -> Structure:
    """The structure of a text; for languages other than Python it is empty."""
    if language_id != "python":
        return Structure()
    source = utf8_bytes(text)
    pieces = [piece for piece in python_pieces(source) if piece.start < piece.end]
    nodes = _nodes(text, pieces, _offset_of_bytes(source, text))

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


def _nodes(
    text: str, pieces: Sequence[Piece], offset_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> list[StructureNode]:
    """Pieces in bytes as nodes in code points."""
    ends = np.array([(piece.start, piece.end) for piece in pieces], dtype=np.int64).reshape(-1, 2)
    nodes: list[StructureNode] = []
    for piece, (start, end) in zip(pieces, offset_of(ends).tolist(), strict=True):
        while end > start and text[end - 1] == "\r":  # which the grammar takes for the end of a comment
            end -= 1
        nodes.append(StructureNode(piece.kind, piece.name, Span(start, end)))
    return nodes


def _offset_of_bytes(source: bytes, text: str) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """The map from byte offsets into a text's UTF-8 to code-point offsets, for whole arrays."""
    if text.isascii():
        return lambda places: places
    starts_character = (np.frombuffer(source, dtype=np.uint8) & 0xC0) != 0x80
    before = np.concatenate(([0], np.cumsum(starts_character, dtype=np.int64)))
    return lambda places: before[places]


_STRING_ALONE = re.compile(r"""[rRuU]?(\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""", re.DOTALL)


def code_line_spans(
    text: str, language_id: str, within: Span | None = None, structure: Structure | None = None
) -> list[Span]:
    """The stripped spans of the lines that hold code, in order; only lines that start inside `within`, if it is given.

    A docstring is a statement that is nothing but a string. In a language without a grammar every line that is not
    blank counts, for comments cannot be told. `structure` is the text's, if it is known already.
    """
    lines = [span for span in stripped_line_spans(text) if span.start < span.end]
    if within is not None:
        lines = [span for span in lines if within.start <= span.start < within.end]
    if language_id != "python":
        return lines
    statements = (structure or parse_structure(text, language_id)).statements
    docstrings = [node.span for node in statements if _STRING_ALONE.fullmatch(text, *node.span)]
    return [line for line in lines if text[line.start] != "#" and not _inside_any(line, docstrings)]


def _inside_any(line: Span, spans: list[Span]) -> bool:
    """Whether one of the spans, which are in order and do not overlap, holds the line."""
    place = bisect_right(spans, line.start, key=lambda span: span.start) - 1
    return place >= 0 and line.end <= spans[place].end


# Lines, with the empty one behind a last line break; a text of at most so many is one part. docs/probe-attempts.md says
# what that was chosen by.
WHOLE = 50
LEAST = 20  # lines of a piece of what stands between functions
_BLANK_OR_GOES_ON = re.compile(r"[^\S\r\n]*(?:\r|\n|\Z)|[)\]}]|(?:else|elif|except|finally)\b")
_FUNCTION = re.compile(r"(?:async[ \t]+)?def\b")
_CLASS = re.compile(r"class\b")
_INDENTATION = re.compile(r"[ \t]*")


def sections(text: str) -> list[Span]:
    """The parts that a text is read in, in order and without gaps; each begins where a line does."""
    if len(LineIndex(text).starts) <= WHOLE:
        return [Span(0, len(text))]
    return function_parts(text)


def function_parts(text: str) -> list[Span]:
    """The functions of a text, however short it is, and what stands between them, in order and without gaps."""
    cutter = _Cutter()
    starts = LineIndex(text).starts.tolist()
    cuts = [start for line, start in enumerate(starts) if cutter.begins_part(text, line, start)]
    bounds = [0, *(cut for cut in cuts if cut > 0), len(text)]
    return [Span(start, end) for start, end in pairwise(bounds)]


class _Cutter:
    """Told one line after the other, says with which a part begins."""

    def __init__(self) -> None:
        self._inside = ""  # what the last line at the margin began: "function", "class", or "" for anything else
        self._decorated: int | None = None  # how far in the last decorator stands that nothing has followed yet
        self._methods = 0  # of the class, so far
        self._method_margin = 0
        self._first = 0  # line of the part

    def begins_part(self, text: str, line: int, start: int) -> bool:
        """Whether a part begins with that line, which begins with the character `start`."""
        if _BLANK_OR_GOES_ON.match(text, start):
            return False
        begins = self._at_margin(text, line, start) if not text[start].isspace() else self._within(text, start)
        if begins:
            self._first = line
        return begins

    def _at_margin(self, text: str, line: int, start: int) -> bool:
        kind = "function" if _FUNCTION.match(text, start) else "class" if _CLASS.match(text, start) else ""
        before, decorated = self._inside, self._decorated is not None
        is_decorator = text[start] == "@"
        self._inside, self._methods, self._method_margin = kind, 0, 0
        self._decorated = 0 if is_decorator else None
        if decorated:
            return False
        return bool(before or kind or is_decorator) or line - self._first >= LEAST

    def _within(self, text: str, start: int) -> bool:
        if self._inside != "class":
            return False
        margin = _INDENTATION.match(text, start).end() - start  # type: ignore[union-attr]  # it matches always
        is_decorator, is_method = text.startswith("@", start + margin), _FUNCTION.match(text, start + margin)
        if not (is_decorator or is_method) or (self._method_margin and margin != self._method_margin):
            return False
        self._method_margin = margin
        decorated, self._decorated = self._decorated is not None, 0 if is_decorator else None
        if decorated:
            return False
        self._methods += 1
        return self._methods > 1
