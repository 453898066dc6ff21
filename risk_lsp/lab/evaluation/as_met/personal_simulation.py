"""Simulated people with a known shift: what the update of a person's level is worth after so many lines.

A person accepts programs of one source in random order, each of them once, and edits the lines that a fix touches, more
or fewer of them as their shift says. The update learns from the programs of two thirds of the problems and is judged on
the others, whose lines the same person edits. A source is judged after so many lines only if its programs have as many:
the same program a second time is no new evidence, and no person's records are made of a few programs over and over.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.columns import BundleColumn, line_table, passage_of
from risk_lsp.lab.evaluation.as_met.conditions import source_of
from risk_lsp.lab.evaluation.metrics import brier_skill_score, expected_calibration_error
from risk_lsp.lab.training.labelled_programs import ProbeData
from risk_lsp.personal.ledger import SettledRegion
from risk_lsp.personal.level_update import LevelPrior, learnt_shift
from risk_lsp.personal.line_fates import Fate
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.risk_map import OddsShift

Floats = NDArray[np.float64]
LINES = (50, 200, 1_000, 5_000)  # after which the update is judged
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the odds, of the people that are simulated
FEWEST_PROBLEMS = 30  # of a source
_JUDGED = 1 / 3  # of the problems
_WORSE_BY = 0.005  # ECE that an update may cost


class ReadProgram(NamedTuple):
    """A program's lines as a bundle sees them, and which of them a fix touches; `weight` is its share in its source."""

    group: str
    weight: float
    probabilities: Floats
    edited: NDArray[np.bool_]


Sources = dict[str, list[ReadProgram]]


def read_by_source(engine: Engine, data: ProbeData) -> Sources:
    """The programs of each source of FEWEST_PROBLEMS problems or more whose fix is known, read once."""
    kept = [index for index, weight in enumerate(data.span_weights) if weight > 0]
    programs = [data.programs[index] for index in kept]
    passages = [passage_of(program.text, program.scored) for program in programs]
    table = line_table(passages, [program.edited or () for program in programs])
    answers = BundleColumn(engine).answers(passages)
    ends = np.searchsorted(table.program, np.arange(len(programs) + 1))
    found: Sources = defaultdict(list)
    for place, program in enumerate(programs):
        edited = table.edited[ends[place] : ends[place + 1]]
        if len(edited):
            weight = data.span_weights[kept[place]]
            found[source_of(program)].append(ReadProgram(program.group, weight, answers[place].lines, edited))
    return {
        source: read for source, read in sorted(found.items()) if len({each.group for each in read}) >= FEWEST_PROBLEMS
    }


def as_edited_by(program: ReadProgram, level: float, draw: np.random.Generator) -> ReadProgram:
    """The lines that a person edits whose log-odds are higher by `level`, given those that a fix touches.

    Where the bundle is calibrated, a line with probability p is edited with the odds p / (1 - p) times exp(level): of
    the touched lines a share is left, or some of the others are edited, too. What touched lines have in common stays.
    """
    before = program.probabilities
    after = OddsShift(level).probability(before)
    if level < 0:
        edited = program.edited & (draw.random(len(before)) < after / np.maximum(before, 1e-12))
    else:
        kept = (1.0 - after) / np.maximum(1.0 - before, 1e-12)
        edited = program.edited | (draw.random(len(before)) >= kept)
    return program._replace(edited=edited)


class RunFigures(NamedTuple):
    """Calibration error and Brier skill of one run, before and after the update."""

    ece_before: float
    ece_after: float
    bss_before: float
    bss_after: float


