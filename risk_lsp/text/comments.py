"""`risk: ignore` in comments: which lines of a text it covers, where to write it, and what is a comment at all."""

from __future__ import annotations

import re
from typing import NamedTuple

import tree_sitter_python
from tree_sitter import Language, Parser

from risk_lsp.text.document import Document, stripped_line_span

_LANGUAGE = Language(tree_sitter_python.language())


def is_python_comment(text: str, offset: int) -> bool:
    """Whether the character at an offset belongs to a comment."""
    source = text.encode("utf-8", "surrogatepass")
    place = len(text[:offset].encode("utf-8", "surrogatepass"))
    node = Parser(_LANGUAGE).parse(source).root_node.descendant_for_byte_range(place, place + 1)
    return node is not None and node.type == "comment"


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


def comment_syntax(language_id: str) -> CommentSyntax | None:
    """How comments are written in a language; None where it has none, or is not known."""
    return _SYNTAX_OF.get(language_id)


def lines_ignored_in_source(document: Document) -> frozenset[int]:
    """The lines that end with a comment `risk: ignore`, and those right below a line that is nothing else.

    A reason may follow in parentheses.
    """
    syntax = comment_syntax(document.language_id)
    if syntax is None or _MARKED.search(document.text) is None:
        return frozenset()
    # The comment as the last thing in a stripped line.
    closing = rf"\s*{re.escape(syntax.closing)}" if syntax.closing else ""
    comment = re.compile(rf"{re.escape(syntax.opening)}\s*{_MARKED.pattern}{_REASON}{closing}\Z")
    ignored = set()
    for mark in _MARKED.finditer(document.text):
        line = document.lines.line_of(mark.start())
        span = stripped_line_span(document, line)
        found = comment.search(document.text, span.start, span.end)
        if found is not None:
            ignored |= {line, line + 1} if found.start() == span.start else {line}
    return frozenset(ignored)


def ignoring_comment(document: Document, line: int) -> Insertion | None:
    """What to insert to have a line ignored; None where it has no content or nothing there would be a comment."""
    syntax = comment_syntax(document.language_id)
    span = stripped_line_span(document, line)
    if syntax is None or span.start == span.end:
        return None
    content = document.text[span.start : span.end]
    if content.endswith("\\") or line in lines_ignored_in_source(document):
        return None
    comment = " ".join(filter(None, (syntax.opening, _MARK, syntax.closing)))
    insertion = Insertion(span.end, f"  {comment}")
    return insertion if _stays_comment(document, insertion) else None


def _stays_comment(document: Document, insertion: Insertion) -> bool:
    """Whether the text is a comment there, and not more of a string that spans lines; known for Python alone."""
    if document.language_id != "python":
        return True
    offset, text = insertion
    inserted = document.text[:offset] + text + document.text[offset:]
    return is_python_comment(inserted, offset + len(text) - 1)
