"""Python programs as lines of code lexemes, and which line of one corresponds to which of another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from risk_lsp.text.document import Span

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


# What a line costs that has no partner, in lexemes: half of its own, so that lines pair when they share about half.
_INSERTED = 0.6
_LEVEL_COST = 0.5


class Pair(NamedTuple):
    """Line `own` of one program and line `other` of the other one; None where a line has no partner."""

    own: int | None
    other: int | None


class LineAligner:
    """Aligns programs given as (level, words) per line.

    Remembers how alike lines are, for programs of one problem share many of them.
    """

    def __init__(self) -> None:
        self._costs: dict[tuple[tuple[str, ...], tuple[str, ...]], float] = {}
        self._counters: dict[tuple[str, ...], Counter[str]] = {}

    def align(
        self, own: Sequence[tuple[int, tuple[str, ...]]], other: Sequence[tuple[int, tuple[str, ...]]]
    ) -> tuple[list[Pair], float]:
        """The cheapest alignment, in order, and its cost in lexemes."""
        head = 0
        while head < min(len(own), len(other)) and own[head] == other[head]:
            head += 1
        tail = 0
        while tail < min(len(own), len(other)) - head and own[-1 - tail] == other[-1 - tail]:
            tail += 1
        middle, cost = self._middle(own[head : len(own) - tail], other[head : len(other) - tail])
        pairs = [Pair(index, index) for index in range(head)]
        pairs += [Pair(None if a is None else a + head, None if b is None else b + head) for a, b in middle]
        pairs += [Pair(len(own) - back, len(other) - back) for back in range(tail, 0, -1)]
        return pairs, cost

    def _middle(
        self, own: Sequence[tuple[int, tuple[str, ...]]], other: Sequence[tuple[int, tuple[str, ...]]]
    ) -> tuple[list[Pair], float]:
        rows, columns = len(own), len(other)
        removed = [len(words) + 0.1 for _, words in own]
        added = [_INSERTED * len(words) + 0.5 for _, words in other]
        best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
        for row in range(rows - 1, -1, -1):
            best[row][columns] = best[row + 1][columns] + removed[row]
        for column in range(columns - 1, -1, -1):
            best[rows][column] = best[rows][column + 1] + added[column]
        paired = [[self._cost(a, b) for b in other] for a in own]
        for row in range(rows - 1, -1, -1):
            here, below, costs = best[row], best[row + 1], paired[row]
            for column in range(columns - 1, -1, -1):
                here[column] = min(
                    costs[column] + below[column + 1], removed[row] + below[column], added[column] + here[column + 1]
                )
        pairs = []
        row = column = 0
        while row < rows or column < columns:
            value = best[row][column]
            if row < rows and column < columns and value == paired[row][column] + best[row + 1][column + 1]:
                pairs.append(Pair(row, column))
                row, column = row + 1, column + 1
            elif row < rows and value == removed[row] + best[row + 1][column]:
                pairs.append(Pair(row, None))
                row += 1
            else:
                pairs.append(Pair(None, column))
                column += 1
        return pairs, best[0][0]

    def _cost(self, own: tuple[int, tuple[str, ...]], other: tuple[int, tuple[str, ...]]) -> float:
        level = _LEVEL_COST * abs(own[0] - other[0])
        if own[1] == other[1]:
            return level
        key = (own[1], other[1])
        if key not in self._costs:
            common = sum((self._counter(own[1]) & self._counter(other[1])).values())
            # A little more than what differs, so that an equal line further on is preferred over two half-equal ones.
            self._costs[key] = 1.15 * (max(len(own[1]), len(other[1])) - common) + 0.2
        return self._costs[key] + level

    def _counter(self, words: tuple[str, ...]) -> Counter[str]:
        if words not in self._counters:
            self._counters[words] = Counter(words)
        return self._counters[words]


def word_changes(own: Sequence[str], other: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """The stretches that differ: own[a:b] becomes other[c:d]."""
    matcher = SequenceMatcher(None, own, other, autojunk=False)
    return [(a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def matching_words(own: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of positions whose words are equal and correspond, in order."""
    matcher = SequenceMatcher(None, own, other, autojunk=False)
    return [(a + k, b + k) for a, b, size in matcher.get_matching_blocks() for k in range(size)]
