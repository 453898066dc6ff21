"""Statements, functions and classes of a program, its lines of code, and the parts that a long one is read in."""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import tree_sitter_python
from numpy.typing import NDArray
from tree_sitter import Language, Node, Parser, Tree

from risk_lsp.text.document import LineIndex, Span, stripped_line_spans, utf8_bytes

_LANGUAGE = Language(tree_sitter_python.language())

_CLAUSES = frozenset({"elif_clause", "else_clause", "except_clause", "finally_clause", "case_clause"})
_COMPOUND_STATEMENTS = frozenset(
    {"if_statement", "for_statement", "while_statement", "try_statement", "with_statement", "match_statement"}
)
_DEFINITIONS = frozenset({"function_definition", "class_definition"})
_WITH_HEADER = _CLAUSES | _COMPOUND_STATEMENTS | _DEFINITIONS
_HOLDS_STATEMENTS = _WITH_HEADER | {"module", "block", "decorated_definition"}

_LONE_RETURN = re.compile(rb"\r(?!\n)")


class Piece(NamedTuple):
    """A statement, a header, a function or a class at the bytes [start, end); `name` is empty for the first two."""

    role: Literal["statement", "function", "class"]
    kind: str
    name: str
    start: int
    end: int


class _Scope(NamedTuple):
    end: int
    name: str
    is_class: bool


def python_pieces(source: bytes) -> Iterator[Piece]:
    """The pieces of a program in UTF-8, outer before inner; where it does not parse, those that can be made out."""
    # The grammar does not end lines at a lone return; the replacement is as wide.
    tree = Parser(_LANGUAGE).parse(_LONE_RETURN.sub(b"\n", source))
    decorators_start: dict[int, int] = {}
    scopes: list[_Scope] = []
    for node in _outline(tree):
        kind = node.type
        if kind == "decorated_definition":
            definition = node.child_by_field_name("definition")
            if definition is not None:
                decorators_start[definition.id] = node.start_byte
        elif kind in _DEFINITIONS:
            yield Piece("statement", kind, "", node.start_byte, _header_end(node))
            yield _definition(node, decorators_start.get(node.id, node.start_byte), scopes)
        elif kind in _WITH_HEADER:
            yield Piece("statement", kind, "", node.start_byte, _header_end(node))
        elif kind == "decorator" or kind.endswith("_statement"):
            yield Piece("statement", kind, "", node.start_byte, node.end_byte)


def _outline(tree: Tree) -> Iterator[Node]:
    """The nodes of a tree that can be or hold statements, in pre-order; errors may hold anything and are searched."""
    cursor = tree.walk()
    while True:
        node = cursor.node
        assert node is not None
        if node.is_named:
            yield node
            if (node.type in _HOLDS_STATEMENTS or node.has_error) and cursor.goto_first_child():
                continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _definition(node: Node, start: int, scopes: list[_Scope]) -> Piece:
    """The function or class at a node; `scopes`, the ones around the node before it, become those around its body."""
    while scopes and scopes[-1].end <= node.start_byte:
        scopes.pop()
    outer = scopes[-1] if scopes else None
    named = node.child_by_field_name("name")
    own_name = named.text.decode("utf-8") if named is not None and named.text is not None else ""
    name = f"{outer.name}.{own_name}" if outer else own_name
    is_class = node.type == "class_definition"
    scopes.append(_Scope(node.end_byte, name, is_class))
    if is_class:
        return Piece("class", "class", name, start, node.end_byte)
    kind = "method" if outer and outer.is_class else "function"
    return Piece("function", kind, name, start, node.end_byte)


def _header_end(node: Node) -> int:
    """The byte after a header's colon; the end of the node should error recovery have made one without."""
    return next((child.end_byte for child in node.children if child.type == ":"), node.end_byte)


def syntax_tree(program: str) -> ast.Module | None:
    """What `ast.parse` makes of a program, without its warnings; None for one that Python cannot parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the program's own, such as for invalid escapes
            return ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def parses(program: str) -> bool:
    """Whether Python can parse a program."""
    return syntax_tree(program) is not None


class NodeSpans:
    """Spans of the nodes that `ast.parse(text)` made."""

    def __init__(self, text: str) -> None:
        self.lines = LineIndex(text)
        self.text = text
        self._ascii = text.isascii()

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """The span of a node, without any brackets around it."""
        assert node.end_lineno is not None and node.end_col_offset is not None  # ast.parse sets both
        return Span(self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset))

    def source(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node."""
        span = self.span(node)
        return self.text[span.start : span.end]

    def offset(self, line: int, column: int) -> int:
        """Code-point offset of a line (from 1) and UTF-8 column."""
        start = self.lines.start(line - 1)
        if self._ascii:
            return start + column
        content = self.text[start : self.lines.content_end(line - 1)]
        return start + len(content.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "surrogatepass"))


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
    if starts:
        return sorted(starts)
    lines = [span.start for span in stripped_line_spans(text) if span.start < span.end]
    return [start for start in lines if start == 0 or text[start - 1] in "\r\n"] or lines


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
    code = []
    for line in lines:
        # Docstrings are in order and do not overlap.
        place = bisect_right(docstrings, line.start, key=lambda span: span.start) - 1
        is_documentation = place >= 0 and line.end <= docstrings[place].end
        if text[line.start] != "#" and not is_documentation:
            code.append(line)
    return code


def is_python_comment(text: str, offset: int) -> bool:
    """Whether the character at an offset belongs to a comment."""
    source = text.encode("utf-8", "surrogatepass")
    place = len(text[:offset].encode("utf-8", "surrogatepass"))
    node = Parser(_LANGUAGE).parse(source).root_node.descendant_for_byte_range(place, place + 1)
    return node is not None and node.type == "comment"


# Lines, with the empty one behind a last line break; a text of at most so many is one part. docs/probe-attempts.md says
# what that was chosen by.
WHOLE_LINES = 50
LEAST_LINES = 20  # lines of a piece of what stands between functions
_BLANK_OR_GOES_ON = re.compile(r"[^\S\r\n]*(?:\r|\n|\Z)|[)\]}]|(?:else|elif|except|finally)\b")
_FUNCTION = re.compile(r"(?:async[ \t]+)?def\b")
_CLASS = re.compile(r"class\b")
_INDENTATION = re.compile(r"[ \t]*")


def sections(text: str) -> list[Span]:
    """The parts that a text is read in, in order and without gaps; each begins where a line does."""
    if len(LineIndex(text).starts) <= WHOLE_LINES:
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
        self._decorated = False  # whether nothing has followed the last decorator yet
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
        before, decorated, is_decorator = self._inside, self._decorated, text[start] == "@"
        self._inside, self._methods, self._method_margin, self._decorated = kind, 0, 0, is_decorator
        if decorated:
            return False
        return bool(before or kind or is_decorator) or line - self._first >= LEAST_LINES

    def _within(self, text: str, start: int) -> bool:
        if self._inside != "class":
            return False
        margin = _INDENTATION.match(text, start).end() - start  # type: ignore[union-attr]  # it matches always
        is_decorator, is_method = text.startswith("@", start + margin), _FUNCTION.match(text, start + margin)
        if not (is_decorator or is_method) or (self._method_margin and margin != self._method_margin):
            return False
        self._method_margin = margin
        decorated, self._decorated = self._decorated, is_decorator
        if decorated:
            return False
        self._methods += 1
        return self._methods > 1
