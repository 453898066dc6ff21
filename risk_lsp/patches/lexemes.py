"""Python programs as lines of code lexemes: what a patch may touch. Works for programs that do not parse, too."""

from __future__ import annotations

import re
from typing import NamedTuple

from risk_lsp.text.spans import Span

_LEXEME = re.compile(
    r"""
    (?P<comment>\#[^\r\n]*)
  | (?P<string>(?:[rRbBuUfF]{1,2})?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}
      |"(?:\\(?:\r\n|.)|[^"\\\r\n])*"|'(?:\\(?:\r\n|.)|[^'\\\r\n])*'))
  | (?P<number>(?:0[xXoObB][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)[jJ]?)
  | (?P<name>[^\W\d]\w*)
  | (?P<joined>\\(?:\r\n|\r|\n))
  | (?P<operator>\*\*=|//=|>>=|<<=|\.\.\.|->|:=|\*\*|//|>>|<<|[<>=!+\-*/%&|^@]=|[^\s\w])
  | (?P<newline>\r\n|\r|\n)
  | (?P<space>\s)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


class Lexeme(NamedTuple):
    """A name, number, string or operator. `kind` is one of those words."""

    text: str
    kind: str
    span: Span


class CodeLine(NamedTuple):
    """One logical line of code without comments: its lexemes, at least one.

    level: how many blocks it is in. start: offset of its indentation, which ends at the first lexeme.
    """

    level: int
    start: int
    lexemes: tuple[Lexeme, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The texts of the lexemes."""
        return tuple(lexeme.text for lexeme in self.lexemes)

    @property
    def content(self) -> Span:
        """From the first lexeme to the last."""
        return Span(self.lexemes[0].span.start, self.lexemes[-1].span.end)


class Code(NamedTuple):
    """A program's text, its lines of code, and the indentation that it uses for each level."""

    text: str
    lines: tuple[CodeLine, ...]
    indentations: tuple[str, ...]

    def indentation(self, level: int) -> str:
        """The white space in front of a line of this level."""
        if level < len(self.indentations):
            return self.indentations[level]
        unit = self.indentations[1] if len(self.indentations) > 1 else "    "
        return self.indentations[-1] + unit * (level - len(self.indentations) + 1)


def read_code(text: str) -> Code:
    """The lines of code of a program. Strings that stand alone, such as docstrings, are no code."""
    groups = [group for group in _logical_lines(text) if not all(lexeme.kind == "string" for lexeme in group)]
    open_blocks: list[int] = []
    indentations: dict[int, str] = {0: ""}
    lines = []
    for group in groups:
        first = group[0].span.start
        start = max(text.rfind("\n", 0, first), text.rfind("\r", 0, first)) + 1
        indentation = text[start:first]
        if indentation.strip():  # after a semicolon or a stray character: not at the start of its line
            start, indentation = first, ""
        width = len(indentation.expandtabs(8))
        while open_blocks and open_blocks[-1] >= width:
            open_blocks.pop()
        level = len(open_blocks)
        open_blocks.append(width)
        indentations.setdefault(level, indentation)
        lines.append(CodeLine(level, start, tuple(group)))
    return Code(text, tuple(lines), tuple(indentations[level] for level in range(len(indentations))))


def comments_between(text: str, span: Span) -> list[Span]:
    """The comments in a stretch of code that starts and ends outside of strings."""
    found = _LEXEME.finditer(text, span.start, span.end)
    return [Span(*match.span()) for match in found if match.lastgroup == "comment"]


def _logical_lines(text: str) -> list[list[Lexeme]]:
    lines: list[list[Lexeme]] = []
    current: list[Lexeme] = []
    depth = 0
    for found in _LEXEME.finditer(text):
        kind = str(found.lastgroup)
        if kind == "newline" and depth == 0 and current:
            lines.append(current)
            current = []
        if kind in ("comment", "newline", "joined", "space"):
            continue
        word = found.group()
        current.append(Lexeme(word, kind, Span(*found.span())))
        depth = max(0, depth + (word in _OPENING) - (word in _CLOSING))
    return [*lines, current] if current else lines
