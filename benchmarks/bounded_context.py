"""What it costs to let the model see less of what comes before a token: figures of lines on the calibration problems.

    python benchmarks/bounded_context.py DATA [--per-group N] [--joined N] [--programs N]

Without `--joined`, windows are made small and many, so that nearly every token of these short programs sees between
`least` and `most` tokens to its left, and hardly more. With it, so many programs of different problems stand in one
long file, which is cut as long files are: by windows of the model's whole context that divide it in several ways, among
them the one that ships. What a way costs is how many tokens are run for one of the text. Prints Markdown.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.evaluation.level_records import LevelRecords, level_records
from risk_lsp.evaluation.metrics import auc, brier_skill_score
from risk_lsp.evaluation.program_metrics import within_group_auc
from risk_lsp.evaluation.spans import span_tables
from risk_lsp.model import code_model
from risk_lsp.model.windows import Shares, Window, plan_windows
from risk_lsp.risk.engine import Engine
from risk_lsp.training.probe_data import ProbeData, read_probe_data
from risk_lsp.training.span_records import labelled_text, program_facts

_LEFT = (None, (384, 512), (192, 256), (96, 128), (48, 64))
_WAYS = {
    "5/8 to 3/4 of the context": Shares(5 / 8, 3 / 4, 1 / 8, 1 / 4),
    "1/2 to 5/8": Shares(1 / 2, 5 / 8, 1 / 8, 3 / 8),
    "3/8 to 1/2": Shares(3 / 8, 1 / 2, 1 / 4, 1 / 2),
    "1/4 to 3/8, which ships": Shares(),
    "1/8 to 1/4": Shares(1 / 8, 1 / 4, 1 / 4, 3 / 4),
    "none to 1/8": Shares(0, 1 / 8, 1 / 4, 7 / 8),
}


class _Planned:
    """Plans windows in one way, and counts what they run."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self.run = self.kept = 0

    def __call__(self, token_ids: NDArray[Any], context: int, boundaries: Sequence[int] = ()) -> list[Window]:
        windows = plan_windows(token_ids, context, boundaries, self._shares)
        self.run += sum(window.end - window.start for window in windows)
        self.kept += len(token_ids)
        return windows


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--per-group", type=int, default=5)
    parser.add_argument("--joined", type=int, default=1, help="programs of one file")
    parser.add_argument("--programs", type=int, help="a random choice of so many")
    args = parser.parse_args()
    data = _chosen(read_probe_data(args.data, args.per_group).of("calibration"), args.programs)
    engine = Engine.load()
    print(f"{len(data.programs)} programs, {args.joined} to a file\n")
    print("| tokens to the left | AUC | BSS | AUC within failing | tokens run for one |\n|---|---|---|---|---|")
    for seen, planned in _ways() if args.joined > 1 else _small_windows(engine):
        code_model.plan_windows = planned
        figures = _figures(_line_records(engine, data, args.joined))
        cost = planned.run / planned.kept
        print(f"| {seen} | {' | '.join(f'{figure:.4f}' for figure in figures)} | {cost:.2f} |", flush=True)
    return 0


def _chosen(data: ProbeData, count: int | None) -> ProbeData:
    if count is None or count >= len(data.programs):
        return data
    chosen = {program.id for program in random.Random(0).sample(data.programs, count)}
    return data.where(lambda program: program.id in chosen)


def _ways() -> Iterator[tuple[str, _Planned]]:
    for seen, shares in _WAYS.items():
        yield seen, _Planned(shares)


def _small_windows(engine: Engine) -> Iterator[tuple[str, _Planned]]:
    """Windows of `most` tokens to the left and a quarter as many to keep."""
    for left in _LEFT:
        if left is None:
            yield "all", _Planned(Shares())
        else:
            least, most = left
            context = most * 5 // 4
            engine.model.host.context = context
            yield (
                f"{least} to {most}, and those kept with it",
                _Planned(Shares(least / context, most / context, 1 / 10, 1 / 5)),
            )


def _line_records(engine: Engine, data: ProbeData, joined: int) -> LevelRecords:
    """Lines of all programs, scored where their program stands in a file among others."""
    programs = data.programs
    table = span_tables(labelled_text(each, engine.model.encode(each.text)) for each in programs)["line"]
    scores = np.zeros(len(table))
    # Programs of one problem are neighbours in the data; in a file they would give each other away.
    order = random.Random(0).sample(range(len(programs)), len(programs))
    for first in range(0, len(order), joined):
        members = order[first : first + joined]
        texts = [programs[index].text + "\n\n" for index in members]
        starts = np.cumsum([0, *map(len, texts)])
        risk = engine.score("".join(texts) if joined > 1 else programs[members[0]].text)
        for index, start in zip(members, starts[:-1], strict=True):
            rows = slice(*np.searchsorted(table.program, [index, index + 1]))
            scores[rows] = risk.probabilities(table.start[rows] + start, table.end[rows] + start)
    return level_records("line", table, program_facts(data), {"probe": scores})


def _figures(lines: LevelRecords) -> tuple[float, float, float]:
    scores = lines.scores["probe"]
    return (
        auc(scores, lines.edited, lines.weights),
        brier_skill_score(scores, lines.edited, lines.weights),
        within_group_auc(scores, lines.edited, lines.program, lines.weights * lines.failing),
    )


if __name__ == "__main__":
    sys.exit(main())
