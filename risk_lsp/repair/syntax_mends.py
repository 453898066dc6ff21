"""Mends of programs that do not parse, found with the parser alone: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from risk_lsp.patches.edits import Edit
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

_BEAM = 10
_DEPTH = 6
_CUTS = 12
_CLOSING = (")", "]", "}", '"', "'", "))", '"""', "'''")


def syntax_mends(text: str, given: int) -> Iterator[Edit]:
    """Edits behind the offset `given` after which the program parses, those of fewer steps first.

    A beam search: each step mends the place where the parser stops; texts whose error comes later go on.
    """
    beam = [(text, "")]
    if _error_line(text) is None:
        return
    seen = {text}
    for _ in range(_DEPTH):
        following: list[tuple[int, int, str, str]] = []
        for broken, _ in beam:
            for mended, operator in _steps(broken, given):
                if mended in seen or not mended.startswith(text[:given]):
                    continue
                seen.add(mended)
                line = _error_line(mended)
                if line is None:
                    yield _as_edit(text, mended, operator)
                else:
                    following.append((-line, len(following), mended, operator))
        beam = [(mended, operator) for _, _, mended, operator in sorted(following)[:_BEAM]]


def _steps(text: str, given: int) -> Iterator[tuple[str, str]]:
    lines = LineIndex(text)
    at = min(max((_error_line(text) or 1) - 1, 0), lines.count - 1)
    for number in {max(at - 1, 0), at}:
        content = Span(lines.start(number), lines.content_end(number))
        if content.start < given:
            continue
        for edit in _line_edits(text, content):
            yield edit.apply(text), edit.operator
    for first in range(at, max(at - _CUTS, 0), -1):
        if lines.start(first) >= given and text[given : lines.start(first)].strip():
            yield text[: lines.start(first)], "end cut off"


def _line_edits(text: str, content: Span) -> Iterator[Edit]:
    source = text[content.start : content.end]
    bare = source.strip()
    indentation = source[: len(source) - len(source.lstrip())]
    end = Span(content.end, content.end)
    yield Edit(content, "", "line dropped")
    yield Edit(content, f"# {source}", "line made a comment")
    for unit in ("    ", " "):
        yield Edit(Span(content.start, content.start), unit, "indentation")
    if indentation:
        for width in {1, min(4, len(indentation)), len(indentation)}:
            yield Edit(Span(content.start, content.start + width), "", "indentation")
    if bare and not bare.endswith(":"):
        yield Edit(end, ":", "colon added")
    for bracket in _CLOSING:
        yield Edit(end, bracket, "bracket closed")
        if bare.endswith(":"):
            yield Edit(Span(content.end - 1, content.end - 1), bracket, "bracket closed")
    if source.endswith((")", "]", "}", ",", "\\")):
        yield Edit(Span(content.end - 1, content.end), "", "bracket dropped")
    yield Edit(end, f"\n{indentation}    pass", "block filled")


def _error_line(text: str) -> int | None:
    """The line, from 1, where the parser stops; None for a program that parses."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        return error.lineno or 1
    except (ValueError, RecursionError, MemoryError):
        return 1
    return None


def _as_edit(before: str, after: str, operator: str) -> Edit:
    shortest = min(len(before), len(after))
    start = next((at for at in range(shortest) if before[at] != after[at]), shortest)
    common = next((at for at in range(shortest - start) if before[-1 - at] != after[-1 - at]), shortest - start)
    return Edit(Span(start, len(before) - common), after[start : len(after) - common], operator)
