"""`risk-lsp evaluate personal`: what the update of a person's level is worth, by simulated people."""

from __future__ import annotations

import argparse
from pathlib import Path

from risk_lsp.cli.engine_options import at_least_one
from risk_lsp.errors import BadInput
from risk_lsp.lab.training.labelled import DATA_HELP


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp evaluate personal`."""
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    parser.add_argument("--bundle", type=Path, help="the bundle (default: the built-in one)")
    parser.add_argument(
        "--choose-on",
        nargs="*",
        default=[],
        metavar="SOURCE",
        help="sources on which the prior is chosen, which are not judged then (default: the prior that ships)",
    )
    parser.add_argument(
        "--per-group", type=at_least_one, default=3, help="passing and failing programs of a problem (default 3 each)"
    )
    parser.add_argument("--runs", type=at_least_one, default=40, help="runs of each person and source (default 40)")
    parser.add_argument("--threads", type=int)


def run(args: argparse.Namespace) -> int:
    """Read, choose, simulate and print; returns the exit code."""
    from risk_lsp.lab.evaluation.as_met.personal_simulation import chosen_prior, read_sources, report
    from risk_lsp.lab.training.labelled import read_probe_data
    from risk_lsp.personal.level_update import LevelPrior
    from risk_lsp.probe.manifest import default_bundle_path
    from risk_lsp.risk.engine import Engine

    data = read_probe_data(args.data, args.per_group).of("test")
    sources = read_sources(Engine.load(args.bundle or default_bundle_path(), threads=args.threads), data)
    unknown = sorted(set(args.choose_on) - set(sources))
    if unknown or set(args.choose_on) == set(sources):
        raise BadInput(
            f"the sources to choose on are {', '.join(args.choose_on)}",
            f"name some, not all, of {', '.join(sources)}",
        )
    choosing = {name: sources[name] for name in args.choose_on}
    prior = chosen_prior(choosing, max(1, args.runs // 8)) if choosing else LevelPrior()
    judged = {name: programs for name, programs in sources.items() if name not in choosing}
    print(report(judged, args.choose_on or ["nothing here"], prior, args.runs))
    return 0
