"""The parts of an evaluation that show a bundle as people meet it; each is measured by itself."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.columns import BundleColumn, Column, LengthColumn, TrivialColumn
from risk_lsp.lab.evaluation.as_met.conditions import (
    Shown,
    alone_and_in_modules,
    measure_conditions,
    some_problems,
    with_and_without_statement,
)
from risk_lsp.lab.evaluation.as_met.held_out_sources import measure_sources, source_of
from risk_lsp.lab.evaluation.as_met.invariance import changed_pairs, measure_invariance
from risk_lsp.lab.evaluation.as_met.real_bugs import measure_real_bugs, read_real_bugs
from risk_lsp.lab.evaluation.as_met.well_kept import Shelf, measure_well_kept, read_shelf
from risk_lsp.lab.training.fit_probe import Recipe
from risk_lsp.lab.training.labelled import ProbeData
from risk_lsp.risk.engine import Engine

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
    """

    data: ProbeData
    bugs: Path | None
    most: int
    cache: Path | None
    resamples: int

    @cached_property
    def rivals(self) -> list[Column]:
        """The columns that stand beside every bundle."""
        return [TrivialColumn.fitted(self.data.of("train")), LengthColumn()]

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
        CONDITIONS: _conditions,
        MODULES: _modules,
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
        engine, bench.data, recipe, copies=bench.most, cache=bench.cache, resamples=bench.resamples
    )
    programs: dict[str, int] = {}
    for program in bench.data.programs:
        programs[source_of(program)] = programs.get(source_of(program), 0) + 1
    return {"about": {"programs": dict(sorted(programs.items())), "copies": bench.most}, "columns": columns}


def _conditions(columns: list[Column], bench: Bench) -> dict[str, Any]:
    shown = with_and_without_statement(bench.test)
    return _compared(shown, columns, bench)


def _modules(columns: list[Column], bench: Bench) -> dict[str, Any]:
    return _compared(alone_and_in_modules(bench.test, bench.shelf.functions(), _SEED), columns, bench)


def _compared(shown: dict[str, Shown], columns: list[Column], bench: Bench) -> dict[str, Any]:
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
