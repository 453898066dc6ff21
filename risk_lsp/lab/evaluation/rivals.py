"""Rivals: where a span stands, token probability, agreement among programs of a model, a model asked line by line."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from risk_lsp.lab.evaluation.metrics import FloatArray, IntArray
from risk_lsp.lab.evaluation.reliability import logistic_regression
from risk_lsp.lab.evaluation.study import Study
from risk_lsp.lab.json_lines import read_appended
from risk_lsp.lab.patches.programs import Sample, read_samples
from risk_lsp.lab.span_tables import LEVELS, Level, SpanTable
from risk_lsp.lab.training.labelled_programs import LabelledProgram
from risk_lsp.probe.layout import FIRST_WORDS, first_word
from risk_lsp.report.wording import shown_progress
from risk_lsp.text.document import LineIndex, Span
from risk_lsp.text.structure import code_line_spans

if TYPE_CHECKING:
    from risk_lsp.repair.endpoint import Endpoint


_NEXT_TO_NOTHING = 1e-9


class LogisticModel(NamedTuple):
    """A logistic regression on features that are brought to mean 0 and variance 1."""

    mean: FloatArray
    scale: FloatArray
    regression: LogisticRegression

    def probability(self, features: FloatArray) -> FloatArray:
        """float64[n, features] -> float64[n]."""
        return np.asarray(self.regression.predict_proba((features - self.mean) / self.scale)[:, 1], dtype=np.float64)


def fit_logistic(
    features: FloatArray, labels: NDArray[np.bool_], weights: FloatArray, ridge: float = 1e-4
) -> LogisticModel:
    """The model of least weighted mean log-loss + ridge / 2 |coefficients|^2; the intercept is free.

    features: float64[n, features]; one that does not vary gets no say. labels: bool[n]. weights: float64[n], of which
    only the ratios count.
    """
    used = weights > 0
    mean = np.average(features[used], axis=0, weights=weights[used])
    spread = np.sqrt(np.average((features[used] - mean) ** 2, axis=0, weights=weights[used]))
    scale = np.where(spread > 1e-9, spread, np.inf)
    # A row of each label at the mean keeps the model finite where one class has no row; they weigh next to nothing.
    rows = np.concatenate([(features[used] - mean) / scale, np.zeros((2, features.shape[1]))])
    shares = np.append(weights[used] / weights[used].sum(), [_NEXT_TO_NOTHING, _NEXT_TO_NOTHING])
    regression = logistic_regression(rows, np.append(labels[used], [False, True]), shares, ridge=ridge)
    return LogisticModel(mean, scale, regression)


FEATURES = 8 + len(FIRST_WORDS)


def trivial_features(text: str, scored: Span, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> FloatArray:
    """float64[spans, FEATURES]: position, length, indentation, length of the program, and the first word's kind."""
    lines = LineIndex(text)
    first = np.searchsorted(lines.starts, starts, side="right") - 1
    last = np.searchsorted(lines.starts, np.maximum(ends - 1, starts), side="right") - 1
    begin = int(np.searchsorted(lines.starts, scored.start, side="right")) - 1
    count = max(lines.count - begin, 1)
    place = (first - begin) / count
    heads = [lines.slice(lines.start(line), lines.content_end(line)) for line in first.tolist()]
    indent = np.array([len(head) - len(head.lstrip()) for head in heads])
    numbers = np.stack(
        [
            place,
            place**2,
            np.log1p(np.maximum(first - begin, 0)),
            np.log1p(ends - starts),
            np.log1p(last - first),
            (starts - lines.starts[first]) / 80.0,
            indent / 8.0,
            np.full(len(starts), np.log1p(count)),
        ],
        axis=1,
    ).reshape(len(starts), 8)
    words = np.zeros((len(starts), len(FIRST_WORDS)))
    for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        words[row, FIRST_WORDS.index(first_word(text[start : min(end, start + 40)]))] = 1.0
    return np.concatenate([numbers, words], axis=1)


def trivial_feature_table(texts: list[tuple[str, Span]], table: SpanTable) -> FloatArray:
    """The features of every span of a table, float64[spans, FEATURES]; `texts` are its programs."""
    bounds = np.searchsorted(table.program, np.arange(len(texts) + 1))
    parts = [
        trivial_features(text, scored, table.start[low:high], table.end[low:high])
        for (text, scored), low, high in zip(texts, bounds[:-1], bounds[1:], strict=True)
    ]
    return np.concatenate([np.zeros((0, FEATURES)), *parts])


