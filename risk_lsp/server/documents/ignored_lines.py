"""Lines that a person ignores: by a comment `risk: ignore`, or remembered as hashes in their data folder."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from risk_lsp.errors import RiskError
from risk_lsp.files import lock_folder, write_whole
from risk_lsp.server.wire.convert import normal_uri
from risk_lsp.text.document import Document, content_span
from risk_lsp.text.structure import is_python_comment
from risk_lsp.text.tracking import LineAnchor, anchor_of, find_anchors, hash_of, hashed_lines

_MARK = "risk: ignore"
_MARKED = re.compile(r"risk:\s*ignore\b")
_REASON = r"(?:\s*\([^()\n]*\))?"


class CommentSyntax(NamedTuple):
    """What a comment begins with, and what closes it if the end of the line does not."""

    opening: str
    closing: str = ""


class Insertion(NamedTuple):
    """Text to insert at an offset."""

    offset: int
    text: str


_LANGUAGES = {
    CommentSyntax("#"): "python perl julia makefile r ruby shellscript toml yaml coffeescript elixir powershell",
    CommentSyntax("//"): (
        "c cpp csharp dart go groovy java javascript javascriptreact jsonc kotlin objective-c php rust scala swift"
        " typescript typescriptreact zig"
    ),
    CommentSyntax("--"): "ada haskell lua sql vhdl",
    CommentSyntax("%"): "erlang latex matlab prolog tex",
    CommentSyntax(";"): "clojure lisp scheme",
    CommentSyntax("/*", "*/"): "css less scss",
    CommentSyntax("<!--", "-->"): "html markdown svelte vue xml",
}
_SYNTAX_OF = {language: syntax for syntax, languages in _LANGUAGES.items() for language in languages.split()}


def lines_ignored_in_source(document: Document) -> frozenset[int]:
    """The lines that end with a comment `risk: ignore`, and those right below a line that is nothing else.

    A reason may follow in parentheses.
    """
    syntax = _SYNTAX_OF.get(document.language_id)
    if syntax is None or _MARKED.search(document.text) is None:
        return frozenset()
    # The comment as the last thing in a stripped line.
    closing = rf"\s*{re.escape(syntax.closing)}" if syntax.closing else ""
    comment = re.compile(rf"{re.escape(syntax.opening)}\s*{_MARKED.pattern}{_REASON}{closing}\Z")
    ignored = set()
    for mark in _MARKED.finditer(document.text):
        line = document.lines.line_of(mark.start())
        span = content_span(document, line)
        found = comment.search(document.text, span.start, span.end)
        if found is not None:
            ignored |= {line, line + 1} if found.start() == span.start else {line}
    return frozenset(ignored)


def ignoring_comment(document: Document, line: int) -> Insertion | None:
    """What to insert to have a line ignored; None where it has no content or nothing there would be a comment."""
    syntax = _SYNTAX_OF.get(document.language_id)
    span = content_span(document, line)
    if syntax is None or span.start == span.end:
        return None
    content = document.text[span.start : span.end]
    if content.endswith("\\") or line in lines_ignored_in_source(document):
        return None
    comment = " ".join(filter(None, (syntax.opening, _MARK, syntax.closing)))
    insertion = Insertion(span.end, f"  {comment}")
    if document.language_id == "python":  # the place may be in a string that spans lines
        inserted = document.text[: span.end] + insertion.text + document.text[span.end :]
        if not is_python_comment(inserted, span.end + len(insertion.text) - 1):
            return None
    return insertion


_FORMAT = 1
_LINES_AT_MOST = 500  # per document; the oldest are forgotten first
_FILES_AT_MOST = 2_000
_SECONDS_TO_WAIT = 5.0  # for another writer: nothing else is answered meanwhile
_BYTES_AT_MOST = 1_000_000  # a file larger than this was not written here

logger = logging.getLogger(__name__)


class IgnoreStore:
    """Remembered lines. Several servers may use one folder at the same time; each sees what the others wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[tuple[int, int], list[LineAnchor]]] = {}  # by file: what it looked like, content

    def lines(self, document: Document) -> frozenset[int]:
        """The lines of the document that are remembered."""
        anchors = self._anchors(self._path(document))
        return frozenset(find_anchors(anchors, hashed_lines(document)).values()) if anchors else frozenset()

    def add(self, document: Document, line: int) -> None:
        """Remember a line. Raises RiskError if it is blank or cannot be written down."""
        hashed = hashed_lines(document)
        anchor = anchor_of(hashed, line)
        if anchor is None:
            raise RiskError(f"line {line + 1} is blank", "choose a line with content")
        with self._lock():
            path = self._path(document)
            anchors = self._anchors(path)
            if line not in find_anchors(anchors, hashed).values():
                self._write(path, [*anchors, anchor][-_LINES_AT_MOST:])
                files = list(self._folder.glob("*.json"))
                if (surplus := len(files) - _FILES_AT_MOST) > 0:
                    for oldest in sorted(files, key=lambda file: file.stat().st_mtime_ns)[:surplus]:
                        oldest.unlink(missing_ok=True)

    def remove(self, document: Document, line: int) -> bool:
        """Forget a line; False if it was not remembered. Raises RiskError if that cannot be written down."""
        path = self._path(document)
        if not self._anchors(path):
            return False
        with self._lock():
            anchors = self._anchors(path)
            found = find_anchors(anchors, hashed_lines(document))
            kept = [anchor for anchor in anchors if found.get(anchor) != line]
            if len(kept) < len(anchors):
                self._write(path, kept)
        return len(kept) < len(anchors)

    def _path(self, document: Document) -> Path:
        return self._folder / f"{hash_of(normal_uri(document.uri))}.json"

    def _anchors(self, path: Path) -> list[LineAnchor]:
        """What a document's file holds; nothing if there is none or it cannot be read."""
        try:
            stat = path.stat()
        except OSError:
            return []
        looks = (stat.st_mtime_ns, stat.st_ino)
        if (known := self._read.get(path)) is None or known[0] != looks:
            known = self._read[path] = (looks, _read_anchors(path) if stat.st_size <= _BYTES_AT_MOST else [])
        return known[1]

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            with lock_folder(self._folder, _SECONDS_TO_WAIT):
                yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            hint = "make the folder writable, or ignore the line by a comment"
            raise RiskError(f"{self._folder} cannot be written: {reason}", hint) from None

    def _write(self, path: Path, anchors: list[LineAnchor]) -> None:
        """Replace a file in one step, so that nobody ever reads half of it."""
        if not anchors:
            path.unlink(missing_ok=True)
            return
        content = json.dumps({"format": _FORMAT, "lines": [anchor._asdict() for anchor in anchors]})
        write_whole(path, content.encode("ascii"))


