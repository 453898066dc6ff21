"""Whether documents of several people are read faster when they share a run of the model: seconds of CPU, in turns.

    python -m benchmarks.shared_runs [--bundle PATH] [--documents 8] [--rounds 5]

Texts are stretches of one program. One thread reads, and its own time counts: other work on the machine does not.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from benchmarks.bench.programs import program
from risk_lsp.model.tokenizer import Encoding
from risk_lsp.probe.bundle import load_bundle
from risk_lsp.probe.manifest import bundle_path

_LENGTHS = (100, 400, 800)  # in tokens, about


def seconds(work: Callable[[], object]) -> float:
    """Of CPU."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", metavar="PATH", help="default: the built-in one")
    parser.add_argument("--documents", type=int, default=8, metavar="N")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    bundle = load_bundle(bundle_path(args.bundle), threads=1)
    model, manifest = bundle.model, bundle.manifest
    text = program(4000)
    per_token = len(text) / len(model.encode(text))
    print("| tokens each | one by one, tokens/s | together, tokens/s | gain | largest difference of a state |")
    print("|---|---|---|---|---|")
    for length in _LENGTHS:
        size = int(length * per_token)
        encodings = [model.encode(text[at * size : (at + 1) * size]) for at in range(args.documents)]
        tokens = sum(map(len, encodings))

        def one_by_one(encodings: list[Encoding] = encodings) -> list[object]:
            return [model.read_many([each], manifest.layers) for each in encodings]

        def together(encodings: list[Encoding] = encodings) -> list[object]:
            return list(model.read_many(encodings, manifest.layers))

        alone = [model.read_many([each], manifest.layers)[0].values for each in encodings]
        shared = [read.values for read in model.read_many(encodings, manifest.layers)]
        differ = max(float(np.abs(one - other).max()) for one, other in zip(alone, shared, strict=True))
        rounds = [(seconds(one_by_one), seconds(together)) for _ in range(args.rounds)]
        first, second = (tokens / median(each) for each in zip(*rounds, strict=True))
        print(
            f"| {tokens // args.documents} | {first:,.0f} | {second:,.0f} | {second / first - 1:+.1%} | {differ:.2g} |"
        )


if __name__ == "__main__":
    main()