SIBLINGS = 5
Scores = dict[str, dict[Level, FloatArray]]
_Known = TypeVar("_Known")


def black_box_scores(
    study: Study, samples: Iterable[Path], answers: Sequence[dict[int, float]], asked_model: str | None
) -> tuple[Scores, dict[str, Any]]:
    """The scores of every span of a study by technique and level, and what the report says of them.

    The techniques learn nothing: of those for which there is something, token probability by the study's statistics,
    multisampling by the programs in the files `samples`, and reflective prompting by each program's answers by line.
    """
    found: Scores = {}
    if study.statistics:
        found["token probability"] = {level: study.improbability(level) for level in LEVELS}
    siblings = read_siblings(samples, study.data.programs)
    having, answered = sum(map(bool, siblings)), sum(map(bool, answers))
    for level, table in study.tables.items():
        if having:
            scores = scores_of_table(study.texts, siblings, table, span_disagreement)
            found.setdefault("multisampling", {})[level] = scores
        if answered:
            scores = scores_of_table(study.texts, answers, table, span_reflections)
            found.setdefault("reflective prompting", {})[level] = scores
    return found, {
        "siblings": {"programs": having, "of": len(study.data.programs), "most": SIBLINGS},
        "reflection": {"programs": answered, "model": asked_model},
    }


def code_lines(text: str, scored: Span | None = None) -> list[str]:
    """The code lines of a program without the white space that does not matter in them."""
    return ["".join(text[start:end].split()) for start, end in code_line_spans(text, "python", scored)]


def disagreement(lines: Sequence[str], siblings: Sequence[Sequence[str]]) -> FloatArray:
    """The share of the siblings that lack each line, when all are aligned with it line by line, float64[lines]."""
    lacking = np.zeros(len(lines))
    for other in siblings:
        matcher = SequenceMatcher(None, lines, other, autojunk=False)
        present = np.zeros(len(lines), dtype=np.bool_)
        for start, _, size in matcher.get_matching_blocks():
            present[start : start + size] = True
        lacking += ~present
    return lacking / max(len(siblings), 1)


def span_disagreement(text: str, scored: Span, siblings: Sequence[Sequence[str]], spans: IntArray) -> FloatArray:
    """The mean disagreement over the code lines that each span overlaps, float64[spans]; 0 for one that meets none.

    `spans` int64[n, 2]. The score of a token is that of its line.
    """
    places = np.array(code_line_spans(text, "python", scored), dtype=np.int64).reshape(-1, 2)
    sums = np.concatenate(([0.0], np.cumsum(disagreement(code_lines(text, scored), siblings))))
    first = np.searchsorted(places[:, 1], spans[:, 0], side="right")
    last = np.maximum(np.searchsorted(places[:, 0], spans[:, 1], side="left"), first)
    # Differences of sums can leave [0, 1] by rounding.
    return np.clip((sums[last] - sums[first]) / np.maximum(last - first, 1), 0.0, 1.0)


def scores_of_table(
    texts: Sequence[tuple[str, Span]],
    known: Sequence[_Known],
    table: SpanTable,
    score: Callable[[str, Span, _Known, IntArray], FloatArray],
) -> FloatArray:
    """The score of every span of a table by what is known of its program, such as its siblings; NaN without that.

    `score` is `span_disagreement` or `span_reflections`.
    """
    bounds = np.searchsorted(table.program, np.arange(len(texts) + 1))
    scores = np.full(len(table), np.nan)
    for (text, scored), of_program, low, high in zip(texts, known, bounds[:-1], bounds[1:], strict=True):
        if of_program and low < high:
            spans = np.stack([table.start[low:high], table.end[low:high]], axis=1)
            scores[low:high] = score(text, scored, of_program, spans)
    return scores


def read_siblings(paths: Iterable[Path], programs: Sequence[LabelledProgram]) -> list[list[list[str]]]:
    """The code lines of up to 5 siblings of each program: other programs of its model for its task, always the same."""
    wanted = {(program.task_id, program.model) for program in programs}
    known: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for path in paths:
        for sample in read_samples(path):
            if (sample.task_id, sample.model) in wanted:
                known[sample.task_id, sample.model].append(sample)
    lines = {
        key: [
            code_lines(sample.program, Span(sample.given, len(sample.program)))
            for sample in sorted(
                samples, key=lambda sample: sha256(sample.program.encode("utf-8", "surrogatepass")).digest()
            )
        ]
        for key, samples in known.items()
    }
    found = []
    for program in programs:
        others, own = list(lines.get((program.task_id, program.model), [])), code_lines(program.text, program.scored)
        if own in others:  # samples are distinct, so one that is equal is the program itself
            others.remove(own)
        found.append(others[:SIBLINGS])
    return found


