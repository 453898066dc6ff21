"""The sections of the report on bundles as people meet them: a section a part, a column a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risk_lsp.lab.evaluation.as_met import report_parts as parts
from risk_lsp.lab.evaluation.report_text import interval_text, markdown_table
from risk_lsp.settings import Settings

SIDE_BY_SIDE = "folds"
_LEVELS = (
    ("line_auc", "line AUC"),
    ("within_auc", "line AUC within failing programs"),
    ("line_bss_platt", "line BSS Platt"),
    ("line_bss_raw", "line BSS raw"),
    ("line_ece_raw", "line ECE raw"),
    ("program_auc", "program AUC"),
    ("program_bss_platt", "program BSS Platt"),
    ("program_ece_raw", "program ECE raw"),
)


@dataclass(frozen=True)
class Section:
    """How a part is shown.

    `measures`: their names, and what they are called. Of the rows in `whole` every measure is shown, of the other rows
    the first `detailed` measures.
    """

    title: str
    text: str
    measures: Sequence[tuple[str, str]]
    whole: Sequence[str]
    detailed: int


_CAP = Settings().max_diagnostics
SECTIONS = {
    SIDE_BY_SIDE: Section(
        "Bundles side by side",
        "Problems held out in five folds, each benchmark held out (mean), and the bundles as they ship, on the test"
        " problems.",
        _LEVELS,
        ("five folds", "benchmarks held out", "as it ships"),
        0,
    ),
    parts.SOURCES: Section(
        "Sources held out",
        "Each kind of source is left out in turn: a probe is fitted to the others, with the bundle's model frozen, and"
        " judged on the source that it never saw. The mean gives every source the same weight.",
        _LEVELS,
        ("mean", "mean, asked", "mean, bare"),
        6,
    ),
    parts.CONDITIONS: Section(
        "With and without the statement",
        "The bundles as they ship, on the same programs of test problems: as they are labelled, with what was asked as"
        " a docstring at the top, and without a word of it.",
        _LEVELS,
        ("as labelled", "asked", "bare"),
        0,
    ),
    parts.MODULES: Section(
        "Alone and inside a module",
        "The bundles as they ship, on programs of test problems: alone, and among functions of well-kept libraries in a"
        " module of 200 to 1,000 lines, of which the program's own lines count.",
        _LEVELS,
        ("alone", "in a module"),
        0,
    ),
    parts.REAL_BUGS: Section(
        "Real bugs",
        "Programs before a fix that was committed or accepted: where the lines that the fix touches stand among those"
        " of their function, read by score. `humanevalfix` holds bugs that people put in, and is not in `all`.",
        (
            ("auc", "AUC within the function"),
            ("hits_at_3", "a changed line among the first 3"),
            ("hits_at_1", "the first line is a changed one"),
            ("hits_at_5", "a changed line among the first 5"),
            ("first_rank", "place of the first changed line"),
            ("lines", "lines of code in the function"),
        ),
        ("all", "of held-out problems"),
        2,
    ),
    parts.WELL_KEPT: Section(
        "Well-kept code",
        "Files of libraries that many people have read, where next to nothing should be said. The threshold is the"
        f" product's, {Settings().threshold:g}, and so is the cap of {_CAP} hints a file.",
        (
            ("lines_above", "share of lines at or above the threshold"),
            ("at_cap", "share of files that show all hints"),
            ("document", "median probability of a file"),
            ("hints", "hints a file"),
            ("hints_per_50", "hints per 50 lines of code"),
        ),
        ("all",),
        3,
    ),
    parts.INVARIANCE: Section(
        "What does not matter",
        "How far the log-odds of a text, and of the lines that both versions hold, move when it changes as no test"
        " could see: mean and 95th percentile of the absolute change. Programs of test problems, and library files.",
        (
            ("document_mean", "whole text, mean"),
            ("document_p95", "whole text, 95th percentile"),
            ("line_mean", "lines, mean"),
            ("line_p95", "lines, 95th percentile"),
        ),
        ("all",),
        4,
    ),
}


def parts_markdown(found: Mapping[str, Any], command: str = "") -> list[str]:
    """The paragraphs of every section that has figures.

    found: by part what `measure_part` gives, and the command that made it. A section names its command where that
    differs from `command`, the report's.
    """
    return [
        paragraph
        for name, section in SECTIONS.items()
        if name in found
        for paragraph in _section(section, found[name], command)
    ]


def _section(section: Section, found: Mapping[str, Any], command: str) -> Iterable[str]:
    columns = found["columns"]
    yield f"## {section.title}"
    yield section.text
    made = "" if found.get("command", command) == command else f"Made by `{found['command']}`. "
    about = "; ".join(f"{name}: {_counted(value)}" for name, value in found["about"].items() if value)
    yield f"{made}{about}."
    for row in section.whole:
        if any(row in rows for rows in columns.values()):
            yield from _table(
                f"{row[0].upper()}{row[1:]}:",
                [
                    (title, [rows.get(row, {}).get(name) for rows in columns.values()])
                    for name, title in section.measures
                ],
                "measure",
                list(columns),
            )
    rows = [row for row in dict.fromkeys(row for rows in columns.values() for row in rows) if row not in section.whole]
    for name, title in section.measures[: section.detailed]:
        yield from _table(
            f"{title[0].upper()}{title[1:]}:",
            [(row, [known.get(row, {}).get(name) for known in columns.values()]) for row in rows],
            "",
            list(columns),
        )


def _table(title: str, rows: Sequence[tuple[str, Sequence[Any]]], first: str, columns: Sequence[str]) -> Iterable[str]:
    """A table with its title, without the rows that no column has a figure for."""
    shown = [[name, *map(interval_text, cells)] for name, cells in rows if any(cell is not None for cell in cells)]
    if shown:
        yield title
        yield markdown_table([first, *columns], shown)


def _counted(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count:,}" for name, count in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else f"{value:,}"
