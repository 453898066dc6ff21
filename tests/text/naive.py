"""Texts and positions to try, and the plainest possible account of what should come out."""

from __future__ import annotations

from hypothesis import strategies as st

from risk_lsp.text.document import Document, Position, PositionEncoding, TextChange

TERMINATORS = ("\n", "\r\n", "\r")

# What other programs take for line ends, characters of every width, and halves of a surrogate pair.
_CHARACTERS = [*TERMINATORS, *"\f\v\x1c\x85\u2028\u2029", *"a \t\0", "é", "→", "😀", "\ud83d", "\ude00"]
_UNIT_BYTES = {PositionEncoding.UTF8: 1, PositionEncoding.UTF16: 2, PositionEncoding.UTF32: 4}
_CODECS = {PositionEncoding.UTF8: "utf-8", PositionEncoding.UTF16: "utf-16-le", PositionEncoding.UTF32: "utf-32-le"}

texts = st.lists(st.sampled_from(_CHARACTERS), max_size=30).map("".join).map(lambda text: joined(text))
encodings = st.sampled_from(PositionEncoding)
positions = st.builds(Position, st.integers(-1, 12), st.integers(-1, 20))
partial_changes = st.builds(TextChange, positions, positions, texts)
full_changes = st.builds(TextChange, st.none(), st.none(), texts)


def document(text: str) -> Document:
    return Document("file:///a.py", 1, text, "python")


def joined(text: str) -> str:
    """The text as a client that keeps UTF-16 has it: two halves of a surrogate pair side by side are one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def lines_of(text: str) -> list[tuple[str, str]]:
    """The content and the terminator of each line."""
    lines = [("", "")]
    place = 0
    while place < len(text):
        terminator = next((each for each in ("\r\n", "\n", "\r") if text.startswith(each, place)), "")
        content = lines[-1][0]
        if terminator:
            lines[-1] = (content, terminator)
            lines.append(("", ""))
        else:
            lines[-1] = (content + text[place], "")
        place += len(terminator) or 1
    return lines


def width(text: str, encoding: PositionEncoding) -> int:
    """How many of the encoding's units the text takes."""
    return sum(len(each.encode(_CODECS[encoding], "surrogatepass")) for each in text) // _UNIT_BYTES[encoding]


def offset_of(text: str, position: Position, encoding: PositionEncoding) -> int:
    """The offset of a position, clamped into the text."""
    lines = lines_of(text)
    if position.line < 0:
        return 0
    if position.line >= len(lines):
        return len(text)
    content = lines[position.line][0]
    fitting = [count for count in range(len(content) + 1) if width(content[:count], encoding) <= position.character]
    return sum(len("".join(line)) for line in lines[: position.line]) + max(fitting, default=0)


def changed(text: str, change: TextChange, encoding: PositionEncoding) -> str:
    """The text after a change."""
    if change.start is None or change.end is None:
        return change.text
    start, end = sorted(offset_of(text, position, encoding) for position in (change.start, change.end))
    return joined(text[:start] + change.text + text[end:])