_QUESTION = """\
Here is a Python program that is meant to do what it says. It may be wrong.

{program}

For each of these lines: how likely is it that the line has to be edited before the program does what was asked?
Lines: {lines}

Answer with one row per line and nothing else, the line's number and a probability from 0 to 1:
{example}
"""
# "L12: 0.4", "line 12 - 40%", "12. 0.4", "| 12 | 0.4 |", "**L12**: .4"; a minus sign belongs to no probability
_ROW = re.compile(
    r"^[\s|*\-]*(?:L(?:ine)?\s*)?(\d+)[*\s]*(?:[\s:|=,)\-]|\.\s)+(?<!-)(\d+(?:\.\d+)?|\.\d+)\s*(%?)[\s|*]*$",
    re.IGNORECASE | re.MULTILINE,
)


def question_about(text: str, scored: Span) -> str:
    """The prompt: the program with numbered lines, and which of them are asked about."""
    lines = text.splitlines()
    asked = [f"L{number}" for number in asked_lines(text, scored)]
    program = "\n".join(f"L{number:<4} {line}" for number, line in enumerate(lines, 1))
    example = "\n".join(f"{name}: 0.{digit}" for name, digit in zip(asked[:2], (1, 7), strict=False))
    return _QUESTION.format(program=program, lines=", ".join(asked), example=example)


def asked_lines(text: str, scored: Span) -> list[int]:
    """The numbers, from 1, of the code lines that a model wrote."""
    lines = LineIndex(text)
    return [lines.line_of(span.start) + 1 for span in code_line_spans(text, "python", scored)]


def probabilities_of(answer: str, asked: Sequence[int]) -> dict[int, float]:
    """The probability of each line that the answer gives one for; other rows, and numbers beyond 1, are passed over.

    A percentage counts as such; of two rows for one line the last counts.
    """
    found: dict[int, float] = {}
    for number, value, percent in _ROW.findall(answer):
        probability = float(value) / (100.0 if percent else 1.0)
        if int(number) in asked and probability <= 1.0:
            found[int(number)] = probability
    return found


def span_reflections(text: str, scored: Span, by_line: dict[int, float], spans: np.ndarray) -> FloatArray:
    """The highest answer among the code lines that each span int64[n, 2] overlaps, float64[n]; else NaN."""
    places = np.array(code_line_spans(text, "python", scored), dtype=np.int64).reshape(-1, 2)
    values = np.array([by_line.get(number, np.nan) for number in asked_lines(text, scored)], dtype=np.float64)
    overlaps = (places[None, :, 0] < spans[:, None, 1]) & (places[None, :, 1] > spans[:, None, 0])
    answered = np.where(overlaps & ~np.isnan(values), values, -1.0)
    best = answered.max(axis=1, initial=-1.0)
    return np.where(best >= 0.0, best, np.nan)


def ask_about(
    programs: Sequence[LabelledProgram], endpoint: Endpoint, model: str, path: Path, messages: TextIO
) -> None:
    """Put one question a program to the model, each answer to the end of `path`; what it holds is not asked again."""
    known = {record["id"] for _, record in read_appended(path) if record["model"] == model}
    pending = [program for program in programs if program.id not in known]
    with shown_progress(messages, "programs asked about", len(pending)) as progress, path.open("a") as out:
        for number, program in enumerate(pending, 1):
            answer = endpoint.complete(question_about(program.text, program.scored), temperature=0.0)
            out.write(json.dumps({"id": program.id, "model": model, "answer": answer.text}) + "\n")
            out.flush()
            progress.show(number)


def read_answers(programs: Sequence[LabelledProgram], model: str, path: Path) -> list[dict[int, float]]:
    """The probability of each line of each program, by line number from 1; empty for a program without answers."""
    answers = {record["id"]: record["answer"] for _, record in read_appended(path) if record["model"] == model}
    return [
        probabilities_of(answers.get(program.id, ""), asked_lines(program.text, program.scored)) for program in programs
    ]
