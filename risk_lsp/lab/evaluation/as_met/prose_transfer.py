"""Does a probe that learnt from code find slips in prose? Before and after a rescale by two parameters.

The numbers are those of `risk-lsp check` on plain text. The rescale is Platt's map, fitted to all other sources than
the one that it is applied to, for each level by itself (arXiv 2512.24560, natural-language errors).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.prose_slips import FACTUAL, FIXES, ProseText, with_slips
from risk_lsp.lab.evaluation.metrics import FloatArray
from risk_lsp.lab.evaluation.problem_bootstrap import ProblemBootstrap, interval_figures
from risk_lsp.lab.evaluation.reliability import platt_apply, platt_fit
from risk_lsp.lab.evaluation.report_markdown import interval_text, markdown_table
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.risk_map import TokenSpans
from risk_lsp.text.document import Span
from risk_lsp.text.source_files import PLAIN_TEXT

LEVELS = ("word", "line", "sentence", "text")
WANTED_AUC = 0.6  # from which on it would be worth offering
_SEED = 0
_TEXTS_AT_ONCE = 64
_MODEL = "surprisal"


@dataclass(frozen=True)
class SpanScores:
    """The spans of one level of all texts: the text of each, its source, what it is scored, and the kind of its slip.

    `scores` are float64[spans] by who gives them: the probe a probability, the others only an order.
    """

    text: NDArray[np.int64]
    source: NDArray[np.str_]
    scores: Mapping[str, FloatArray]
    kind: NDArray[np.str_]

    @property
    def slipped(self) -> NDArray[np.bool_]:
        """Whether each span holds a slip."""
        return np.asarray(self.kind != "")

    def where(self, wanted: NDArray[np.bool_]) -> SpanScores:
        """The wanted spans alone."""
        scores = {name: values[wanted] for name, values in self.scores.items()}
        return SpanScores(self.text[wanted], self.source[wanted], scores, self.kind[wanted])


def slipped_texts(paragraphs: Mapping[str, Sequence[str]]) -> list[ProseText]:
    """The paragraphs of all sources with their slips, always the same ones."""
    chooser = random.Random(_SEED)
    vocabulary = {word for each in paragraphs.values() for text in each for word in text.lower().split()}
    return [with_slips(source, text, vocabulary, chooser) for source, each in paragraphs.items() for text in each]


def read_texts(engine: Engine, texts: Sequence[ProseText]) -> dict[str, SpanScores]:
    """What the bundle and its rivals say of the spans of each level. The engine's model is whole."""
    if not texts:
        raise BadInput("there is no prose to read", "install some of the libraries, or name a folder of problems")
    read: list[dict[str, dict[str, FloatArray]]] = []
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        batch = texts[first : first + _TEXTS_AT_ONCE]
        given = [engine.model_text(text.text, PLAIN_TEXT) for text in batch]
        encodings = [engine.model.encode(each.text) for each in given]
        for text, each, activations in zip(batch, given, engine.read(given, encodings, statistics=True), strict=True):
            assert activations.log_probabilities is not None
            risk = engine.risk(each, activations)
            tokens = TokenSpans(risk.text_length, risk.starts, risk.ends)
            total = np.concatenate([[0.0], np.cumsum(-activations.log_probabilities.astype(np.float64))])
            by_level = {}
            for level in LEVELS:
                spans = np.array(_spans(text, level), dtype=np.int64)
                start, end = tokens.overlapping(*spans.T)
                surprisal = total[end] - total[start]
                by_level[level] = {
                    "probe": risk.probabilities(*spans.T),
                    _MODEL: surprisal,
                    f"{_MODEL} per token": surprisal / np.maximum(end - start, 1),
                    "length": (spans[:, 1] - spans[:, 0]).astype(np.float64),
                }
            read.append(by_level)
    return {level: _join(texts, [by_level[level] for by_level in read], level) for level in LEVELS}


def _join(texts: Sequence[ProseText], read: Sequence[Mapping[str, FloatArray]], level: str) -> SpanScores:
    counts = [len(_spans(text, level)) for text in texts]
    return SpanScores(
        np.repeat(np.arange(len(texts)), counts),
        np.repeat([text.source for text in texts], counts),
        {name: np.concatenate([each[name] for each in read]) for name in read[0]},
        np.array([kind for text in texts for kind in _kinds(text, level)]),
    )


def _spans(text: ProseText, level: str) -> Sequence[Span]:
    whole = (Span(0, len(text.text)),)
    return {"word": text.words, "line": text.lines, "sentence": text.sentences, "text": whole}[level]


def _kinds(text: ProseText, level: str) -> list[str]:
    """The kind of the first slip in each span, "" where there is none."""
    marked = [(word.start, kind) for word, kind in zip(text.words, text.slips, strict=True) if kind]
    return [
        next((kind for start, kind in marked if span.start <= start < span.end), "") for span in _spans(text, level)
    ]


