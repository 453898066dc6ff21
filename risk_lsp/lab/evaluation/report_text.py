"""The evaluation as one Markdown page, made of its figures alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from risk_lsp.lab.evaluation.figures import BASE_RATE, HITS, PROBE
from risk_lsp.lab.evaluation.sentences import (
    benchmark_sentences,
    calibration_sentences,
    data_sentences,
    line_sentences,
    order_sentences,
    reflection_sentences,
    sibling_sentences,
    unread_sentences,
)
from risk_lsp.lab.span_tables import LEVELS

_SKILL = (
    ("bss_raw", "BSS raw"),
    ("ece_raw", "ECE raw"),
    ("ece_adaptive_raw", "adaptive ECE raw"),
    ("auc", "AUC"),
    ("within_auc", "AUC within failing programs"),
    ("bss_platt", "BSS Platt"),
    ("ece_platt", "ECE Platt"),
)
_PROGRAM_SKILL = tuple(column for column in _SKILL if column[0] != "within_auc")
_ORDER = (
    *((f"hits_at_{k}", f"hit in the first {k}") for k in HITS),
    ("lines_read", "share of lines read"),
    ("lines_saved", "less than from the top"),
)
_MAPS = tuple(
    (f"{name}_{way}", f"{title} {shown}")
    for name, title in (("bss", "BSS"), ("ece", "ECE"), ("ece_adaptive", "adaptive ECE"))
    for way, shown in (("raw", "raw"), ("platt", "Platt"), ("isotonic", "isotonic"))
)
_TERMS = """\
BSS: Brier skill score against the base rate of the very spans that are judged; 1 is perfect, 0 no better than the
base rate, below 0 worse. ECE: expected calibration error over ten bins, of equal width or (adaptive) of equal weight.
AUC: .5 is chance. "Platt": after a rescaling with two parameters, fitted on the calibration problems of the other
folds; "isotonic": after the rising map that suits those best. "Within failing programs" leaves out the question which
programs are in trouble. Brackets hold 95% intervals by bootstrap over problems. Every problem weighs the same at every
level; its failing programs weigh their natural share.
"""


def evaluation_markdown(found: Mapping[str, Any], more: Sequence[str] = ()) -> str:
    """The whole report; `found` is what evaluation.json holds, `more` are the paragraphs of further sections."""
    parts = [
        "# Evaluation",
        f"Made by `{found['command']}`; the same figures, to four digits, are in evaluation.json.",
        *(_folds(found) if "five_folds" in found else []),
        *more,
        *_attempts(found.get("attempts", [])),
    ]
    return "\n\n".join(parts) + "\n"


def _folds(found: Mapping[str, Any]) -> Iterable[str]:
    """The first bundle and its rivals, on problems and on benchmarks that were held out."""
    folds = found["five_folds"]
    return [
        "## What was measured",
        data_sentences(found),
        "\n".join(_data_table(found["data"])),
        _TERMS.strip(),
        "## Problems held out: five folds",
        line_sentences(folds["line"]),
        *_levels(folds),
        "### Reading a failing program by its lines",
        order_sentences(folds["line"]),
        _table(folds["line"]["techniques"], _ORDER),
        "### Calibration",
        calibration_sentences(folds),
        _by_level(folds, PROBE, _MAPS),
        *(f"![{title}]({path})" for title, path in found["plots"].items()),
        "## Benchmarks held out",
        benchmark_sentences(found["benchmarks_out"]),
        *_benchmarks(found["benchmarks_out"], found["benchmarks_mean"]),
        "## Problems that the model never read",
        unread_sentences(found),
        _by_level(found["unread"], PROBE),
        "## The bundle as it is shipped, on the test problems",
        _by_level(found["shipped"], PROBE),
        "## The rivals",
        sibling_sentences(found["siblings"]),
        reflection_sentences(found["reflection"]),
    ]


def _levels(levels: Mapping[str, Any]) -> Iterable[str]:
    for level in filter(levels.__contains__, LEVELS):
        measured = levels[level]
        yield f"### {level.capitalize()}s"
        yield (
            f"{measured['spans']:,} {level}s of {measured['programs']:,} programs of {measured['problems']:,} problems;"
            f" {_shown(measured['base_rate'])} of them edited."
        )
        yield _table(measured["techniques"], _PROGRAM_SKILL if level in ("function", "program") else _SKILL)


def _benchmarks(found: Mapping[str, Any], means: Mapping[str, Any]) -> Iterable[str]:
    for level in ("line", "program") if found else ():
        rows = []
        columns = _PROGRAM_SKILL if level == "program" else _SKILL
        for benchmark, levels in found.items():
            for technique, figures in levels[level]["techniques"].items():
                if technique != BASE_RATE:
                    rows.append([benchmark, technique, *_cells(figures, columns)])
        yield f"### {level.capitalize()}s, by benchmark that was left out"
        yield markdown_table(["left out", "technique", *(title for _, title in columns)], rows)
        yield f"Mean of the {len(found)}, {level}s:"
        yield _table(means[level], columns)


def _by_level(levels: Mapping[str, Any], technique: str, columns: Sequence[tuple[str, str]] = _SKILL) -> str:
    rows = [
        [level, f"{levels[level]['problems']:,}", *_cells(levels[level]["techniques"][technique], columns)]
        for level in LEVELS
        if level in levels
    ]
    return markdown_table(["level", "problems", *(title for _, title in columns)], rows)


def _table(techniques: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> str:
    rows = [[technique, *_cells(figures, columns)] for technique, figures in techniques.items()]
    return markdown_table(["technique", *(title for _, title in columns)], rows)


def _cells(figures: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> list[str]:
    return [interval_text(figures.get(name)) for name, _ in columns]


def interval_text(value: Sequence[float | None] | None) -> str:
    """[estimate, low, high] as a cell of a table; empty for a figure that is not there or undefined."""
    if value is None or value[0] is None:
        return ""
    interval = "" if value[1] is None or value[2] is None else f" [{_shown(value[1])}, {_shown(value[2])}]"
    return _shown(value[0]) + interval


def _shown(value: float | None) -> str:
    """Three digits without the leading zero."""
    return "n/a" if value is None else f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def _data_table(data: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            name,
            *(f"{part[key]:,}" for key in ("problems", "programs", "failing", "with_known_fix", "test", "calibration")),
        ]
        for name, part in data["benchmarks"].items()
    ]
    titles = [
        "benchmark",
        "problems",
        "programs",
        "failing",
        "with a known fix",
        "test problems",
        "calibration problems",
    ]
    return [markdown_table(titles, rows)]


def _attempts(attempts: Sequence[Mapping[str, Any]]) -> list[str]:
    if not attempts:
        return []
    columns = [name for name in attempts[0] if name != "variant"]
    rows = [[str(attempt["variant"]), *(_attempt_cell(attempt.get(name)) for name in columns)] for attempt in attempts]
    return [
        "## What was tried",
        "Probes fitted on training problems and compared on calibration problems; no test problem took part. "
        "Brier skill is that of a map fitted on one half of the calibration problems and judged on the other.",
        markdown_table(["variant", *columns], rows),
    ]


def _attempt_cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return _shown(value) if abs(value) < 1 else f"{value:.0f}"


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a line of titles."""
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
