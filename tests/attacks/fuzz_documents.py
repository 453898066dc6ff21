"""Random Unicode documents under random edits, in all three encodings, against the plainest account of the rules.

    python -m tests.attacks.fuzz_documents [--edits 100000] [--seed 0]

Stops at the first divergence and says how to come back to it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from risk_lsp.text import document as pieces
from risk_lsp.text.document import (
    Document,
    LineIndex,
    Position,
    PositionEncoding,
    TextChange,
    apply_changes,
    to_offset,
    to_position,
)
from risk_lsp.text.notebook import Cell, Notebook
from tests.text import naive

_LONGEST = 120  # characters; the naive account is slow
_CHARACTERS = [
    *"\n\n\r\f\v\x1c\x85\u2028\u2029",
    *"ab \t\0%!?",
    "\r\n",
    "é",
    "→",
    "😀",
    "𝔘",
    "e\u0301",
    "\ud83d",
    "\ude00",
]


class Divergence(Exception):
    """Where the two accounts part."""

    def __init__(self, what: str, document: int, edit: int) -> None:
        super().__init__(f"{what}: document {document}, edit {edit}")


def fuzz_documents(edits: int, seed: int = 0) -> int:
    """Make so many edits of documents that are themselves random; returns how many documents they were.

    Raises Divergence.
    """
    documents = done = 0
    while done < edits:
        documents += 1
        done += _edit_one_document(random.Random(f"{seed} {documents}"), min(edits - done, 200), documents)
    return documents


def fuzz_notebooks(edits: int, seed: int = 0) -> None:
    """Edit cells at random, and compare each notebook with one made anew. Raises Divergence."""
    chance = random.Random(f"{seed} notebooks")
    cells = {f"cell:{place}": Document(f"cell:{place}", 1, _text(chance), "python") for place in range(6)}
    notebook = Notebook("notebook:", 1, [Cell(uri, True) for uri in cells], cells)
    for edit in range(edits):
        encoding = chance.choice(list(PositionEncoding))
        cell = notebook.documents[chance.choice(list(notebook.documents))]
        change = _change(chance) if len(cell.text) < _LONGEST else TextChange(None, None, _text(chance))
        notebook = notebook.replace_cell(apply_changes(cell, [change], edit, encoding), edit)
        anew = Notebook("notebook:", edit, notebook.cells, notebook.documents)
        if (notebook.document.text, _layout(notebook)) != (anew.document.text, _layout(anew)):
            raise Divergence("the joined text of a notebook", seed, edit)
        _compare_lines(notebook.document, seed, edit)


def _edit_one_document(chance: random.Random, edits: int, number: int) -> int:
    encoding = chance.choice(list(PositionEncoding))
    text = naive.joined(_text(chance))
    document = naive.document(text)
    for edit in range(edits):
        if len(text) > _LONGEST:
            return edit
        changes = [_change(chance) for _ in range(chance.choice((1, 1, 1, 3)))]
        document = apply_changes(document, changes, edit, encoding)
        for change in changes:
            text = naive.changed(text, change, encoding)
        if document.text != text:
            raise Divergence(f"the text, in {encoding.value}", number, edit)
        _compare_lines(document, number, edit)
        _compare_positions(chance, document, encoding, number, edit)
    return edits


def _compare_lines(document: Document, number: int, edit: int) -> None:
    if document.lines.starts.tolist() != LineIndex(document.text).starts.tolist():
        raise Divergence("the lines", number, edit)


def _compare_positions(
    chance: random.Random, document: Document, encoding: PositionEncoding, number: int, edit: int
) -> None:
    position = _position(chance)
    offset = to_offset(document, position, encoding)
    if offset != naive.offset_of(document.text, position, encoding):
        raise Divergence(f"{position} in {encoding.value}", number, edit)
    if to_offset(document, to_position(document, offset, encoding), encoding) != offset:
        raise Divergence(f"offset {offset} there and back in {encoding.value}", number, edit)


def _layout(notebook: Notebook) -> list[tuple[str, int, int]]:
    return [(part.uri, part.first_line, part.line_count) for part in notebook.parts]


def _text(chance: random.Random) -> str:
    return "".join(chance.choices(_CHARACTERS, k=chance.randrange(30)))


def _position(chance: random.Random) -> Position:
    return Position(chance.randrange(-1, 12), chance.choice((0, chance.randrange(-1, 20), 2**31 - 1)))


def _change(chance: random.Random) -> TextChange:
    if chance.random() < 0.02:
        return TextChange(None, None, naive.joined(_text(chance)))
    start = _position(chance)
    end = start if chance.random() < 0.6 else _position(chance)
    return TextChange(start, end, _text(chance) if chance.random() < 0.3 else chance.choice([*_CHARACTERS, ""]))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    pieces._PIECE = 5  # so that short texts are held in many pieces
    started = time.monotonic()
    documents = fuzz_documents(options.edits, options.seed)
    fuzz_notebooks(options.edits // 10, options.seed)
    print(
        f"{options.edits:,} edits of {documents:,} documents and {options.edits // 10:,} of notebooks in"
        f" {time.monotonic() - started:.0f} s: no divergence"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
