"""By how much what ships moves the numbers people see, against a plain float32 pass: on the problems kept for tests.

    python -m benchmarks.moved_probabilities PATCHES [--per-group 1] [--programs N] [--threads 1] [--others]

The plain pass is transformers' own forward in float32, one program after the other, nothing kept. Compared with it are
the embedded default as it comes: many programs together, as `check` and `score` read them; a program that is opened,
as an editor's worker reads it (activations kept in half precision); and the same after an edit, where only what follows
it is run. With `--others` also bfloat16 and int8 weights, which do not ship. Prints Markdown, and exits with 1 if what
ships moves any line by .01 or more.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench.hosts import other_engines
from risk_lsp.lab.training.labelled_programs import DATA_HELP, read_probe_data
from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import document_risk, line_risks
from risk_lsp.risk.span_risk import SpanRisk

BAR = 0.01
_QUANTILES = (0.5, 0.9, 0.99, 0.999)
_MEMORY = 256_000_000


class Moved(NamedTuple):
    """How far the probabilities of lines and of whole programs are from those of the plain pass."""

    way: str
    ships: bool
    lines: NDArray[np.float64]
    programs: NDArray[np.float64]

    def row(self) -> str:
        """As Markdown."""
        quantiles = np.quantile(self.lines, _QUANTILES)
        numbers = [*quantiles, self.lines.max(), self.programs.max()]
        return f"| {self.way} | {' | '.join(f'{number:.5f}' for number in numbers)} |"


def moved(way: str, ships: bool, texts: Sequence[str], plain: Sequence[SpanRisk], own: Sequence[SpanRisk]) -> Moved:
    """Compare two readings of the same texts."""
    lines = [
        line_risks(other, text) - line_risks(known, text) for text, known, other in zip(texts, plain, own, strict=True)
    ]
    programs = [document_risk(other) - document_risk(known) for known, other in zip(plain, own, strict=True)]
    distances = np.abs(np.concatenate(lines))
    return Moved(way, ships, distances[~np.isnan(distances)], np.abs(programs))


def opened(engine: Engine, texts: Sequence[str]) -> list[SpanRisk]:
    """Each text as the worker reads one that somebody opens; all share one memory."""
    memory = WindowMemory(_MEMORY)
    return [engine.rescore(text, "python", memory) for text in texts]


def edited(engine: Engine, texts: Sequence[str], chance: random.Random) -> list[SpanRisk]:
    """Each text as the worker reads it when it comes about by an edit somewhere in it."""
    memory, risks = WindowMemory(_MEMORY), []
    for text in texts:
        place = chance.randrange(len(text) + 1)
        engine.rescore(text[:place] + chance.choice(["x", " ", "\n    pass\n"]) + text[place + 1 :], "python", memory)
        risks.append(engine.rescore(text, "python", memory))
    return risks


def compare(texts: Sequence[str], threads: int | None, *, others: bool) -> list[Moved]:
    """All ways against the plain pass."""
    engines = other_engines(threads)
    _, plain_engine = next(engines)
    plain = [plain_engine.score(text) for text in texts]
    shipped = Engine.load(threads=threads)
    found = [
        moved("many together, as `check` reads them", True, texts, plain, shipped.score_many(texts)),
        moved("opened in an editor", True, texts, plain, opened(shipped, texts)),
        moved("after an edit", True, texts, plain, edited(shipped, texts, random.Random(0))),
    ]
    if others:
        found += [moved(name, False, texts, plain, engine.score_many(texts)) for name, engine in engines]
    return found


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help=DATA_HELP)
    parser.add_argument("--per-group", type=int, default=1, help="passing, and failing, programs of a problem at most")
    parser.add_argument("--programs", type=int, help="a random choice of so many of them")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--others", action="store_true", help="bfloat16 and int8 weights, too")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    texts = [program.text for program in read_probe_data(args.data, args.per_group).of("test").programs]
    if args.programs is not None and args.programs < len(texts):
        texts = random.Random(0).sample(texts, args.programs)
    found = compare(texts, args.threads, others=args.others)
    print(f"{len(texts):,} programs of test problems, {len(found[0].lines):,} lines\n")
    quantiles = " | ".join(f"{quantile:g}" for quantile in _QUANTILES)
    print(f"| a line's probability moves by | {quantiles} | most | a program's, most |\n|{'---|' * 7}")
    print("\n".join(each.row() for each in found))
    if args.json is not None:
        rows = [
            {
                "way": each.way,
                "ships": each.ships,
                "quantiles": dict(zip(map(str, _QUANTILES), np.quantile(each.lines, _QUANTILES).tolist(), strict=True)),
                "most": float(each.lines.max()),
                "program": float(each.programs.max()),
            }
            for each in found
        ]
        args.json.write_text(json.dumps({"programs": len(texts), "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return int(any(each.lines.max() >= BAR for each in found if each.ships))


if __name__ == "__main__":
    sys.exit(main())
