"""`risk-lsp train model`: the default model from a packed corpus."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp train model`."""
    parser.add_argument("corpus", type=Path, help="folder made by `risk-lsp corpus build`")
    parser.add_argument(
        "out", type=Path, help="folder for the checkpoint and the trained model; a run there is resumed"
    )
    parser.add_argument(
        "--minutes", type=float, required=True, help="time budget, earlier parts of a resumed run counted in"
    )
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--key-value-heads", type=int, default=2)
    parser.add_argument("--feed-forward", type=int, default=768)
    parser.add_argument(
        "--context", type=int, default=1024, help="tokens a sequence holds in training and use (default 1024)"
    )
    parser.add_argument("--batch", type=int, default=8, help="sequences per step (default 8)")
    parser.add_argument("--micro-batch", type=int, default=8, help="sequences per forward pass (default 8)")
    parser.add_argument("--rate", type=float, default=4e-3, help="peak learning rate (default 0.004)")
    parser.add_argument(
        "--model-written-share",
        type=float,
        default=0.3,
        help="share of model-written programs in a batch (default 0.3)",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--threads", type=int, default=0, help="threads for a CPU run (default: all cores)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint-minutes", type=float, default=3.0)
    parser.add_argument("--compile", action="store_true", help="compile the model first (pays on a GPU)")


def run(args: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    from risk_lsp.lab.training.train_model import ModelShape, TrainingOptions, train

    shape = ModelShape(args.width, args.layers, args.heads, args.key_value_heads, args.feed_forward, args.context)
    train(
        TrainingOptions(
            corpus=args.corpus,
            out=args.out,
            minutes=args.minutes,
            shape=shape,
            batch=args.batch,
            micro_batch=min(args.micro_batch, args.batch),
            length=args.context,
            rate=args.rate,
            model_written_share=args.model_written_share,
            device=args.device,
            threads=args.threads,
            seed=args.seed,
            checkpoint_minutes=args.checkpoint_minutes,
            compile=args.compile,
        )
    )
    return 0
