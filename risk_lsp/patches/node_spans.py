"""Where the nodes of a syntax tree stand in the text, in code points: `ast` counts UTF-8 bytes."""

from __future__ import annotations

import ast

from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span


class NodeSpans:
    """Spans of the nodes that `ast.parse(text)` made."""

    def __init__(self, text: str) -> None:
        self.lines = LineIndex(text)
        self._text = text
        self._ascii = text.isascii()

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """The span of a node, without any brackets around it."""
        assert node.end_lineno is not None and node.end_col_offset is not None  # ast.parse sets both
        return Span(self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset))

    def source(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node."""
        span = self.span(node)
        return self._text[span.start : span.end]

    def offset(self, line: int, column: int) -> int:
        """Code-point offset of a line (from 1) and UTF-8 column."""
        start = self.lines.start(line - 1)
        if self._ascii:
            return start + column
        content = self._text[start : self.lines.content_end(line - 1)]
        return start + len(content.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "surrogatepass"))
