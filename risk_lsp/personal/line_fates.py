"""What became of accepted lines: kept, edited in substance or deleted. Layout, renames and moves are no edits."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from enum import Enum
from keyword import iskeyword
from typing import NamedTuple

from risk_lsp.edits.lexemes import LineAligner, Pair, read_code, word_changes
from risk_lsp.text.document import LineIndex

_PAIRS_AT_MOST = 60_000  # old times new statements that are aligned; of larger texts, equal statements are found
_FEWEST_WORDS_MOVED = 4  # a shorter statement may stand anywhere by chance
_STRING = re.compile(r"(?s)([A-Za-z]*)(\"\"\"|'''|\"|')(.*)\2")
_NAME = re.compile(r"[^\W\d]\w*")
# A bracket behind one of these that closes at the end of its statement is there for the layout alone.
_BEFORE_LAYOUT = frozenset({"=", "return", "in", "if", "elif", "while", "assert", "yield", "not", ":=", "await"})


class Fate(str, Enum):
    """What became of a line. A deleted one counts as edited."""

    KEPT = "k"
    EDITED = "e"
    DELETED = "d"


class Statement(NamedTuple):
    """One logical line: how many blocks it is in, its words without what formatters decide, and the line of each."""

    level: int
    words: tuple[str, ...]
    rows: tuple[int, ...]


def statements_of(text: str, language_id: str) -> list[Statement]:
    """The statements of a text without its comments; in a language other than Python, its lines that are not blank."""
    if language_id != "python":
        plain = [tuple(re.findall(r"\w+|[^\w\s]", line)) for line in text.splitlines()]
        return [Statement(0, each, (row,) * len(each)) for row, each in enumerate(plain) if each]
    lines, found = LineIndex(text), []
    for line in read_code(text).lines:
        layout = _layout_of(line.words)
        kept = [lexeme for index, lexeme in enumerate(line.lexemes) if index not in layout]
        words = []
        for lexeme in kept:
            string = _STRING.fullmatch(lexeme.text) if lexeme.kind == "string" else None
            if string is None:
                words.append(lexeme.text)
            else:  # without its kind of quotes
                prefix, _, content = string.groups()
                words.append(f'{prefix.lower()}"' + content.replace("\\'", "'").replace('\\"', '"'))
        rows = tuple(lines.line_of(lexeme.span.start) for lexeme in kept)
        found.append(Statement(line.level, tuple(words), rows))
    return found


def fates_of(
    accepted: Sequence[Statement], now: Sequence[Statement], elsewhere: Sequence[Statement]
) -> dict[int, Fate]:
    """The fate of each line that holds a word of an accepted statement.

    now: the statements where the accepted ones stood. elsewhere: others that are open, where they may have moved to.
    A statement is edited if a word of it changed, or its depth in blocks without a header that came or went. A name
    that became another one everywhere, which was not there before, was renamed. The lines of a statement that changed
    are those whose words did.
    """
    pairs = _align(accepted, now)
    renamed = _renames(accepted, now, pairs)
    matched = [(pair.own, pair.other) for pair in pairs if pair.own is not None and pair.other is not None]
    gone = [pair.own for pair in pairs if pair.own is not None and pair.other is None]
    new = [now[pair.other] for pair in pairs if pair.own is None and pair.other is not None]
    fates = {row: Fate.KEPT for statement in accepted for row in statement.rows}
    for own, other in matched:
        before, after = accepted[own], now[other].words
        for start, end, *_ in word_changes(tuple(renamed.get(word, word) for word in before.words), after):
            rows = before.rows[start:end] or before.rows[max(start - 1, 0) : max(start, 1)]
            fates.update(dict.fromkeys(rows, Fate.EDITED))
    for own in _reindented_places(accepted, now, pairs):
        fates.update(dict.fromkeys(accepted[own].rows, Fate.EDITED))
    places = Counter(statement.words for statement in (*new, *elsewhere))
    for own in gone:
        words = tuple(renamed.get(word, word) for word in accepted[own].words)
        found = next((each for each in (words, accepted[own].words) if places[each] > 0), None)
        if found is not None and len(found) >= _FEWEST_WORDS_MOVED:
            places[found] -= 1
        else:
            fates.update(dict.fromkeys(accepted[own].rows, Fate.DELETED))
    return fates


def _align(accepted: Sequence[Statement], now: Sequence[Statement]) -> list[Pair]:
    if len(accepted) * len(now) <= _PAIRS_AT_MOST:
        key = [[(each.level, each.words) for each in statements] for statements in (accepted, now)]
        return LineAligner().align(*key)[0]
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number in range(len(now) - 1, -1, -1):
        places[now[number].words].append(number)
    pairs = [Pair(own, places[each.words].pop() if places[each.words] else None) for own, each in enumerate(accepted)]
    return [*pairs, *(Pair(None, number) for left in places.values() for number in left)]


def _renames(accepted: Sequence[Statement], now: Sequence[Statement], pairs: Sequence[Pair]) -> dict[str, str]:
    """The names bound in the text that became another one wherever they stood: gone from the text, and new in it."""
    bound = {name for statement in accepted for name in _bound_names(statement.words)}
    old = {word for statement in accepted for word in statement.words}
    new = {word for statement in now for word in statement.words}
    became: dict[str, set[str]] = defaultdict(set)
    for own, other in pairs:
        if own is not None and other is not None:
            before, after = accepted[own].words, now[other].words
            for start, end, first, last in word_changes(before, after):
                if end - start == last - first:
                    for one, another in zip(before[start:end], after[first:last], strict=True):
                        became[one].add(another)
    renamed = {
        one: next(iter(others))
        for one, others in became.items()
        if one in bound and len(others) == 1 and one not in new
    }
    fresh = Counter(renamed.values())
    return {one: other for one, other in renamed.items() if _is_name(other) and other not in old and fresh[other] == 1}


def _bound_names(words: Sequence[str]) -> Iterator[str]:
    """Names that a statement may bind: of a definition or an import all, else those of its targets and loops."""
    depth, target, loop = 0, [], words[0] in ("def", "class", "async", "import", "from")
    for place, word in enumerate(words):
        depth += (word in ("(", "[", "{")) - (word in (")", "]", "}"))
        following = words[place + 1] if place + 1 < len(words) else ""
        if word in ("for", "lambda", "as"):
            loop = True
        elif word in ("in", ":", ","):
            loop = loop and (word == "," or words[0] in ("def", "class", "async"))
        elif _is_name(word):
            target.append(word)
            if loop or following == ":=":
                yield word
        if (word == "=" and depth == 0) or (word == ":" and depth == 0 and place == 1):
            yield from target


def _reindented_places(accepted: Sequence[Statement], now: Sequence[Statement], pairs: Sequence[Pair]) -> Iterator[int]:
    """The statements whose depth changed against those around them, where no line came or went in front of them."""
    moves = {
        pair.own: now[pair.other].level - accepted[pair.own].level
        for pair in pairs
        if pair.own is not None and pair.other is not None
    }
    usual = Counter(moves.values()).most_common(1)[0][0] if moves else 0
    current, explained, header_changed = usual, False, False
    for own, _ in pairs:
        if own is None or own not in moves:
            header_changed = True
            continue
        if moves[own] != current:
            current, explained = moves[own], header_changed
        header_changed = False
        if current != usual and not explained:
            yield own


def _layout_of(words: Sequence[str]) -> set[int]:
    """Which words are there for the layout: commas before closing brackets, brackets around all that follows."""
    layout: set[int] = set()
    brackets: list[tuple[int, bool]] = []  # the open ones, and whether a comma stood in each
    for index, word in enumerate(words):
        if word in ("(", "[", "{"):
            brackets.append((index, False))
        elif word == "," and brackets:
            following = words[index + 1] if index + 1 < len(words) else ""
            opening, had_comma = brackets[-1]
            if following in (")", "]", "}"):
                is_call = opening > 0 and (words[opening - 1] in (")", "]") or _is_name(words[opening - 1]))
                if following != ")" or had_comma or is_call:  # else it makes a tuple of one
                    layout.add(index)
            brackets[-1] = opening, True
        elif word in (")", "]", "}") and brackets:
            opening, _ = brackets.pop()
            ends = tuple(words[index + 1 : index + 3]) in ((), (":",))
            if word == ")" and ends and opening > 0 and words[opening - 1] in _BEFORE_LAYOUT:
                layout.update((opening, index))
    return layout


def _is_name(word: str) -> bool:
    return _NAME.fullmatch(word) is not None and not iskeyword(word)
