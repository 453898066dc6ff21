"""How much is written at a place of a program, and where what is being written is over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import wrap
from typing import Literal, get_args

from risk_lsp.errors import BadInput
from risk_lsp.text.document import LineIndex, Span
from risk_lsp.text.normal_form import LEXEME, STATEMENT, depth_after, width
from risk_lsp.text.structure import code_line_spans, parse_structure

# The rest of a line; a block or the lines up to a blank one; the body of a function.
Extent = Literal["line", "block", "function"]
EXTENTS: tuple[Extent, ...] = get_args(Extent)

_BLANK = re.compile(r"[ \t\f]*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_INDENTED = re.compile(r"\s*\n([ \t]*)\S")
_COMMENT_WIDTH = 80


def extent_at(text: str, place: int, language_id: str) -> Extent:
    """How much a person who writes at this place expects: a line where one was begun, else a block or a body."""
    line_start = _line_start(text, place)
    behind = _LINE_END.split(text[place:], 1)[0].strip()
    begun = text[line_start:place].strip()
    if language_id != "python":
        return "line" if begun or behind else "block"
    if behind or (begun and not begun.endswith(":")):
        return "line"
    return "function" if _is_bare_function(text[:place]) else "block"


def writing_place(text: str, line: int, language_id: str) -> tuple[Span, Extent]:
    """Where a person who names a line, from 1, wants something written: the body of a function that has none, else at
    the end of the line. BadInput for a line that is not there.
    """
    lines = LineIndex(text)
    if not 1 <= line <= lines.count:
        raise BadInput(f"there are {lines.count} lines, and none with the number {line}", "name one that is there")
    end = lines.content_end(line - 1)
    body = body_place(text, int(lines.stripped[line - 1, 0])) if language_id == "python" else None
    if body is not None:
        return body, "function"
    return Span(end, end), extent_at(text, end, language_id)


def _is_bare_function(before: str) -> bool:
    """Whether a text ends within a function that has no code yet: a header, perhaps a docstring."""
    structure = parse_structure(before + "\n", "python")
    header = next(
        (each for each in reversed(structure.statements) if each.kind == "function_definition"),
        None,
    )
    if header is None or not before[header.span.start : header.span.end].endswith(":"):
        return False
    code = code_line_spans(before, "python", structure=structure)
    return not any(span.start >= header.span.end for span in code)


_PLACEHOLDERS = frozenset({"pass", "...", "raise NotImplementedError", "raise NotImplementedError()"})


def body_place(text: str, offset: int) -> Span | None:
    """Where the body of the Python function at an offset is to be written: behind its header and docstring, in place of
    `pass`, `...` or `raise NotImplementedError`. None where there is no function, or one that has a body.
    """
    structure = parse_structure(text, "python")
    function = structure.enclosing_function(offset)
    if function is None:
        return None
    inside = (node for node in structure.statements if node.span.start >= function.span.start)
    header = next(node.span for node in inside if node.kind == "function_definition")
    end = header.end + len(text[header.end : function.span.end].rstrip())
    lines = code_line_spans(text, "python", Span(header.end, function.span.end), structure)
    code = [line for line in lines if header.end <= line.start < end]
    if _LINE_END.split(text[header.end : end], 1)[0].strip() or (
        code and "\n".join(text[slice(*line)] for line in code) not in _PLACEHOLDERS
    ):
        return None
    return Span(len(text[: code[0].start].rstrip()), code[-1].end) if code else Span(end, end)


def first_indentation(text: str, place: int) -> str:
    """What a body at a place begins with: a line end and its indentation behind a header or docstring, nothing on a
    line of its own. Small models would go on behind the docstring, or at the margin.
    """
    line = text[_line_start(text, place) : place]
    content = line.strip()
    if not content:
        return ""
    blanks = line[: len(line) - len(line.lstrip())]
    deeper = ("\t" if "\n\t" in text else "    ") if content.endswith(":") else ""
    return f"\n{blanks}{deeper}"


def hint_comment(text: str, where: Span, hint: str) -> str:
    """A hint as a comment that opens a Python body at the span `where`, with a line break before it."""
    inside = _INDENTED.match(text, where.start, where.end)
    if inside is not None:  # what is there instead of a body
        margin = inside[1]
    else:
        line = text[: where.start].rpartition("\n")[2]
        margin = line[: len(line) - len(line.lstrip())] + ("    " if line.rstrip().endswith(":") else "")
    return "".join(f"\n{margin}# {line}" for line in wrap(" ".join(hint.split()), _COMMENT_WIDTH))


def written_from(text: str, place: int) -> int:
    """Where a model should begin so that what it writes goes on at `place`: before the blanks that are there.

    Models see a blank as part of the word behind it; one at the end of what they read leads them astray.
    """
    while place > 0 and text[place - 1] in " \t":
        place -= 1
    return place


class EndOfWriting:
    """Says where a text that is written from `start` on is over, as a length; None while it goes on.

    `start` is what `written_from` says of `place`. A function or a block ends before the first line that is less
    deep, a block also before a blank line; lines within brackets and strings do not count.
    """

    def __init__(self, text: str, start: int, place: int, extent: Extent, language_id: str) -> None:
        self._extent = extent
        self._is_python = language_id == "python"
        # Brackets and strings that are open at the place began with or after this line.
        *_, origin = _statement_lines(text[:start]) if self._is_python else [_line_start(text, start)]
        self._before = text[origin:start]
        # The fewest columns that a line of the block may begin with.
        begun = self._before.rstrip()
        if begun.strip():
            self._margin = _columns(self._before) + (1 if begun.endswith(":") else 0)
            return
        lines = text[:start].rstrip()
        *_, last = _statement_lines(lines) if self._is_python else [_line_start(lines, len(lines))]
        header = text[last : len(lines)]
        is_below = extent != "line" and header.endswith(":") and self._is_python
        self._margin = _columns(header) + 1 if is_below else width(text[start:place])

    def __call__(self, written: str) -> int | None:
        if self._extent == "line":
            has_content = bool(self._before.strip())
            for line_end in _LINE_END.finditer(written):
                if has_content or written[: line_end.start()].strip():
                    return len(written[: line_end.start()].rstrip())
            return None
        whole, skipped = self._before + written, len(self._before)
        starts = (
            _statement_lines(whole) if self._is_python else [0, *(found.end() for found in _LINE_END.finditer(whole))]
        )
        for begin in starts:
            content = _BLANK.match(whole, begin)
            assert content is not None  # which nothing has to be there for
            if begin <= skipped or content.end() == len(whole):
                continue
            kept = len(whole[skipped:begin].rstrip())
            is_blank = whole[content.end()] in "\r\n"
            if is_blank and (self._extent == "function" or kept == 0):
                continue
            if is_blank or width(content[0]) < self._margin:
                return kept
        return None


def _statement_lines(text: str) -> Iterator[int]:
    """Where the lines of a Python text begin that are in no bracket and no string; the first is 0."""
    yield 0
    depth, place, joined = 0, 0, False
    while lexeme := LEXEME.match(text, place):
        place = lexeme.end()
        if lexeme.lastgroup == "newline":
            content = _BLANK.match(text, place)
            if depth and content and STATEMENT.match(text, content.end()):
                depth = 0
            if not depth and not joined:
                yield place
            joined = False
        elif lexeme.lastgroup == "code":
            depth, joined = depth_after(lexeme[0], depth), lexeme[0].endswith("\\")


def _line_start(text: str, place: int) -> int:
    return max(text.rfind("\n", 0, place), text.rfind("\r", 0, place)) + 1


def _columns(line: str) -> int:
    content = _BLANK.match(line)
    return width(content[0]) if content else 0
