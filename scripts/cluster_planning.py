"""A million labelled programs on paper: hours, machines, storage and money, from measured rates and stated assumptions.

    python scripts/cluster_planning.py [--programs N] [--cores N] [--gpus N]

Measured:

- Seconds and runs of the search for a patch, program by program: what benchmarks/labels says (one core each).
- Tokens a second that a model reads and writes on two cores: docs/benchmarks.md.
- Lines of a program, and bytes of a label: benchmarks/labels.

Assumed:

- Ten programs of each problem, of which six fail: that is what the data of docs/patches.md have in the middle.
- A program that passes takes a fifth of a second to judge, with the start of what it imports.
- A line has 14 tokens of the built-in model, 7.3 of the others. What is asked is as long as the program, and is read
  before it is written.
- A GPU reads at 30 % of its peak rate of bfloat16 (990 TFLOP/s), two operations for each weight and token, and writes
  at a tenth of that rate. This is reckoned, not measured.
- A core costs 0.04 dollars an hour and has 4 GB; a GPU costs 2.50. Storage costs 0.02 dollars a GB and month.
- Machines have 16 cores. One goes away every 24 hours of its time, and comes back after five minutes: its tasks run
  again from their beginning.
"""

from __future__ import annotations

import argparse
import heapq
import json
import lzma
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

LABELS = Path(__file__).resolve().parents[1] / "benchmarks" / "labels"

_PER_PROBLEM, _FAILING = 10, 6
_JUDGE_SECONDS = 0.2
_LEAST_FOR_A_GPU = 1e8  # parameters: a smaller model leaves it idle
_GPU_PEAK, _READING_SHARE, _WRITING_SHARE = 990e12, 0.3, 0.03
_CORE_DOLLARS, _GPU_DOLLARS, _STORAGE_DOLLARS = 0.04, 2.50, 0.02
_MACHINE_CORES, _MACHINE_HOURS, _BACK_HOURS = 16, 24.0, 5 / 60
_PROGRAM_BYTES, _RECORD_BYTES = 2_000, 3_000  # of a program with its problem's share of tests; of a record, as JSON


@dataclass(frozen=True)
class PlannedModel:
    """`reads` and `writes`: tokens a second on two cores; None where only a GPU is considered.

    `features`: float16 numbers that are kept of each token.
    """

    name: str
    parameters: float
    tokens_per_line: float
    features: int
    reads: float | None = None
    writes: float | None = None


MODELS = (
    PlannedModel("built-in", 5e6, 14.0, 2 * 256 + 2, 8153, 1405),
    PlannedModel("qwen2.5-coder-0.5b", 0.36e9, 7.3, 2 * 896 + 2, 420, 216),
    PlannedModel("a 7B model", 7.6e9, 7.3, 2 * 3584 + 2),
)


@dataclass(frozen=True)
class Measured:
    """`seconds`: of the searches, by problem. `lines`: of a program, in the middle. `label_bytes`: of one, packed."""

    seconds: list[list[float]]
    lines: float
    label_bytes: float

    @property
    def mean_seconds(self) -> float:
        """Of one search."""
        return sum(map(sum, self.seconds)) / sum(map(len, self.seconds))


def read_labels(folder: Path) -> Measured:
    """What a folder of labels says of the work behind them."""
    by_problem: dict[str, list[float]] = defaultdict(list)
    lines: list[int] = []
    count = size = 0
    for path in sorted(folder.glob("*.jsonl.xz")):
        size += path.stat().st_size
        with lzma.open(path, "rt", encoding="utf-8") as file:
            for label in map(json.loads, file):
                count += "id" in label
                if "seconds" in label:
                    by_problem[label["id"].rsplit("/", 2)[0]].append(label["seconds"])
                if "patch" in label:
                    lines.append(label["patch"]["lines"])
    return Measured(list(by_problem.values()), sum(lines) / len(lines), size / count)


def build_hours(measured: Measured, programs: int, cores: int, seed: int = 0) -> tuple[float, float]:
    """Hours of a build on so many cores, and the share of their time that was lost to machines that went away.

    Tasks are problems; each gets the searches of a problem that was measured, drawn again where it had fewer.
    """
    chance = random.Random(seed)
    free = [0.0] * cores
    lost = 0.0
    rate = 1 / (_MACHINE_HOURS * 3600)
    for _ in range(programs // _PER_PROBLEM):
        searches = chance.choices(chance.choice(measured.seconds), k=_FAILING)
        seconds = sum(searches) + (_PER_PROBLEM - _FAILING) * _JUDGE_SECONDS
        start = heapq.heappop(free)
        while (until := chance.expovariate(rate)) < seconds:  # its machine went away
            lost += until + _BACK_HOURS * 3600
            start += until + _BACK_HOURS * 3600
        heapq.heappush(free, start + seconds)
    end = max(free)
    return end / 3600, lost / (end * cores)


def _row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=1_000_000)
    parser.add_argument("--cores", type=int, nargs="+", default=[16, 64, 256, 1024, 4096])
    parser.add_argument("--cores-of-models", type=int, default=256, metavar="N", help="that models run on (256)")
    parser.add_argument("--gpus", type=int, default=8)
    args = parser.parse_args()
    measured = read_labels(LABELS)
    searches = sum(map(len, measured.seconds))
    print(f"{searches:,} searches: {measured.mean_seconds:.2f} s each, {measured.lines:.1f} lines a program\n")
    _row("patches build", "hours", "lost with machines", "core hours", "dollars")
    _row("---", "---", "---", "---", "---")
    for cores in args.cores:
        hours, lost = build_hours(measured, args.programs, cores)
        used = hours * cores
        _row(f"{cores:,} cores", f"{hours:,.1f}", f"{lost:.1%}", f"{used:,.0f}", f"{used * _CORE_DOLLARS:,.0f}")
    print()
    _row("model", "where", "sampling, hours", "features, hours", "dollars", "features kept")
    _row("---", "---", "---", "---", "---", "---")
    for model in MODELS:
        tokens = args.programs * measured.lines * model.tokens_per_line
        kept = f"{tokens * model.features * 2 / 1e9:,.0f} GB"
        machines = []
        if model.reads is not None and model.writes is not None:
            pairs = args.cores_of_models / 2
            place, price = f"{args.cores_of_models} cores", args.cores_of_models * _CORE_DOLLARS
            machines.append((place, model.reads * pairs, model.writes * pairs, price))
        if model.parameters > _LEAST_FOR_A_GPU:
            speed = args.gpus * _GPU_PEAK / (2 * model.parameters)
            place, price = f"{args.gpus} GPUs", args.gpus * _GPU_DOLLARS
            machines.append((place, speed * _READING_SHARE, speed * _WRITING_SHARE, price))
        for place, reads, writes, price in machines:
            sampling, features = tokens * (1 / reads + 1 / writes) / 3600, tokens / reads / 3600
            dollars = (sampling + features) * price
            _row(model.name, place, f"{sampling:,.2f}", f"{features:,.2f}", f"{dollars:,.0f}", kept)
    print()
    records, labels = (args.programs * size / 1e9 for size in (_RECORD_BYTES, measured.label_bytes))
    print(
        f"kept: {args.programs * _PROGRAM_BYTES / 1e9:.1f} GB of programs and tests, {records:.1f} GB of records, "
        f"{labels:.2f} GB of labels: {(records + labels) * _STORAGE_DOLLARS:.2f} dollars a month"
    )


if __name__ == "__main__":
    main()
