"""The parts of the report on bundles as people meet them: how each is measured, and the section that shows it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met import report_parts as parts
from risk_lsp.lab.evaluation.as_met.columns import BundleColumn, Column, LengthColumn, TrivialColumn
from risk_lsp.lab.evaluation.as_met.conditions import (
    ShownPrograms,
    alone_and_in_modules,
    measure_conditions,
    measure_sources,
    some_problems,
    source_of,
    with_and_without_statement,
)
from risk_lsp.lab.evaluation.as_met.invariance import changed_pairs, measure_invariance
from risk_lsp.lab.evaluation.as_met.real_bugs import measure_real_bugs, read_real_bugs
from risk_lsp.lab.evaluation.as_met.well_kept import Shelf, measure_well_kept, read_shelf
from risk_lsp.lab.evaluation.report_markdown import interval_text, markdown_table
from risk_lsp.lab.task_pool import TaskPool
from risk_lsp.lab.training.fit_probe import Recipe
from risk_lsp.lab.training.labelled_programs import ProbeData
from risk_lsp.risk.engine import Engine
from risk_lsp.settings import Settings

SOURCES, CONDITIONS, MODULES = "sources", "conditions", "modules"
REAL_BUGS, WELL_KEPT, INVARIANCE = "real-bugs", "well-kept", "invariance"
_SEED = 1
# Files longer than this are left out where many versions of each are read.
_LONGEST_VARIED = 20_000  # characters
Columns = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Bench:
    """What the parts measure with. `most`: programs, files, or bugs of a source, that a part reads at most.

    `data`: labelled programs; `bugs`: the folder with pairs of a bug and its fix. What is made of these is made once.
    `pool`: where probes are fitted.
    """

    data: ProbeData
    bugs: Path | None
    most: int
    cache: Path | None
    resamples: int
    pool: TaskPool

    @cached_property
    def rivals(self) -> list[Column]:
        """The columns that stand beside every bundle."""
        return [TrivialColumn.fit(self.data.of("train")), LengthColumn()]

    @cached_property
    def shelf(self) -> Shelf:
        """Files of well-kept libraries."""
        return read_shelf(self.most)

    @cached_property
    def test(self) -> ProbeData:
        """Programs of test problems."""
        return some_problems(self.data.of("test"), self.most)

    @cached_property
    def calibration(self) -> ProbeData:
        """Programs of calibration problems."""
        return some_problems(self.data.of("calibration"), self.most)


def measure_part(part: str, engine: Engine, bench: Bench, recipe: Callable[[], Recipe]) -> dict[str, Any]:
    """One part: {"about": what was measured, "columns": {column: {row: {measure: [estimate, low, high]}}}}."""
    print(f"{engine.manifest.name}: {part}", file=sys.stderr, flush=True)
    if part == SOURCES:
        return _sources(engine, bench, recipe())
    measure = {
        CONDITIONS: lambda columns, bench: _compare_columns(with_and_without_statement(bench.test), columns, bench),
        MODULES: lambda columns, bench: _compare_columns(
            alone_and_in_modules(bench.test, bench.shelf.functions(), _SEED), columns, bench
        ),
        REAL_BUGS: _real_bugs,
        WELL_KEPT: _well_kept,
        INVARIANCE: _invariance,
    }[part]
    return measure([BundleColumn(engine), *bench.rivals], bench)


def with_part(known: Mapping[str, Any] | None, measured: Mapping[str, Any]) -> dict[str, Any]:
    """A part with new measurements added. Columns that were measured on something else are dropped."""
    kept = known["columns"] if known and known["about"] == measured["about"] else {}
    return {"about": measured["about"], "columns": {**kept, **measured["columns"]}}


def _sources(engine: Engine, bench: Bench, recipe: Recipe) -> dict[str, Any]:
    columns = measure_sources(
        engine,
        bench.data,
        recipe,
        copies=bench.most,
        cache=bench.cache,
        resamples=bench.resamples,
        pool=bench.pool,
    )
    programs: dict[str, int] = {}
    for program in bench.data.programs:
        programs[source_of(program)] = programs.get(source_of(program), 0) + 1
    return {"about": {"programs": dict(sorted(programs.items())), "copies": bench.most}, "columns": columns}


def _compare_columns(shown: dict[str, ShownPrograms], columns: list[Column], bench: Bench) -> dict[str, Any]:
    programs = next(iter(shown.values())).data.programs
    if not any(program.passed for program in programs) or all(program.passed for program in programs):
        raise BadInput(
            "the test problems hold no program of either outcome to measure", "give programs of more problems"
        )
    about = {"programs": len(programs), "problems": len({program.group for program in programs})}
    return {"about": about, "columns": measure_conditions(shown, bench.calibration, columns, bench.resamples)}


def _real_bugs(columns: list[Column], bench: Bench) -> dict[str, Any]:
    assert bench.bugs is not None, "the command asks for them"
    bugs = read_real_bugs(bench.bugs, bench.most)
    counts = {source: sum(bug.source == source for bug in bugs) for source in dict.fromkeys(bug.source for bug in bugs)}
    return {"about": {"bugs": counts}, "columns": measure_real_bugs(bugs, columns, bench.resamples)}


def _well_kept(columns: list[Column], bench: Bench) -> dict[str, Any]:
    shelf = bench.shelf
    counts: dict[str, int] = {}
    for file in shelf.files:
        counts[file.library] = counts.get(file.library, 0) + 1
    about = {"files": counts, "missing": list(shelf.missing)}
    return {"about": about, "columns": measure_well_kept(shelf, columns, bench.resamples)}


def _invariance(columns: list[Column], bench: Bench) -> dict[str, Any]:
    """Half as many programs as a part reads at most, one of a problem, and a tenth as many library files."""
    by_group = {program.group: program.text for program in bench.test.programs}
    programs = list(by_group.values())[: max(1, bench.most // 2)]
    files = [file.text for file in bench.shelf.files if len(file.text) <= _LONGEST_VARIED]
    files = random.Random(_SEED).sample(files, min(len(files), max(1, bench.most // 10)))
    texts, kinds = [*programs, *files], ["programs"] * len(programs) + ["library files"] * len(files)
    pairs = changed_pairs(texts)
    about = {"texts": len({pair.text for pair in pairs}), "pairs": len(pairs)}
    return {"about": about, "columns": measure_invariance(pairs, kinds, columns, bench.resamples)}


SIDE_BY_SIDE = "folds"
_LEVELS = (
    ("line_auc", "line AUC"),
    ("within_auc", "line AUC within failing programs"),
    ("line_bss_platt", "line BSS Platt"),
    ("line_bss_raw", "line BSS raw"),
    ("line_ece_raw", "line ECE raw"),
    ("line_bss_at_rate", "line BSS at its rate"),
    ("line_ece_at_rate", "line ECE at its rate"),
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
        ' judged on the source that it never saw. The mean gives every source the same weight. "At its rate": all'
        " log-odds of a source get the one shift that makes their mean probability the source's own rate, as a place"
        " whose rate is known does.",
        _LEVELS,
        ("mean", "mean, asked", "mean, bare"),
        8,
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
    about = []
    for name, value in found["about"].items():
        if isinstance(value, Mapping):
            said = ", ".join(f"{each} {count:,}" for each, count in value.items())
        else:
            said = ", ".join(map(str, value)) if isinstance(value, list) else f"{value:,}"
        about += [f"{name}: {said}"] if value else []
    yield f"{made}{'; '.join(about)}."
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
