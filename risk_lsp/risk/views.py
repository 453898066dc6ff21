"""What people ask of a text's risks: its lines, its functions, the whole, and which tokens drive a span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.document import Document
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span, stripped_line_spans
from risk_lsp.text.structure import Structure, StructureNode, code_line_spans


@dataclass(frozen=True)
class FunctionRisk:
    """A function or method and the probability that something in it has to be edited."""

    node: StructureNode
    probability: float


def line_risks(risk: SpanRisk, source: Document | str) -> NDArray[np.float64]:
    """The probability of each line without the white space around it, float64[lines].

    NaN where the line holds nothing that the model reads: where it is blank and, if the bundle reads the normal form,
    where it is a comment.
    """
    starts, ends = (LineIndex(source) if isinstance(source, str) else source.lines).stripped.T
    probabilities = risk.probabilities(starts, ends)
    holds_token = np.searchsorted(risk.ends, starts, side="right") < np.searchsorted(risk.starts, ends, side="left")
    probabilities[(starts == ends) | ~holds_token] = np.nan
    return probabilities


def code_line_risks(risk: SpanRisk, text: str, language_id: str) -> NDArray[np.float64]:
    """The same, but NaN also where the line holds a comment or docstring and no code.

    Edits to those were not what probes learnt from, so such a line is never one to point at.
    """
    probabilities = line_risks(risk, text)
    code = set(code_line_spans(text, language_id))
    return np.where([span in code for span in stripped_line_spans(text)], probabilities, np.nan)


def document_risk(risk: SpanRisk) -> float:
    """The probability that anything in the text has to be edited; 0.0 for a text without tokens."""
    return risk.probability(0, risk.text_length)


def function_risks(risk: SpanRisk, structure: Structure) -> list[FunctionRisk]:
    """The functions and methods of the text, in its order, each with its probability."""
    nodes = structure.functions
    starts, ends = [node.span.start for node in nodes], [node.span.end for node in nodes]
    probabilities = risk.probabilities(starts, ends).tolist()
    return [FunctionRisk(node, probability) for node, probability in zip(nodes, probabilities, strict=True)]


def riskiest_lines(probabilities: Sequence[float] | NDArray[np.float64], top: int, at_least: float = 0.0) -> list[int]:
    """The indices (from 0) of up to `top` lines with the highest probabilities, highest first, then earlier first.

    Blank lines (NaN) and those below `at_least` are left out.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    order = np.argsort(-values, kind="stable")  # NaN sorts last
    return [int(line) for line in order[:top] if values[line] >= at_least]


def driving_tokens(risk: SpanRisk, span: Span, top: int = 3) -> list[Span]:
    """The up to `top` tokens of the span that are likeliest to be edited themselves, in the order of the text.

    A token that an end of the span cuts through counts; one with probability 0 is left out; tokens that share their
    characters are named once.
    """
    if span.start == span.end:
        return []
    inside = np.flatnonzero((risk.starts < span.end) & (risk.ends > span.start))
    best: dict[Span, float] = {}
    for token, probability in zip(inside.tolist(), risk.token_probabilities(inside).tolist(), strict=True):
        place = Span(int(risk.starts[token]), int(risk.ends[token]))
        best[place] = max(best.get(place, 0.0), probability)
    chosen = sorted((place for place in best if best[place] > 0), key=lambda place: (-best[place], place))[:top]
    return sorted(chosen)


def driving_words(risk: SpanRisk, text: str, span: Span, top: int = 3) -> list[Span]:
    """The driving tokens of the span as people see them: without the white space around them, none of it alone, and
    with the rest of the names that they are pieces of, as far as those are in the span."""
    pieces = (_without_space(text, token) for token in driving_tokens(risk, span, top))
    words = (_whole_names(text, piece, span) for piece in pieces if piece.start < piece.end)
    return list(dict.fromkeys(words))


def _whole_names(text: str, piece: Span, within: Span) -> Span:
    start, end = piece
    if _is_in_name(text[start]):
        while start > within.start and _is_in_name(text[start - 1]):
            start -= 1
    if _is_in_name(text[end - 1]):
        while end < within.end and _is_in_name(text[end]):
            end += 1
    return Span(start, end)


def _is_in_name(character: str) -> bool:
    return ("_" + character).isidentifier()


def _without_space(text: str, span: Span) -> Span:
    piece = text[span.start : span.end]
    start = span.start + len(piece) - len(piece.lstrip())
    return Span(start, max(start, span.start + len(piece.rstrip())))
