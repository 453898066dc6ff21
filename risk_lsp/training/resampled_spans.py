"""Which part of a program is to be written anew: an expression, a line, or a few lines."""

from __future__ import annotations

import ast
import random
import warnings
from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

from risk_lsp.patches.lexemes import CodeLine, read_code
from risk_lsp.patches.node_spans import NodeSpans
from risk_lsp.text.spans import Span

Kind = Literal["expression", "line", "lines"]

_LONGEST_EXPRESSION = 60  # characters
_MOST_LINES = 4
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


class Hole(NamedTuple):
    """A part of a program. lines: how many lines of text it has. behind: the lexeme that follows it, "" for none."""

    kind: Kind
    span: Span
    lines: int
    behind: str


def hole_in(text: str, scored: Span, chooser: random.Random) -> Hole | None:
    """A part of the code in `scored`, its kind drawn first; None where there is none. Docstrings are no code."""
    lines = [
        line for line in read_code(text).lines if scored.start <= line.content.start and line.content.end <= scored.end
    ]
    if not lines:
        return None
    kind: Kind = chooser.choice(get_args(Kind))
    if kind == "expression":
        expressions = [span for span in _expressions(text) if scored.start <= span.start and span.end <= scored.end]
        if expressions:
            return _hole("expression", chooser.choice(expressions), text)
        kind = "line"
    if kind == "lines" and len(lines) > 1:
        return _hole("lines", _some_lines(lines, chooser), text)
    return _hole("line", chooser.choice(lines).content, text)


def end_of(hole: Hole, text: str) -> int | None:
    """Where the text that was written in a hole is over: at what stands behind an expression, or after its lines."""
    place = len(text) - len(text.lstrip())
    if hole.behind:
        places = (_place_of(hole.behind, text), text.find("\n", place))
        return min((each for each in places if each is not None and each >= 0), default=None)
    for _ in range(hole.lines):
        place = text.find("\n", place) + 1
        if not place:
            return None
    return place - 1


def _place_of(word: str, text: str) -> int | None:
    """The first place of a lexeme behind others that is not inside of brackets opened there, nor behind closed ones."""
    depth = 0
    lexemes = [lexeme for line in read_code(text).lines for lexeme in line.lexemes]
    for number, lexeme in enumerate(lexemes):
        if depth < 0 or (number and depth == 0 and lexeme.text == word):
            return lexeme.span.start
        depth += (lexeme.text in _OPENING) - (lexeme.text in _CLOSING)
    return None


def _some_lines(lines: list[CodeLine], chooser: random.Random) -> Span:
    """Two lines or more, one behind the other."""
    count = chooser.randint(2, min(_MOST_LINES, len(lines)))
    first = chooser.randrange(len(lines) - count + 1)
    return Span(lines[first].content.start, lines[first + count - 1].content.end)


def _hole(kind: Kind, span: Span, text: str) -> Hole:
    behind = "" if kind != "expression" else _first_word(text[span.end :].split("\n")[0])
    return Hole(kind, span, text.count("\n", span.start, span.end) + 1, behind)


def _first_word(rest: str) -> str:
    return next((line.words[0] for line in read_code(rest).lines), "")


def _expressions(text: str) -> list[Span]:
    """Those of a program that parses, in its order, but for long ones, docstrings, and what is inside of f-strings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a program that is not ours
        tree = ast.parse(text)
    spans = NodeSpans(text)
    found = {spans.span(node) for node in _walked(tree)}
    return sorted(span for span in found if 0 < span.end - span.start <= _LONGEST_EXPRESSION)


def _walked(node: ast.AST) -> Iterator[ast.expr]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.expr):
            yield child
        if not isinstance(child, ast.JoinedStr):
            yield from _walked(child)
