"""What it costs to let the model see less of what comes before a token: figures of lines on the calibration problems.

    python benchmarks/bounded_context.py DATA [--per-group N]

Windows are made small and many, so that nearly every token of these short programs sees only between `least` and `most`
tokens to its left, as most tokens of a long file do. Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from risk_lsp.evaluation.metrics import auc, brier_skill_score
from risk_lsp.evaluation.program_metrics import within_group_auc
from risk_lsp.model import code_model
from risk_lsp.model.windows import Shares, plan_windows
from risk_lsp.risk.engine import Engine
from risk_lsp.training.probe_data import read_probe_data
from risk_lsp.training.span_records import score_programs

_LEFT = (None, (384, 512), (192, 256), (96, 128), (48, 64))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--per-group", type=int, default=5)
    args = parser.parse_args()
    data = read_probe_data(args.data, args.per_group).of("calibration")
    engine = Engine.load(whole_model=True)
    print(
        f"{len(data.programs)} programs\n\n| tokens to the left | AUC | BSS | AUC within failing |\n|---|---|---|---|"
    )
    for left in _LEFT:
        if left is not None:
            _bound(engine, *left)
        lines = score_programs(engine, data)["line"]
        scores = lines.scores["probe"]
        inside = within_group_auc(scores, lines.edited, lines.program, lines.weights * lines.failing)
        figures = (
            auc(scores, lines.edited, lines.weights),
            brier_skill_score(scores, lines.edited, lines.weights),
            inside,
        )
        seen = "all" if left is None else f"{left[0]} to {left[1]}, and those kept with it"
        print(f"| {seen} | {' | '.join(f'{figure:.4f}' for figure in figures)} |", flush=True)
    return 0


def _bound(engine: Engine, least: int, most: int) -> None:
    """Let the model run windows of `most` tokens to the left and a quarter as many to keep."""
    context = most * 5 // 4
    shares = Shares(least / context, most / context, 1 / 10, 1 / 5)
    engine.model._host.context = context
    code_model.plan_windows = partial(plan_windows, shares=shares)


if __name__ == "__main__":
    sys.exit(main())