def one_run(
    programs: Sequence[ReadProgram], factor: float, counts: Sequence[int], prior: LevelPrior, seed: int
) -> list[RunFigures]:
    """One person with programs of one source: what the update is worth after each of the rising counts of lines.

    Ends before a count that the programs it learns from do not reach.
    """
    draw = np.random.default_rng(seed)
    groups = draw.permutation(sorted({program.group for program in programs}))
    judged_groups = set(groups[: max(1, round(_JUDGED * len(groups)))].tolist())
    judged = [program for program in programs if program.group in judged_groups]
    teaching = [program for program in programs if program.group not in judged_groups]
    regions = list(_accept_programs(teaching, math.log(factor), counts[-1], draw))
    so_far = np.cumsum([len(region.probabilities) for region in regions])
    numbers = np.concatenate([program.probabilities for program in judged])
    touched = np.concatenate([program.edited for program in judged])
    edited = as_edited_by(ReadProgram("", 1.0, numbers, touched), math.log(factor), draw).edited
    weights = np.concatenate([np.full(len(each.edited), each.weight) for each in judged])
    found = []
    for count in (count for count in counts if count <= so_far[-1]):
        learnt = learnt_shift(regions[: int(np.searchsorted(so_far, count)) + 1], 0.0, prior)
        after = learnt.probability(numbers)
        found.append(
            RunFigures(
                expected_calibration_error(numbers, edited, weights),
                expected_calibration_error(after, edited, weights),
                brier_skill_score(numbers, edited, weights),
                brier_skill_score(after, edited, weights),
            )
        )
    return found


def _accept_programs(
    programs: Sequence[ReadProgram], level: float, lines: int, draw: np.random.Generator
) -> Iterator[SettledRegion]:
    """Programs in random order until there are so many lines; one with twice the weight is twice as likely next."""
    weights = np.array([program.weight for program in programs])
    left = lines
    for place in draw.choice(len(programs), len(programs), replace=False, p=weights / weights.sum()).tolist():
        if left <= 0:
            return
        program = as_edited_by(programs[place], level, draw)
        fates = tuple(Fate.EDITED if edited else Fate.KEPT for edited in program.edited.tolist())
        yield SettledRegion(0.0, program.probabilities, fates)
        left -= len(fates)


class Simulation(NamedTuple):
    """`figures` float64[sources, FACTORS, runs, counts, 4] of all runs, in the order of RunFigures, after `counts` of
    lines: those of LINES that one source reaches in every run. NaN where another source does not.
    """

    counts: tuple[int, ...]
    figures: Floats


def simulate(sources: Sources, prior: LevelPrior, runs: int) -> Simulation:
    """People of all FACTORS with each source, so many runs each. Raises BadInput if no source has enough lines."""
    figures = np.full((len(sources), len(FACTORS), runs, len(LINES), 4), np.nan)
    for place, programs in enumerate(sources.values()):
        found = [[one_run(programs, factor, LINES, prior, seed) for seed in range(runs)] for factor in FACTORS]
        reached = min(len(run) for of_factor in found for run in of_factor)
        kept = np.array([[run[:reached] for run in of_factor] for of_factor in found])
        figures[place, :, :, :reached] = kept.reshape(len(FACTORS), runs, reached, 4)
    some = int((~np.isnan(figures[:, 0, 0, :, 0])).any(axis=0).sum())
    if not some:
        raise BadInput(f"no source has {LINES[0]} lines to learn from", "name more labelled programs with --data")
    return Simulation(LINES[:some], figures[:, :, :, :some])


NEVER = 1e9  # weight of lines from which the slope would be learnt
LEVELS = tuple(
    LevelPrior(level_deviation=deviation, likeness=likeness, slope_from=NEVER)
    for deviation, likeness in itertools.product((0.3, 0.5, 0.7, 1.0), (0.05, 0.1, 0.2))
)
SLOPES = ((0.1, 300.0), (0.2, 300.0), (0.2, 1_000.0))  # deviation, and from which weight of lines on


def chosen_prior(sources: Sources, runs: int) -> LevelPrior:
    """The prior with the largest mean skill over sources, people and counts, among those that keep the mean ECE of no
    kind of people from growing by more than _WORSE_BY at any count; if none does, the one that makes it grow least.

    The prior of the level is chosen first, without a slope, and then that of the slope, or none.
    """

    def merit_of(prior: LevelPrior) -> tuple[float, float]:
        figures = simulate(sources, prior, runs).figures
        worse = float(np.nanmean(figures[..., 1] - figures[..., 0], axis=(0, 2)).max())
        return min(0.0, _WORSE_BY - worse), float(np.nanmean(figures[..., 3]))

    level = max(LEVELS, key=merit_of)
    slopes = [replace(level, slope_deviation=deviation, slope_from=start) for deviation, start in SLOPES]
    return max([level, *slopes], key=merit_of)


