"""What people see of risks: of lines, functions and tokens, as percentages, as heat, and by what they have meant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BundleError
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.document import Document, LineIndex, Span, stripped_line_spans
from risk_lsp.text.structure import Structure, StructureNode, code_line_spans, parse_structure


def percent(probability: float) -> str:
    """Two digits at most: "41%"; never "0%" or "100%", since no span is known to be right or wrong."""
    rounded = round(100 * probability)
    if rounded < 1:
        return "<1%"
    return f"{rounded}%" if rounded < 100 else ">99%"


def ordinal(number: int) -> str:
    """ "1st", "2nd", "11th", "1,000th" """
    tens, ones = number // 10 % 10, number % 10
    ending = {1: "st", 2: "nd", 3: "rd"}.get(ones, "th") if tens != 1 else "th"
    return f"{number:,}{ending}"


STEPS = 4
_NEVER_WARM = 0.01  # a line below this has no place in a heat map, whatever the threshold


def heat_edges(threshold: float) -> NDArray[np.float64]:
    """Where the steps 1 to 4 begin: at half the threshold, at it, and then in equal parts between it and certainty."""
    part = (1 - threshold) / 3
    return np.maximum([threshold / 2, threshold, threshold + part, threshold + 2 * part], _NEVER_WARM)


def heat_steps(probabilities: NDArray[np.float64], threshold: float) -> tuple[int, ...]:
    """The step of each line, 0 (not shown) to 4; a line without a probability (NaN) is not shown."""
    steps = np.searchsorted(heat_edges(threshold), probabilities, side="right")
    return tuple(np.where(np.isnan(probabilities), 0, steps).tolist())


LANGUAGE = "python"
# Lines. Held-out programs have 37 on average and 184 at most; files of twelve of them, some 450 lines that are read
# part by part, are as far as the order of lines was measured (docs/probe-attempts.md).
LONGEST = 500
UNLIKE_ALL = 0.99  # of the held-out programs, this share was less unusual to the model
# Lines of code that are no imports. The mean over fewer is mostly noise: plain functions of six lines look unlike all.
FEWEST_TO_READ = 8


def reason_outside(language_id: str, lines: LineIndex, novelty: float | None) -> str | None:
    """Why the numbers may not hold for a text, as one clause for people; None if nothing speaks against them.

    Of a text with little to read, such as imports and a short function, it is not said that it is unlike others.
    """
    if language_id != LANGUAGE:
        return f"the numbers were measured on Python programs, and the language of this one is {language_id}"
    if lines.count > LONGEST:
        return f"the numbers were measured on short programs, and this one has {lines.count:,} lines, over {LONGEST:,}"
    if novelty is None or novelty < UNLIKE_ALL:
        return None
    structure = parse_structure(lines.text, LANGUAGE)
    imports = [node.span for node in structure.statements if node.kind.startswith(("import", "future_import"))]
    code = code_line_spans(lines.text, LANGUAGE, structure=structure)
    to_read = sum(not any(span.start <= line.start < span.end for span in imports) for line in code)
    return "this program is unlike those that the numbers were measured on" if to_read >= FEWEST_TO_READ else None


@dataclass(frozen=True)
class ReferenceClass:
    """The held-out lines scored in [low, high): what was predicted on average, how often they were edited, how many."""

    low: float
    high: float
    predicted: float
    observed: float
    n: int

    def sentence(self, things: str) -> str:
        """ "of lines scored 35-45%, 39% were edited, n = 612" """
        scored = f"{round(100 * self.low)}-{round(100 * self.high)}%"
        return f"of {things} scored {scored}, {round(100 * self.observed)}% were edited, n = {self.n}"


@dataclass(frozen=True)
class ReferenceTable:
    """The reference classes of one level, by rising score, and the plural of what they count."""

    classes: tuple[ReferenceClass, ...]
    things: str = "lines"

    @classmethod
    def from_manifest(cls, reference: Any, level: str = "line") -> ReferenceTable:
        """From the manifest's "reference" object; a level that it does not have gives an empty table.

        Raises BundleError if what is there is malformed.
        """
        rows = reference.get(level, []) if isinstance(reference, dict) else None
        if not isinstance(rows, list):
            raise BundleError(f'manifest: reference["{level}"] is not a list', "evaluate the bundle again")
        classes = [_reference_class(row, f'manifest: reference["{level}"][{place}]') for place, row in enumerate(rows)]
        return cls(tuple(sorted(classes, key=lambda each: each.low)), f"{level}s")

    def find(self, probability: float) -> ReferenceClass | None:
        """The class that holds the probability; the last one holds its upper end too. None if no line was scored so."""
        for place, each in enumerate(self.classes):
            is_last = place == len(self.classes) - 1
            if each.low <= probability < each.high or (is_last and probability == each.high):
                return each if each.n else None
        return None

    def sentence(self, probability: float) -> str | None:
        """What the probability has meant, as one clause; None if no held-out line was scored like that."""
        found = self.find(probability)
        return found.sentence(self.things) if found else None


def _reference_class(row: Any, name: str) -> ReferenceClass:
    wanted = [field.name for field in fields(ReferenceClass)]
    values = [row.get(key) for key in wanted] if isinstance(row, dict) else []
    if not values or not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        raise BundleError(f"{name} lacks a number among {', '.join(wanted)}", "evaluate the bundle again")
    low, high, predicted, observed = (float(row[key]) for key in wanted[:-1])
    if not 0 <= low < high <= 1 or not 0 <= observed <= 1 or row["n"] < 0:
        raise BundleError(f"{name} is not a class of probabilities", "evaluate the bundle again")
    return ReferenceClass(low, high, predicted, observed, int(row["n"]))


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
    words: dict[Span, None] = {}
    for token in driving_tokens(risk, span, top):
        piece = text[token.start : token.end]
        start, end = token.start + len(piece) - len(piece.lstrip()), token.start + len(piece.rstrip())
        if start >= end:
            continue
        if _is_in_name(text[start]):
            while start > span.start and _is_in_name(text[start - 1]):
                start -= 1
        if _is_in_name(text[end - 1]):
            while end < span.end and _is_in_name(text[end]):
                end += 1
        words[Span(start, end)] = None
    return list(words)


def _is_in_name(character: str) -> bool:
    return ("_" + character).isidentifier()
