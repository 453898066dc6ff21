"""What a person is told of a number in a hover, and of what is behind it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from lsprotocol import types

from risk_lsp.probe.manifest import ReferenceTable
from risk_lsp.risk.presentation import Standing, document_risk, driving_words, percent
from risk_lsp.server.documents.document_places import WrittenSpan
from risk_lsp.server.documents.ignored_lines import IgnoreReason
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.wire.convert import offset_of, range_of
from risk_lsp.text.document import Document, Part, PositionEncoding, Span, content_span

if TYPE_CHECKING:
    from risk_lsp.repair.model_questions import Explanation, TokenReason


# Signs of lists, headings and quotations matter at the start of a line only; some clients show needless escapes.
_SPECIAL = re.compile(r"([\\`*_\[\]<|~])|(?m:^(\s*)([#+\->]))")


@dataclass(frozen=True)
class Markup:
    """How to write prose, what stands out, code, and a paragraph break."""

    is_markdown: bool
    text: Callable[[str], str]
    bold: Callable[[str], str]
    code: Callable[[str], str]


def _markdown_text(text: str) -> str:
    return _SPECIAL.sub(lambda found: found[2] + "\\" + found[3] if found[3] else "\\" + found[1], text)


def _markdown_code(code: str) -> str:
    """A code span with a fence longer than any run of backticks in the code."""
    fence = "`" * (max((len(run) for run in re.findall("`+", code)), default=0) + 1)
    padding = " " if code.startswith("`") or code.endswith("`") else ""
    return f"{fence}{padding}{code}{padding}{fence}"


MARKDOWN = Markup(True, _markdown_text, lambda text: f"**{_markdown_text(text)}**", _markdown_code)
PLAIN_TEXT = Markup(False, str, str, str)


_WORTH_EXPLAINING = 0.01
_RANKS_WORTH_EXPLAINING = 10
_IGNORED = {
    IgnoreReason.SOURCE: "This line is ignored by a comment (risk: ignore).",
    IgnoreReason.STORED: "This line is ignored, as you asked for; a code action here ends that.",
}


def hover_of(
    view: LineView,
    part: Part,
    position: types.Position,
    encoding: PositionEncoding,
    reference: ReferenceTable,
    markdown: bool,
    written: Sequence[WrittenSpan] = (),
) -> types.Hover:
    """The hover at a position. On a blank line it speaks of the function and the document only.

    `written`: what the hosted model wrote of the document.
    """
    markup = MARKDOWN if markdown else PLAIN_TEXT
    document = view.analysis.document
    offset = offset_of(part, position, encoding)
    line = document.lines.line_of(offset)
    span = content_span(document, line)
    is_blank = span.start == span.end
    anchor = offset if is_blank else min(max(offset, span.start), span.end - 1)
    around = _around(view, anchor, markup)
    paragraphs = [around] if around else []
    if line in view.circumstances.ignored:
        paragraphs = [markup.text(_IGNORED[view.circumstances.ignored[line]]), *paragraphs]
    elif not is_blank and np.isnan(view.numbers[line]):
        reason = "The model does not read comments." if view.known[line] else "This line is still being scored."
        paragraphs = [markup.text(reason), *paragraphs]
    elif not is_blank:
        paragraphs = [*_line(view, line, span, reference, markup), *paragraphs]
    if found := next((each for each in written if each.span.start <= offset <= each.span.end), None):
        moment = time.strftime("%Y-%m-%d at %H:%M", time.localtime(found.origin.at))
        since = "not edited" if found.is_unchanged else "edited"
        paragraphs.append(markup.text(f"Written by {found.origin.model} on {moment}, {since} since."))
    why = view.placed.whole.why if is_blank else view.standing(line).why
    if view.placed.outside is not None:
        paragraphs.append(markup.text(f"Outside its calibrated range: {view.placed.outside}."))
    elif why is not None:
        paragraphs.append(markup.text(f"No percentage: {why}."))
    return types.Hover(_contents(paragraphs, markup), None if is_blank else range_of(part, span, encoding))


def note(text: str, markdown: bool) -> types.Hover:
    """A hover that says why there is no number."""
    markup = MARKDOWN if markdown else PLAIN_TEXT
    return types.Hover(_contents([markup.text(f"risk-lsp: {text}")], markup))


def _line(view: LineView, line: int, span: Span, reference: ReferenceTable, markup: Markup) -> list[str]:
    said = [_probability(view, line, span, markup)]
    if view.standing(line).gives == "order":
        return said
    own, others = float(view.numbers[line]), view.placed.before_shift(span)
    if others is not None and view.placed.shift is not None and percent(own) != percent(others):
        lines = view.placed.shift.lines
        counted = f"{lines:,} generated lines" if lines > 1 else "generated line"
        compared = f"In your last {counted}: {percent(own)} where others have {percent(others)}."
        said.append(markup.text(compared))
    meaning = reference.sentence(own if others is None else others)
    return said if meaning is None else [*said, markup.text(meaning[:1].upper() + meaning[1:] + ".")]


def _probability(view: LineView, line: int, span: Span, markup: Markup) -> str:
    """How likely, or its rank, and what drives it. Many clients show a line's diagnostic above its hover: what that
    says is not said again, but the hover makes sense alone, too."""
    standing, probability = view.standing(line), float(view.numbers[line])
    number = markup.bold(standing.short(probability))
    text = view.analysis.document.text
    tokens = [text[token.start : token.end] for token in driving_words(view.placed.risks, text, span)]
    if standing.gives == "percent":
        sentence, chance = f"{number} likely to need an edit", f"Most of the {number} chance of an edit comes"
        is_worth_it = probability >= _WORTH_EXPLAINING
    elif standing.rank is None:
        return "No line of code"
    else:
        rest = standing.sentence(probability).removeprefix(standing.short(probability))
        sentence, chance = f"{number}{rest}", f"Most of what makes it the {number} comes"
        is_worth_it = standing.rank <= _RANKS_WORTH_EXPLAINING
    if not tokens or not is_worth_it:
        return sentence
    words = ", ".join(markup.code(token) for token in tokens)
    return f"{chance} from {words}" if line in view.shown else f"{sentence}, most of it from {words}"


def _around(view: LineView, offset: int, markup: Markup) -> str:
    """The function's number and the document's, as far as they are known; an order has none for the document."""
    analysis, parts = view.analysis, []
    function = analysis.layout.structure.enclosing_function(offset)
    if function is not None and analysis.knows([function.span])[0]:
        ranked = view.placed.functions(analysis.layout.structure)
        risk, standing = next(each for each in ranked if each[0].node == function)
        number = standing.short(risk.probability)
        if standing.gives == "order":
            number = standing.sentence(risk.probability, "functions") if analysis.is_whole else ""
        parts += [f"{function.kind.capitalize()} {markup.code(function.name)}: {number}"] if number else []
    if view.placed.whole.gives == "percent":
        whole = percent(document_risk(view.placed.risks)) if analysis.is_whole else "still being scored"
        parts.append(f"{'document' if parts else 'Document'}: {whole}")
    return ", ".join(parts)


def _contents(paragraphs: list[str], markup: Markup) -> types.MarkupContent:
    kind = types.MarkupKind.Markdown if markup.is_markdown else types.MarkupKind.PlainText
    return types.MarkupContent(kind, ("\n\n" if markup.is_markdown else "\n").join(paragraphs))


_LONGEST_TOKEN = 40


def explanation_text(explanation: Explanation, standing: Standing, document: Document, markup: Markup) -> str:
    """The explanation for people: one sentence, and a line for each token, the weightiest first."""
    number = standing.short(explanation.probability)
    sentence = markup.bold(number) + standing.sentence(explanation.probability).removeprefix(number)
    if not explanation.tokens:
        return sentence
    is_percent = standing.gives == "percent"
    lines = [_token(reason, document, markup, is_percent=is_percent) for reason in explanation.tokens]
    return "\n".join([f"{sentence}. The tokens that carry most of it:", "", *lines])


def _token(reason: TokenReason, document: Document, markup: Markup, *, is_percent: bool) -> str:
    line = document.lines.line_of(reason.span.start) + 1
    parts = [percent(reason.probability)] if is_percent else []
    model = [] if reason.seen is None else [f"gave it {percent(reason.seen)}"]
    if reason.expected:
        others = ", ".join(f"{_code(text, markup)} ({percent(share)})" for text, share in reason.expected)
        model.append(f"expected {others}")
    parts += [f"the model {' and '.join(model)}"] if model else []
    return f"- {_code(reason.text, markup)} in line {line}" + (f": {'; '.join(parts)}" if parts else "")


def _code(text: str, markup: Markup) -> str:
    """A token as people see it: without the space before it, and its line breaks made visible."""
    shown = text.strip(" ") or repr(text)
    shown = shown.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    return markup.code(shown if len(shown) <= _LONGEST_TOKEN else shown[: _LONGEST_TOKEN - 1] + "…")
