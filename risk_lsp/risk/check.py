"""Files in, a report on each out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.risk.files import FoundFile, find_files, without_repeats
from risk_lsp.risk.reference import ReferenceTable
from risk_lsp.risk.span_risk import Scorer, SpanRisk
from risk_lsp.risk.views import (
    FunctionRisk,
    code_line_risks,
    document_risk,
    driving_words,
    function_risks,
    line_risks,
    riskiest_lines,
)
from risk_lsp.text.languages import language_of
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.reading import read_source
from risk_lsp.text.spans import Span, stripped_line_spans
from risk_lsp.text.structure import parse_structure

# The editor's threshold: what counts as a finding when nobody says otherwise.
DEFAULT_THRESHOLD = 0.3


@dataclass(frozen=True)
class CheckOptions:
    """`top`: how many lines a report names as most worth reading. `threshold`: lines likelier than it are findings."""

    top: int = 3
    threshold: float = DEFAULT_THRESHOLD

    def __post_init__(self) -> None:
        if self.top < 0:
            raise BadInput(f"--top is {self.top}", "give 0 or more")
        if not 0 <= self.threshold <= 1:
            raise BadInput(f"the threshold is {self.threshold}", "give a probability from 0 to 1")


@dataclass(frozen=True)
class LineRisk:
    """A line: its index from 0, the span of its content, its probability, the tokens that drive it, what it means."""

    line: int
    span: Span
    probability: float
    words: tuple[Span, ...]
    reference: str | None


@dataclass(frozen=True)
class FileReport:
    """The risks of one file.

    `line_probabilities` and `code_probabilities` are float64[lines]: NaN for blank lines, and in the latter, from which
    lines are picked, for comments and docstrings too.
    """

    path: Path
    language_id: str
    lines: LineIndex
    document: float
    line_probabilities: NDArray[np.float64]
    code_probabilities: NDArray[np.float64]
    functions: tuple[FunctionRisk, ...]
    worth_reading: tuple[LineRisk, ...]
    findings: tuple[LineRisk, ...]
    novelty: float | None

    @property
    def text(self) -> str:
        """What the file holds."""
        return self.lines.text


@dataclass(frozen=True)
class FileFailure:
    """A file, or a folder, that could not be checked, and why."""

    path: Path
    error: RiskError


@dataclass(frozen=True)
class CheckResult:
    """What became of all files, in their order."""

    reports: tuple[FileReport, ...]
    failures: tuple[FileFailure, ...]
    threshold: float

    @property
    def has_findings(self) -> bool:
        """Whether any line is likelier to need an edit than the threshold."""
        return any(report.findings for report in self.reports)


def collected(outcomes: Iterable[FileReport | FileFailure], options: CheckOptions) -> CheckResult:
    """The outcomes of check_paths, told apart."""
    everything = tuple(outcomes)
    return CheckResult(
        tuple(each for each in everything if isinstance(each, FileReport)),
        tuple(each for each in everything if isinstance(each, FileFailure)),
        options.threshold,
    )


def check_paths(
    engine: Scorer, paths: Sequence[Path], options: CheckOptions, reference: ReferenceTable
) -> Iterator[FileReport | FileFailure]:
    """Check files, and the Python files below folders, one by one; what cannot be read does not stop the others."""
    files: list[FoundFile] = []
    for path in paths:
        try:
            files += find_files(path)
        except RiskError as error:
            yield FileFailure(path, error)
    for file in without_repeats(files):
        try:
            text = read_source(file.path)
            if text.strip():
                yield check_text(engine, text, file.path, options, reference)
            elif file.named:
                raise BadInput(f"{file.path} is empty", "give a file with code in it")
        except RiskError as error:
            yield FileFailure(file.path, error)


def check_text(engine: Scorer, text: str, path: Path, options: CheckOptions, reference: ReferenceTable) -> FileReport:
    """The report on one text, which need not parse."""
    language_id = language_of(path)
    risk = engine.score(text, language_id)
    lines = LineIndex(text)
    probabilities = code_line_risks(risk, text, language_id)
    described = _LineDescriber(risk, text, probabilities, reference)
    above = int(np.count_nonzero(probabilities > options.threshold))
    return FileReport(
        path=path,
        language_id=language_id,
        lines=lines,
        document=document_risk(risk),
        line_probabilities=line_risks(risk, text),
        code_probabilities=probabilities,
        functions=tuple(function_risks(risk, parse_structure(text, language_id))),
        worth_reading=described.riskiest(options.top),
        findings=described.riskiest(above),
        novelty=risk.novelty,
    )


class _LineDescriber:
    """The lines of one text with all that a report says of them."""

    def __init__(
        self, risk: SpanRisk, text: str, probabilities: NDArray[np.float64], reference: ReferenceTable
    ) -> None:
        self._risk = risk
        self._text = text
        self._probabilities = probabilities
        self._reference = reference
        self._spans = stripped_line_spans(text)

    def riskiest(self, top: int) -> tuple[LineRisk, ...]:
        return tuple(map(self._described, riskiest_lines(self._probabilities, top)))

    def _described(self, line: int) -> LineRisk:
        span, probability = self._spans[line], float(self._probabilities[line])
        words = tuple(driving_words(self._risk, self._text, span))
        return LineRisk(line, span, probability, words, self._reference.sentence(probability))