class ProseFigures(NamedTuple):
    """Of one level: AUC by who scores, BSS and ECE of the probe before and after the rescale; [estimate, low, high]."""

    spans: int
    rate: float
    auc: dict[str, list[float | None]]
    bss: tuple[list[float | None], list[float | None]]
    ece: tuple[list[float | None], list[float | None]]


def measure_level(scores: SpanScores, resamples: int, known: SpanScores | None = None) -> ProseFigures:
    """The figures of a level's spans, with intervals over texts; the rescale is fitted to `known`, else source by
    source to the others."""
    labels = scores.slipped
    before = scores.scores["probe"]
    after = np.empty_like(before)
    for source in np.unique(scores.source):
        here = scores.source == source
        others = scores.where(~here) if known is None else known
        after[here] = platt_apply(before[here], platt_fit(others.scores["probe"], others.slipped))
    bootstrap = ProblemBootstrap(scores.text.astype(str), np.ones(len(labels)), resamples=resamples)
    rivals = {name: values for name, values in scores.scores.items() if name != "probe"}
    ranked = {"probe": before, "probe, rescaled": after, **rivals}
    return ProseFigures(
        len(labels),
        float(labels.mean()),
        {name: interval_figures(bootstrap.auc(values, labels)) for name, values in ranked.items()},
        (_skill(bootstrap, before, labels), _skill(bootstrap, after, labels)),
        (_error(bootstrap, before, labels), _error(bootstrap, after, labels)),
    )


def _skill(bootstrap: ProblemBootstrap, p: FloatArray, labels: NDArray[np.bool_]) -> list[float | None]:
    return interval_figures(bootstrap.brier_skill_score(p, labels))


def _error(bootstrap: ProblemBootstrap, p: FloatArray, labels: NDArray[np.bool_]) -> list[float | None]:
    return interval_figures(bootstrap.expected_calibration_error(p, labels))


def prose_report(name: str, read: Mapping[str, SpanScores], people: Mapping[str, SpanScores], resamples: int) -> str:
    """The tables as Markdown. `people`: sentences that somebody mended, empty if there are none."""
    found = {level: measure_level(read[level], resamples) for level in LEVELS}
    rows = {f"{level}s": found[level] for level in LEVELS}
    if people:
        rows[f"words, {FIXES}"] = measure_level(people["word"], resamples, read["word"])
    ranked = list(found["word"].auc)
    columns = ["BSS before", "BSS after", "ECE before", "ECE after"]
    lines, words = read["line"], read["word"]
    return "\n".join(
        [
            f"{name}, {len(np.unique(words.text))} paragraphs of {len(np.unique(words.source))} sources.",
            "",
            markdown_table(
                ["spans", "of", "with a slip", *(f"AUC of {name}" for name in ranked)],
                [
                    [title, f"{each.spans:,}", f"{each.rate:.1%}", *(interval_text(each.auc[name]) for name in ranked)]
                    for title, each in rows.items()
                ],
            ),
            "",
            markdown_table(
                ["spans", *columns],
                [[title, *map(interval_text, (*each.bss, *each.ece))] for title, each in rows.items()],
            ),
            "",
            markdown_table(
                ["kind of slip", "", "words", "AUC of probe", f"AUC of {_MODEL}"],
                [_kind_row(words, kind, resamples) for kind in sorted(set(words.kind.tolist()) - {""})],
            ),
            "",
            markdown_table(
                ["source", "lines", "AUC of probe", f"AUC of {_MODEL}"],
                [_row(lines.where(lines.source == source), [source], resamples) for source in np.unique(lines.source)],
            ),
            "",
            _verdict(found["line"].auc["probe"]),
        ]
    )


def _kind_row(words: SpanScores, kind: str, resamples: int) -> list[str]:
    """How well the words of one kind of slip are told from those without any."""
    alone = words.where((words.kind == kind) | ~words.slipped)
    count = int((alone.kind == kind).sum())
    titles = [kind, "fact" if kind in FACTUAL else "grammar", f"{count:,}"]
    return [*titles, *_row(alone, [], resamples)[1:]]


def _row(scores: SpanScores, titles: Sequence[str], resamples: int) -> list[str]:
    bootstrap = ProblemBootstrap(scores.text.astype(str), np.ones(len(scores.text)), resamples=resamples)
    aucs = [interval_figures(bootstrap.auc(scores.scores[name], scores.slipped)) for name in ("probe", _MODEL)]
    return [*titles, f"{len(scores.text):,}", *map(interval_text, aucs)]


def _verdict(auc: Sequence[float | None]) -> str:
    estimate = auc[0]
    is_worth_it = estimate is not None and estimate > WANTED_AUC
    if is_worth_it:
        return f"The AUC of lines is above {WANTED_AUC:g}: risks of prose are worth offering."
    return f"The AUC of lines is not above {WANTED_AUC:g}: risks of prose are not worth offering."
