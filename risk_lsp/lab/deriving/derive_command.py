"""`risk-lsp train derive`: a small model from a pretrained one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> int:
    """Derive the smaller model; returns the exit code."""
    from risk_lsp.errors import BadInput
    from risk_lsp.lab.deriving.derivation import (
        Origin,
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

    origin = Origin.at(args.model)
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
