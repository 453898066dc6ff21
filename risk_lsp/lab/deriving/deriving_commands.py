"""`risk-lsp train derive`: a small model from a pretrained one. `tune`: one that learns which lines fixes touch."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from risk_lsp.text.normal_form import READINGS


def add_derive_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp train derive`."""
    parser.add_argument("out", type=Path, help="folder for the smaller model")
    parser.add_argument(
        "--model", type=Path, required=True, help="folder or GGUF file of a plain Llama, Qwen2 or Qwen3 model"
    )
    parser.add_argument("--layers", type=int, help="how many of the lowest blocks are kept (default: all)")
    parser.add_argument(
        "--texts", type=Path, nargs="+", help="Python files, or folders of them: tokens that they use are kept"
    )
    parser.add_argument("--at-least", type=int, default=20, help="times a token has to be used (default 20)")
    parser.add_argument("--eight-bits", action="store_true", help="keep matrices in eight bits, not in bfloat16")
    parser.add_argument("--licence", help="of the model, for the record (default: what it or the catalogue says)")


def run_derive(args: argparse.Namespace) -> int:
    """Derive the smaller model; returns the exit code."""
    from risk_lsp.errors import BadInput
    from risk_lsp.lab.deriving.derivation import (
        OriginModel,
        cut_tokenizer,
        cut_vocabulary,
        in_eight_bits,
        lowest_layers,
        used_tokens,
        write_model,
    )
    from risk_lsp.lab.training.training_files import write_training_record
    from risk_lsp.text.normal_form import normal_form
    from risk_lsp.text.source_files import find_files, read_source

    origin = OriginModel.at(args.model)
    config, tokenizer = origin.config, origin.tokenizer
    weights = origin.weights(origin.shape.layers if args.layers is None else min(args.layers, origin.shape.layers))
    if args.layers is not None:
        config, weights = lowest_layers(config, weights, args.layers)
    if args.texts:
        paths = [found.path for given in args.texts for found in find_files(given)]
        texts = []
        for path in paths:
            try:
                texts.append(normal_form(read_source(path)).text)
            except BadInput as error:
                print(f"left out: {error}", file=sys.stderr)
        kept = used_tokens(tokenizer, texts, args.at_least)
        print(f"{len(kept):,} of {tokenizer.get_vocab_size():,} tokens kept, by {len(texts):,} files", file=sys.stderr)
        config, weights = cut_vocabulary(config, weights, kept)
        tokenizer = cut_tokenizer(tokenizer, kept)
    record = origin.record(args.licence, config["num_hidden_layers"], config["vocab_size"])
    if record["derived_from"]["licence"] is None:
        print(f"{args.model} does not say its licence: name it with --licence for the record", file=sys.stderr)
    weights = in_eight_bits(weights) if args.eight_bits else weights
    write_model(args.out, config, weights, tokenizer, halved=not args.eight_bits)
    write_training_record(args.out, record)
    return 0


def add_tune_arguments(parser: argparse.ArgumentParser) -> None:
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


def run_tune(args: argparse.Namespace) -> int:
    """Tune the model; returns the exit code."""
    from risk_lsp.errors import BadInput
    from risk_lsp.lab.deriving.tuning import Tuning, TuningOptions
    from risk_lsp.lab.training.labelled_programs import read_probe_data

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
