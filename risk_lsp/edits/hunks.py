"""The difference between two programs as hunks that can be applied one by one to the first program's text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from risk_lsp.edits.lexemes import Code, CodeLine, LineAligner, Pair, comments_between, word_changes
from risk_lsp.text.document import Span

_LINE_COST = 6
_WORD_EDGE = re.compile(r"\w\w")
_OPERATOR_EDGE = re.compile(r"[-+*/%<>=!&|^:@.]{2}")


class Hunk(NamedTuple):
    """Replace `span` of a program by `replacement`.

    marked: what the hunk touches, as spans of the program; for an insertion one character of what stands next to it.
    removed, added: numbers of lexemes. line: hunks of one line share a number; whole lines have one of their own.
    touches: the line of the program, from 0, that holds the marks.
    """

    span: Span
    replacement: str
    order: int
    marked: tuple[Span, ...]
    removed: int
    added: int
    line: int
    touches: int


class Size(NamedTuple):
    """How large a patch is; the smaller one wins. A line that is touched counts as much as some lexemes.

    changed: lexemes removed or added. lines: lines of the program that are touched; an insertion touches the next one.
    """

    cost: int
    changed: int
    lines: int


def apply_hunks(text: str, hunks: Iterable[Hunk]) -> str:
    """The program with hunks applied; they must not overlap. Names and operators do not run together at the seams."""
    pieces: list[str] = []
    end = 0
    for hunk in sorted(hunks, key=lambda hunk: (hunk.span, hunk.order)):
        pieces += [text[end : hunk.span.start], hunk.replacement]
        end = hunk.span.end
    pieces.append(text[end:])
    return _join_pieces(piece for piece in pieces if piece)


def size_of(hunks: Sequence[Hunk]) -> Size:
    """The size of a patch."""
    changed = sum(hunk.removed + hunk.added for hunk in hunks)
    lines = len({hunk.touches for hunk in _marking(hunks)})
    return Size(changed + _LINE_COST * lines, changed, lines)


def edited_spans(hunks: Sequence[Hunk]) -> list[Span]:
    """What a patch touches, in order; spans that overlap are one."""
    union: list[Span] = []
    for span in sorted(span for hunk in _marking(hunks) for span in hunk.marked):
        if union and span.start < union[-1].end:
            union[-1] = Span(union[-1].start, max(union[-1].end, span.end))
        else:
            union.append(span)
    return union


def _marking(hunks: Sequence[Hunk]) -> list[Hunk]:
    """The hunks without those that only add lines next to a changed line: there one line is replaced by several."""
    changed = {hunk.touches for hunk in hunks if hunk.line >= 0}
    return [hunk for hunk in hunks if hunk.line >= 0 or not {hunk.touches, hunk.touches - 1} & changed]


class Difference:
    """Makes hunks that turn one program's code into another's. Nothing in front of `given` is touched."""

    def __init__(self, own: Code, other: Code, given: int, aligner: LineAligner) -> None:
        self._own = own
        self._other = other
        self._first = next(
            (index for index, line in enumerate(own.lines) if line.content.start >= given), len(own.lines)
        )
        pairs, self.cost = aligner.align(
            [(line.level, line.words) for line in own.lines], [(line.level, line.words) for line in other.lines]
        )
        self._pairs = pairs

    def hunks(self) -> list[Hunk]:
        """The hunks in the order of the program's text; none where there is nothing of the model's to hold a mark."""
        if self._first == len(self._own.lines):
            return []
        found: list[Hunk] = []
        for number, pair in enumerate(self._pairs):
            if pair.own is None and pair.other is not None:
                line = self._other.lines[pair.other]
                following = next((later.own for later in self._pairs[number + 1 :] if later.own is not None), None)
                if following is not None and following < self._first:
                    # In front of what the model was given nothing may change: an import works further down as well,
                    # and so does a definition, with all that it holds.
                    is_import = line.level == 0 and line.words[0] in ("import", "from")
                    level = self._own.lines[self._first].level if is_import else line.level
                    found.append(self._insert_line(line, number, self._first if is_import else None, level))
                else:
                    found.append(self._insert_line(line, number, following, line.level))
            elif pair.own is not None and pair.own >= self._first:
                found += self._change_line(pair, number)
        return sorted(found, key=lambda hunk: (hunk.span, hunk.order))

    def _insert_line(self, line: CodeLine, number: int, before: int | None, level: int) -> Hunk:
        content = self._own.indentation(level) + _without_comments(self._other.text, line.content)
        added = len(line.lexemes)
        if before is None:
            last = self._own.lines[-1]
            text = self._own.text
            line_ends = (text.find("\n", last.content.end), text.find("\r", last.content.end))
            end = min((offset for offset in line_ends if offset >= 0), default=len(text))
            order = len(self._pairs) + number  # behind what changes at the end of the last line
            marked = (_first_character(last),)
            return Hunk(Span(end, end), f"\n{content}", order, marked, 0, added, -1 - number, len(self._own.lines) - 1)
        following = self._own.lines[before]
        place = Span(following.start, following.start)
        separator = "; " if self._own.text[: following.start].rstrip(" \t").endswith(";") else "\n"
        return Hunk(place, content + separator, number, (_first_character(following),), 0, added, -1 - number, before)

    def _change_line(self, pair: Pair, number: int) -> Iterator[Hunk]:
        assert pair.own is not None
        line = self._own.lines[pair.own]
        if pair.other is None:
            removed = Span(line.start, line.content.end)
            marked = tuple(lexeme.span for lexeme in line.lexemes)
            yield Hunk(removed, "", number, marked, len(marked), 0, number, pair.own)
            return
        other = self._other.lines[pair.other]
        if line.level != other.level:
            indentation = Span(line.start, line.content.start)
            replacement = self._own.indentation(other.level)
            yield Hunk(indentation, replacement, number, (_first_character(line),), 0, 1, number, pair.own)
        for a, b, c, d in word_changes(line.words, other.words):
            yield self._words(line, other, Span(a, b), Span(c, d), number)._replace(touches=pair.own)

    def _words(self, line: CodeLine, other: CodeLine, own: Span, new: Span, number: int) -> Hunk:
        own_words, new_words = line.lexemes[own.start : own.end], other.lexemes[new.start : new.end]
        added = ""
        if new_words:
            added = _without_comments(self._other.text, Span(new_words[0].span.start, new_words[-1].span.end))
        if own_words and new_words:
            place = Span(own_words[0].span.start, own_words[-1].span.end)
        elif own_words:
            # The white space on one side of what goes is removed, too.
            if own.end < len(line.lexemes):
                place = Span(own_words[0].span.start, line.lexemes[own.end].span.start)
            else:
                start = line.lexemes[own.start - 1].span.end if own.start else own_words[0].span.start
                place = Span(start, own_words[-1].span.end)
        elif own.start < len(line.lexemes):
            start = line.lexemes[own.start].span.start
            place = Span(start, start)
            added += self._gap(other, new.end)
        else:
            end = line.content.end
            place = Span(end, end)
            added = self._gap(other, new.start) + added
        # Where something is missing, one character: of what follows, or at the end of a line of what was last in it.
        marked: tuple[Span, ...] = (Span(line.content.end - 1, line.content.end),)
        if own_words:
            marked = tuple(lexeme.span for lexeme in own_words)
        elif own.start < len(line.lexemes):
            marked = (Span(place.start, place.start + 1),)
        return Hunk(place, added, number, marked, len(own_words), len(new_words), number, 0)

    def _gap(self, line: CodeLine, index: int) -> str:
        """The white space in front of a lexeme of the other program."""
        if not 0 < index < len(line.lexemes):
            return ""
        gap = self._other.text[line.lexemes[index - 1].span.end : line.lexemes[index].span.start]
        return gap if not gap.strip() and "\n" not in gap else " "


def _first_character(line: CodeLine) -> Span:
    return Span(line.content.start, line.content.start + 1)


def _without_comments(text: str, span: Span) -> str:
    """A stretch of code; a comment in it, between the lines of a bracket, is left out."""
    pieces = []
    end = span.start
    for comment in comments_between(text, span):
        pieces.append(text[end : comment.start])
        end = comment.end
    return "".join([*pieces, text[end : span.end]])


def _join_pieces(pieces: Iterable[str]) -> str:
    text: list[str] = []
    last = ""
    for piece in pieces:
        edge = last[-1:] + piece[:1]
        if _WORD_EDGE.fullmatch(edge) or _OPERATOR_EDGE.fullmatch(edge):
            text.append(" ")
        text.append(piece)
        last = piece
    return "".join(text)