def _read_anchors(path: Path) -> list[LineAnchor]:
    """The lines that a file remembers; none if it is damaged or was not written here."""
    try:
        content = json.loads(path.read_text(encoding="ascii"))
        if content["format"] != _FORMAT:
            raise ValueError
        anchors = []
        for entry in content["lines"][-_LINES_AT_MOST:]:
            before, after, text, line = entry["before"], entry["after"], entry["content"], entry["line"]
            if not all(isinstance(value, str) for value in (text, *before, *after)) or type(line) is not int:
                raise ValueError
            anchors.append(LineAnchor(text, tuple(before), tuple(after), line))
        return anchors
    except (OSError, ValueError, TypeError, KeyError):
        logger.warning("%s cannot be read; the lines that it remembered are shown", path)
        return []


class IgnoreReason(str, Enum):
    """Why a line is ignored: a comment in the source, or the store."""

    SOURCE = "source"
    STORED = "stored"


def ignored_lines(document: Document, store: IgnoreStore) -> dict[int, IgnoreReason]:
    """The ignored lines of a document; a comment in the source counts before the store."""
    stored = dict.fromkeys(store.lines(document), IgnoreReason.STORED)
    return stored | dict.fromkeys(lines_ignored_in_source(document), IgnoreReason.SOURCE)
