"""Files in, a report on each out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.risk.changes import Changes, Ranges, changed_mask
from risk_lsp.risk.presentation import ReferenceTable, reason_outside
from risk_lsp.risk.span_risk import Scorer, SpanRisk, in_batches
from risk_lsp.risk.views import (
    FunctionRisk,
    code_line_risks,
    document_risk,
    driving_words,
    function_risks,
    line_risks,
    riskiest_lines,
)
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.source_files import FoundFile, find_files, language_of, read_source, without_repeats
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
    lines are picked, for comments and docstrings too. `changed` is bool[lines] if lines that did not change are passed
    over: neither worth reading nor findings.
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
    changed: NDArray[np.bool_] | None = None

    @property
    def text(self) -> str:
        """What the file holds."""
        return self.lines.text

    @property
    def outside(self) -> str | None:
        """Why the probabilities may not hold for this file, or None."""
        return reason_outside(self.language_id, self.lines.count, self.novelty)


@dataclass(frozen=True)
class FileFailure:
    """A file, or a folder, that could not be checked, and why."""

    path: Path
    error: RiskError


@dataclass(frozen=True)
class CheckResult:
    """What became of all files, in their order. `base` is the commit that they were compared with, as it was named."""

    reports: tuple[FileReport, ...]
    failures: tuple[FileFailure, ...]
    threshold: float
    base: str | None = None

    @property
    def has_findings(self) -> bool:
        """Whether any line is likelier to need an edit than the threshold."""
        return any(report.findings for report in self.reports)


def collected(
    outcomes: Iterable[FileReport | FileFailure], options: CheckOptions, base: str | None = None
) -> CheckResult:
    """The outcomes of check_paths, told apart. In a comparison the `top` lines count over all files together."""
    everything = tuple(outcomes)
    reports = tuple(each for each in everything if isinstance(each, FileReport))
    failures = tuple(each for each in everything if isinstance(each, FileFailure))
    if base is not None:
        reports = _top_over_all(reports, options.top)
    return CheckResult(reports, failures, options.threshold, base)


def likeliest_first(
    reports: Iterable[FileReport], lines: Callable[[FileReport], Sequence[LineRisk]]
) -> list[tuple[FileReport, LineRisk]]:
    """Lines of all files, the likeliest first, then in the order of the files."""
    found = [(report, line) for report in reports for line in lines(report)]
    return sorted(found, key=lambda each: -each[1].probability)


def check_paths(
    engine: Scorer,
    paths: Sequence[Path],
    options: CheckOptions,
    reference: ReferenceTable,
    changes: Changes | None = None,
) -> Iterator[FileReport | FileFailure]:
    """Check files, and the Python files below folders, some at a time; what cannot be read does not stop the others.

    With `changes` only files that changed are checked, and only changed lines pointed at.
    """
    files: list[FoundFile] = []
    for path in paths:
        try:
            if changes is not None:
                changes.require_inside(path)
            files += find_files(path)
        except RiskError as error:
            yield FileFailure(path, error)
    for batch in in_batches(_sources(without_repeats(files), changes), _characters):
        yield from (each for each in batch if isinstance(each, FileFailure))
        yield from _reports(engine, [each for each in batch if isinstance(each, _Source)], options, reference)


@dataclass(frozen=True)
class _Source:
    """What a file holds, and what changed in it."""

    path: Path
    text: str
    changed: Ranges | None


def _sources(files: Sequence[FoundFile], changes: Changes | None) -> Iterator[_Source | FileFailure]:
    """The files that there is something to say about, read, and those that cannot be."""
    for file in files:
        changed = None if changes is None else changes.of(file)
        if changed == ():
            continue
        try:
            text = read_source(file.path)
            if text.strip():
                yield _Source(file.path, text, changed)
            elif file.named and changed is None:
                raise BadInput(f"{file.path} is empty", "give a file with code in it")
        except RiskError as error:
            yield FileFailure(file.path, error)


def _characters(source: _Source | FileFailure) -> int:
    return len(source.text) if isinstance(source, _Source) else 0


def _reports(
    engine: Scorer, sources: Sequence[_Source], options: CheckOptions, reference: ReferenceTable
) -> Iterator[FileReport | FileFailure]:
    """The reports on files, in their order; those of one language in a row share runs of the model."""
    for language_id, group in groupby(sources, key=lambda source: language_of(source.path)):
        alike = list(group)
        try:
            risks = engine.score_many([source.text for source in alike], language_id)
        except RiskError:  # about one of them: it shows which when each is read by itself
            yield from (_report_or_failure(engine, source, options, reference) for source in alike)
            continue
        for source, risk in zip(alike, risks, strict=True):
            yield file_report(risk, source.text, source.path, language_id, options, reference, source.changed)


def _report_or_failure(
    engine: Scorer, source: _Source, options: CheckOptions, reference: ReferenceTable
) -> FileReport | FileFailure:
    try:
        return check_text(engine, source.text, source.path, options, reference, source.changed)
    except RiskError as error:
        return FileFailure(source.path, error)


def check_text(
    engine: Scorer,
    text: str,
    path: Path,
    options: CheckOptions,
    reference: ReferenceTable,
    changed: Ranges | None = None,
) -> FileReport:
    """The report on one text, which need not parse; on its changed lines, if these are given."""
    language_id = language_of(path)
    return file_report(engine.score(text, language_id), text, path, language_id, options, reference, changed)


def file_report(
    risk: SpanRisk,
    text: str,
    path: Path,
    language_id: str,
    options: CheckOptions,
    reference: ReferenceTable,
    changed: Ranges | None = None,
) -> FileReport:
    """The report on a text whose risks are known."""
    lines = LineIndex(text)
    mask = None if changed is None else changed_mask(lines, changed)
    probabilities = code_line_risks(risk, text, language_id)
    candidates = probabilities if mask is None else np.where(mask, probabilities, np.nan)
    described = _LineDescriber(risk, text, candidates, reference)
    above = int(np.count_nonzero(candidates > options.threshold))
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
        changed=mask,
    )


def _top_over_all(reports: tuple[FileReport, ...], top: int) -> tuple[FileReport, ...]:
    chosen = likeliest_first(reports, lambda report: report.worth_reading)[:top]
    kept = {id(line) for _, line in chosen}
    return tuple(
        replace(report, worth_reading=tuple(line for line in report.worth_reading if id(line) in kept))
        for report in reports
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
