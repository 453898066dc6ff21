"""The pieces of a Python program as tree-sitter sees them, its syntax tree, and where that tree's nodes stand in it."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Literal, NamedTuple

import tree_sitter_python
from tree_sitter import Language, Node, Parser, Tree

from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

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
    own_name = _name(node)
    name = f"{outer.name}.{own_name}" if outer else own_name
    is_class = node.type == "class_definition"
    scopes.append(_Scope(node.end_byte, name, is_class))
    if is_class:
        return Piece("class", "class", name, start, node.end_byte)
    kind = "method" if outer and outer.is_class else "function"
    return Piece("function", kind, name, start, node.end_byte)


def _name(node: Node) -> str:
    name = node.child_by_field_name("name")
    return name.text.decode("utf-8") if name is not None and name.text is not None else ""


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