@dataclass(frozen=True)
class SpreadOverRuns:
    """A mean over sources and runs, and its 95% interval over runs of the mean over sources."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Floats) -> SpreadOverRuns:
        """The interval of the mean over sources of values float64[sources, runs]."""
        means = values.mean(axis=0)
        low, high = np.quantile(means, [0.025, 0.975])
        return cls(float(means.mean()), float(low), float(high))

    def text(self) -> str:
        """ ".031 (.027 to .036)" """
        return f"{_short(self.mean)} ({_short(self.low)} to {_short(self.high)})"


def _short(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("0.", ".", 1)


def attack_rows(prior: LevelPrior) -> list[tuple[str, float]]:
    """What somebody would teach a person's level with: in words, and by what the odds are multiplied then."""

    def factor(count: int, lines: int, fate: Fate) -> float:
        region = SettledRegion(0.0, np.full(lines, 0.31), (fate,) * lines)
        after = float(learnt_shift([region] * count, 0.0, prior).probability(0.31))
        return after / (1.0 - after) * 0.69 / 0.31

    return [
        ("one region of 100,000 lines, all kept", factor(1, 100_000, Fate.KEPT)),
        ("20 regions of 10 lines, all kept", factor(20, 10, Fate.KEPT)),
        ("10,000 regions of 10 lines, all kept", factor(10_000, 10, Fate.KEPT)),
        ("one region of 100,000 lines, all edited", factor(1, 100_000, Fate.EDITED)),
        ("10,000 regions of 10 lines, all edited", factor(10_000, 10, Fate.EDITED)),
    ]


def report(sources: Sources, chosen_on: Sequence[str], prior: LevelPrior, runs: int) -> str:
    """The tables as Markdown, over sources that had no part in choosing the prior."""
    counts, figures = simulate(sources, prior, runs)
    rows = [
        "| odds of the person | lines | sources | ECE before | ECE after | BSS before | BSS after |",
        "|---|---|---|---|---|---|---|",
    ]
    for (place, factor), (column, count) in itertools.product(enumerate(FACTORS), enumerate(counts)):
        reaching = figures[~np.isnan(figures[:, place, 0, column, 0]), place, :, column]
        cells = [SpreadOverRuns.of(reaching[..., figure]).text() for figure in range(4)]
        rows.append(f"| x {factor:g} | {count:,} | {len(reaching)} | " + " | ".join(cells) + " |")
    worse = (figures[..., 1] - figures[..., 0]).mean(axis=2)
    alike = np.nanmean(worse[:, FACTORS.index(1.0)], axis=0)
    names = list(sources)
    worst = np.unravel_index(np.nanargmax(worse), worse.shape)
    attacks = ["| taught | odds are multiplied by |", "|---|---|"]
    attacks += [f"| {words} | {factor:.2f} |" for words, factor in attack_rows(prior)]
    values = {name: value for name, value in vars(prior).items() if name != "half_life"}  # here all is of one day
    said = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items())
    return "\n".join(
        [
            f"Prior: {said}; chosen on {', '.join(chosen_on)}. Judged on {', '.join(names)}, {runs} runs each.",
            "",
            *rows,
            "",
            f"ECE grows for people like everybody by {_short(float(alike.max()))} on average after the worst of these"
            f" counts, and at most, over the {np.isfinite(worse).sum()} rows of a source, a person and a count, by"
            f" {_short(float(worse[worst]), 4)}"
            f" ({names[worst[0]]}, x {FACTORS[worst[1]]:g}, {counts[worst[2]]:,} lines).",
            "",
            *attacks,
        ]
    )
