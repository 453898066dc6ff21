"""Files in, a report on each out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.probe.calibration import Place, Priors
from risk_lsp.probe.manifest import ReferenceTable
from risk_lsp.risk.changes import Changes, Ranges, TextPlace, changed_mask, places_of
from risk_lsp.risk.presentation import (
    FunctionRisk,
    PlacedRisk,
    Standing,
    code_line_risks,
    document_risk,
    driving_words,
    few_at_rest,
    line_risks,
    place_risks,
    ranks_of,
    riskiest_lines,
)
from risk_lsp.risk.span_risk import Scorer, SpanRisk, in_batches
from risk_lsp.settings import Settings
from risk_lsp.text.document import LineIndex, Span, stripped_line_spans
from risk_lsp.text.source_files import (
    NOT_FOR_PROSE,
    PROSE_LANGUAGES,
    FoundFile,
    find_files,
    language_of,
    read_source,
    without_repeats,
)
from risk_lsp.text.structure import parse_structure

# The editor's threshold: what counts as a finding when nobody says otherwise.
DEFAULT_THRESHOLD = 0.3
DEFAULT_PRIORS = Priors()


@dataclass(frozen=True)
class CheckOptions:
    """`top`: how many lines a report names as most worth reading. `threshold`: lines likelier than it are findings.

    `place`: that of all lines; None lets git and what is installed decide. `priors`: what the bundle says of places.
    `longest`: files of more characters are passed over.
    """

    top: int = 3
    threshold: float = DEFAULT_THRESHOLD
    place: Place | None = None
    priors: Priors = DEFAULT_PRIORS
    longest: int = Settings().max_characters

    def __post_init__(self) -> None:
        if self.top < 0:
            raise BadInput(f"--top is {self.top}", "give 0 or more")
        if not 0 <= self.threshold <= 1:
            raise BadInput(f"the threshold is {self.threshold}", "give a probability from 0 to 1")


@dataclass(frozen=True)
class LineRisk:
    """A line: its index from 0, the span of its content, its probability, the tokens that drive it, what it means.

    `standing` says whether people are given the probability, or only the line's rank. `reference` is for the former.
    """

    line: int
    span: Span
    probability: float
    words: tuple[Span, ...]
    reference: str | None
    standing: Standing


@dataclass(frozen=True)
class FileReport:
    """The risks of one file.

    `line_probabilities` and `code_probabilities` are float64[lines]: NaN for blank lines, and in the latter, from which
    lines are picked, for comments and docstrings too. `ranks`, int64[lines], go from 1 over lines of code, and are 0
    for the others. `changed` is bool[lines] if lines that did not change are passed over: neither worth reading nor
    findings.
    """

    path: Path
    language_id: str
    placed: PlacedRisk
    document: float
    line_probabilities: NDArray[np.float64]
    code_probabilities: NDArray[np.float64]
    ranks: NDArray[np.int64]
    functions: tuple[tuple[FunctionRisk, Standing], ...]
    worth_reading: tuple[LineRisk, ...]
    findings: tuple[LineRisk, ...]
    changed: NDArray[np.bool_] | None = None

    @property
    def lines(self) -> LineIndex:
        """The lines of the file."""
        return self.placed.lines

    @property
    def text(self) -> str:
        """What the file holds."""
        return self.lines.text

    @property
    def outside(self) -> str | None:
        """Why the probabilities may not hold for this file, or None."""
        return self.placed.outside


@dataclass(frozen=True)
class FileFailure:
    """A file, or a folder, that could not be checked, and why."""

    path: Path
    error: RiskError


@dataclass(frozen=True)
class FilePassedOver:
    """A file that was not read although nothing is wrong with it, and why, as one clause."""

    path: Path
    reason: str


Outcome: TypeAlias = FileReport | FileFailure | FilePassedOver


@dataclass(frozen=True)
class CheckResult:
    """What became of all files, in their order. `base` is the commit that they were compared with, as it was named."""

    reports: tuple[FileReport, ...]
    failures: tuple[FileFailure, ...]
    threshold: float
    base: str | None = None
    passed_over: tuple[FilePassedOver, ...] = ()


def collect_result(outcomes: Iterable[Outcome], options: CheckOptions, base: str | None = None) -> CheckResult:
    """The outcomes of check_paths, told apart. In a comparison the `top` lines count over all files together."""
    everything = tuple(outcomes)
    reports = tuple(each for each in everything if isinstance(each, FileReport))
    failures = tuple(each for each in everything if isinstance(each, FileFailure))
    passed_over = tuple(each for each in everything if isinstance(each, FilePassedOver))
    if base is not None:
        chosen = likeliest_first(reports, lambda report: report.worth_reading)[: options.top]
        kept = {id(line) for _, line in chosen}
        reports = tuple(
            replace(report, worth_reading=tuple(line for line in report.worth_reading if id(line) in kept))
            for report in reports
        )
    return CheckResult(reports, failures, options.threshold, base, passed_over)


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
    on_batch: Callable[[Sequence[Path], int, int], None] = lambda paths, before, of: None,
) -> Iterator[Outcome]:
    """Check files, and the Python files below folders, some at a time; what cannot be read does not stop the others.

    With `changes` only files that changed are checked, and only changed lines pointed at. `on_batch` hears which files
    the model is about to read, how many were looked at before them, and how many there are.
    """
    files: list[FoundFile] = []
    for path in paths:
        try:
            if changes is not None:
                changes.require_inside(path)
            files += find_files(path)
        except RiskError as error:
            yield FileFailure(path, error)
    files = without_repeats(files)
    looked_at = 0
    found = _sources(files, changes, options)
    for batch in in_batches(found, lambda each: len(each.text) if isinstance(each, _Source) else 0):
        yield from (each for each in batch if not isinstance(each, _Source))
        sources = [each for each in batch if isinstance(each, _Source)]
        on_batch([source.path for source in sources], looked_at, len(files))
        yield from _reports(engine, sources, options, reference)
        looked_at += len(batch)


@dataclass(frozen=True)
class _Source:
    """What a file holds, where its lines are, and what changed in it."""

    path: Path
    text: str
    place: TextPlace
    changed: Ranges | None


def _sources(
    files: Sequence[FoundFile], changes: Changes | None, options: CheckOptions
) -> Iterator[_Source | FileFailure | FilePassedOver]:
    """The files that there is something to say about, read, and those that cannot be, or are passed over."""
    place = options.place
    changed_of = {file.path: None if changes is None else changes.of(file) for file in files}
    files = [file for file in files if changed_of[file.path] != ()]
    places = places_of([file.path for file in files]) if place is None else [TextPlace(place)] * len(files)
    for file, found in zip(files, places, strict=True):
        changed = changed_of[file.path]
        if changed is not None and found.place is Place.AT_REST:
            found = replace(found, changed=changed)
        try:
            text = read_source(file.path)
            if language_of(file.path) in PROSE_LANGUAGES:
                yield FilePassedOver(file.path, NOT_FOR_PROSE)
            elif len(text) > options.longest:
                reason = f"it has {len(text):,} characters, over {options.longest:,} (--max-characters)"
                yield FilePassedOver(file.path, reason)
            elif text.strip():
                yield _Source(file.path, text, found, changed)
            elif file.named and changed is None:
                yield FilePassedOver(file.path, "it is empty")
        except RiskError as error:
            yield FileFailure(file.path, error)


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
            yield _report(risk, source, language_id, options, reference)


def _report_or_failure(
    engine: Scorer, source: _Source, options: CheckOptions, reference: ReferenceTable
) -> FileReport | FileFailure:
    try:
        language_id = language_of(source.path)
        return _report(engine.score(source.text, language_id), source, language_id, options, reference)
    except RiskError as error:
        return FileFailure(source.path, error)


def _report(
    risk: SpanRisk, source: _Source, language_id: str, options: CheckOptions, reference: ReferenceTable
) -> FileReport:
    lines = LineIndex(source.text)
    mask = None if source.changed is None else changed_mask(lines, source.changed)
    here = place_risks(risk, lines, source.place.of_lines(lines), options.priors, language_id)
    return file_report(here, source.path, language_id, options, reference, mask)


def check_text(engine: Scorer, text: str, path: Path, options: CheckOptions, reference: ReferenceTable) -> FileReport:
    """The report on one text, which need not parse; it counts as generated unless the options say where it is."""
    language_id = language_of(path)
    source = _Source(path, text, TextPlace(options.place or Place.GENERATED), None)
    return _report(engine.score(text, language_id), source, language_id, options, reference)


def file_report(
    here: PlacedRisk,
    path: Path,
    language_id: str,
    options: CheckOptions,
    reference: ReferenceTable,
    changed: NDArray[np.bool_] | None = None,
) -> FileReport:
    """The report on a text whose risks are known; on its changed lines, bool[lines], if these are given.

    Findings are the lines above the threshold; of code at rest, one for 50 lines at most.
    """
    risk, text = here.risks, here.lines.text
    probabilities = code_line_risks(risk, text, language_id)
    candidates = probabilities if changed is None else np.where(changed, probabilities, np.nan)
    above = riskiest_lines(candidates, int(np.count_nonzero(candidates > options.threshold)))
    described = _LineDescriber(here, probabilities, reference)
    return FileReport(
        path=path,
        language_id=language_id,
        placed=here,
        document=document_risk(risk),
        line_probabilities=line_risks(risk, text),
        code_probabilities=probabilities,
        ranks=described.ranks,
        functions=tuple(here.functions(parse_structure(text, language_id))),
        worth_reading=described.of(riskiest_lines(candidates, options.top)),
        findings=described.of(few_at_rest(above, here.at_rest, ~np.isnan(probabilities))),
        changed=changed,
    )


class _LineDescriber:
    """The lines of one text with all that a report says of them."""

    def __init__(self, here: PlacedRisk, probabilities: NDArray[np.float64], reference: ReferenceTable) -> None:
        self._here = here
        self._text = here.lines.text
        self._probabilities = probabilities
        self._reference = reference
        self._spans = stripped_line_spans(self._text)
        self.ranks = ranks_of(probabilities)

    def of(self, lines: Sequence[int]) -> tuple[LineRisk, ...]:
        return tuple(map(self._describe_line, lines))

    def _describe_line(self, line: int) -> LineRisk:
        span, probability = self._spans[line], float(self._probabilities[line])
        words = tuple(driving_words(self._here.risks, self._text, span))
        standing = self._here.of_line(line, self.ranks)
        meaning = self._reference.sentence(probability) if standing.why is None else None
        return LineRisk(line, span, probability, words, meaning, standing)
