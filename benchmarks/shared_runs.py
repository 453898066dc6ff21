"""Whether texts of several people are read faster when they share a run of the model, as a team's host lets them.

    python -m benchmarks.shared_runs [--bundle PATH] [--device auto] [--documents 8] [--rounds 5]

Texts are stretches of one program, each with a memory of its own, of which nothing is known before. On the CPU one
thread reads, and its own time counts: other work on the machine does not. Prints Markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from benchmarks.bench.programs import program
from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.model.window_runs import WindowReading
from risk_lsp.probe.manifest import bundle_path
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.span_risk import SpanRisk

_LENGTHS = (25, 100, 400, 800)  # in tokens, about
_PLENTY = 1 << 30


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", metavar="PATH", help="default: the built-in one")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--documents", type=int, default=8, metavar="N")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    engine = Engine.load(bundle_path(args.bundle), device=args.device, threads=1)
    clock = time.process_time if engine.model.device == "cpu" else time.perf_counter
    text = program(4000)
    per_token = len(text) / len(engine.model.encode(text))

    def one_by_one(texts: list[str]) -> list[SpanRisk]:
        return [engine.rescore(each, "python", WindowMemory(_PLENTY)) for each in texts]

    def together(texts: list[str]) -> list[SpanRisk]:
        recalled = [engine.recall(each, "python", WindowMemory(_PLENTY)) for each in texts]
        WindowReading.read_together([known.reading for _, known in recalled])
        return [engine.risk(given, known.tokens()) for given, known in recalled]

    def seconds(read: Callable[[list[str]], list[SpanRisk]], texts: list[str]) -> float:
        began = clock()
        read(texts)
        return clock() - began

    print("| tokens each | one by one, tokens/s | together, tokens/s | gain | largest difference of a probability |")
    print("|---|---|---|---|---|")
    for length in _LENGTHS:
        size = int(length * per_token)
        texts = [text[at * size : (at + 1) * size] for at in range(args.documents)]
        pairs = list(zip(one_by_one(texts), together(texts), strict=True))
        tokens = sum(len(alone.starts) for alone, _ in pairs)
        differ = max(float(np.abs(a.token_probabilities() - b.token_probabilities()).max()) for a, b in pairs)
        rounds = [(seconds(one_by_one, texts), seconds(together, texts)) for _ in range(args.rounds)]
        first, second = (tokens / median(each) for each in zip(*rounds, strict=True))
        print(
            f"| {tokens // args.documents} | {first:,.0f} | {second:,.0f} | {second / first - 1:+.1%} | {differ:.2g} |"
        )


if __name__ == "__main__":
    main()
