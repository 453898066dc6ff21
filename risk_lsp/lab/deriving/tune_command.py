"""`risk-lsp train tune`: a model that learns which lines a fix touches."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from risk_lsp.text.normal_form import READINGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp train tune`."""
    parser.add_argument("out", type=Path, help="folder for the checkpoint and the tuned model; a run there is resumed")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model to tune")
    parser.add_argument("--data", type=Path, required=True, help="labelled programs, as for `risk-lsp probe fit`")
    parser.add_argument("--layers", required=True, help="layers that the probe reads, such as 6,12")
    parser.add_argument("--per-group", type=int, default=4, help="of a problem, passing and failing (default 4)")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="time budget, earlier parts counted in")
    parser.add_argument("--frozen", type=int, default=0, help="lowest blocks that stay as they are (default 0)")
    parser.add_argument("--rate", type=float, default=6e-5, help="peak learning rate of the model (default 0.00006)")
    parser.add_argument("--ranking", type=float, default=0.5, help="what the order of lines counts (default 0.5)")
    parser.add_argument(
        "--reading", choices=READINGS, default="verbatim", help="how programs are read, as for `risk-lsp probe fit`"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Tune the model; returns the exit code."""
    from risk_lsp.errors import BadInput
    from risk_lsp.lab.deriving.tuning import Tuning, TuningOptions
    from risk_lsp.lab.training.labelled import read_probe_data

    try:
        layers = tuple(int(layer) for layer in args.layers.split(","))
    except ValueError:
        raise BadInput(f"--layers {args.layers} is no list of layers", "write numbers, such as 6,12") from None
    options = TuningOptions(
        model=args.model,
        out=args.out,
        layers=layers,
        epochs=args.epochs,
        minutes=args.minutes,
        frozen=args.frozen,
        rate=args.rate,
        ranking=args.ranking,
        reading=args.reading,
        threads=args.threads,
        seed=args.seed,
    )
    Tuning(options, read_probe_data(args.data, args.per_group)).run()
    return 0
