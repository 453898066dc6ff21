"""How many editors one host serves: a simulation of people who type, and of a model with a given speed.

    python scripts/team_sizing.py [--tokens-per-second N] [--editors N] [--seconds 1.0]

Without --tokens-per-second it prints a table for models and machines. What it assumes:

- A person types a line of 20 to 45 keys at 0.08 to 0.3 s a key, reads for 1.5 to 5 s, and types the next line, without
  a rest all hour: a person at work types less.
- Programs have 150 lines in the middle (lognormal, sigma 0.8, at most 2,000), of 14 tokens of the built-in model or 7.3
  of Qwen2.5-Coder each: what the 2,000 lines of docs/benchmarks.md have.
- An edit has the model run what follows it in its window of 1,024 tokens; in a text of several windows 775 tokens, and
  1,818 at the first edit of a place, as measured there. One edit in five is the first of its place.
- Each request takes 5 ms beside the model, and one request runs at a time. Who waits is served in the order of arrival,
  which is what fair turns come to among equals; a newer text takes the place of one that waits.
- A person's memory is that of the six windows that are kept to go on from, at most 128 MB, besides the weights.
- On the CPU, speeds are those of docs/benchmarks.md (two cores). On a GPU they are not measured but reckoned: 30 % of
  the peak rate of bfloat16, with two operations for each weight and token.

The wait is from the end of the 0.7 quiet seconds to the numbers.
"""

from __future__ import annotations

import argparse
import heapq
import random
from dataclasses import dataclass

_KEYS, _SECONDS_PER_KEY, _SECONDS_OF_READING = (20, 45), (0.08, 0.3), (1.5, 5.0)
_LINES, _SIGMA, _MOST_LINES = 150, 0.8, 2000
_WINDOW, _EDIT, _FIRST_EDIT, _FIRST_SHARE = 1024, 775, 1818, 0.2
_OVERHEAD, _QUIET = 0.005, 0.7
_WINDOWS_KEPT, _MOST_BYTES_EACH = 6, 128e6
_GPU_SHARE = 0.3
_SIMULATED_SECONDS, _WARM_UP = 1800.0, 60.0


@dataclass(frozen=True)
class SizedModel:
    """`kept_bytes`: of keys and values of one token, in all blocks that run."""

    name: str
    parameters: float
    weight_bytes: int
    tokens_per_line: float
    kept_bytes: float

    def bytes_for(self, editors: int) -> float:
        """Memory for the weights and for what is remembered of so many people's texts."""
        return self.parameters * self.weight_bytes + editors * min(
            _MOST_BYTES_EACH, _WINDOWS_KEPT * _WINDOW * self.kept_bytes
        )


_BUILT_IN = SizedModel("built-in", 5e6, 4, 14.0, 2 * 4 * 128 * 4)
_HALF = SizedModel("qwen2.5-coder-0.5b", 0.36e9, 2, 7.3, 2 * 18 * 128 * 2)
_SEVEN = SizedModel("a 7B model (28 layers, 4 heads of keys)", 7.6e9, 2, 7.3, 2 * 28 * 512 * 2)


def gpu_speed(model: SizedModel, peak: float) -> float:
    """Tokens a second at a share of a GPU's peak rate, in operations a second."""
    return _GPU_SHARE * peak / (2 * model.parameters)


def simulate(editors: int, tokens_per_second: float, tokens_per_line: float, seed: int = 0) -> list[float]:
    """The waits of all edits in half an hour, in seconds."""
    chance = random.Random(seed)
    lengths = [tokens_per_line * min(_MOST_LINES, chance.lognormvariate(0, _SIGMA) * _LINES) for _ in range(editors)]
    events = [(chance.uniform(0, 10), person) for person in range(editors)]  # when each comes with a text
    heapq.heapify(events)
    waiting: dict[int, float] = {}
    waits: list[float] = []
    free_at = 0.0
    while events:
        now, person = heapq.heappop(events)
        while waiting and free_at <= now:  # what began before this one came
            served, came = next(iter(waiting.items()))
            del waiting[served]
            free_at = max(free_at, came) + _OVERHEAD + _tokens(lengths[served], chance) / tokens_per_second
            if came > _WARM_UP:
                waits.append(free_at - came)
        waiting[person] = now  # a newer text keeps the place in the queue
        typed = chance.randint(*_KEYS) * chance.uniform(*_SECONDS_PER_KEY)
        follows = now + chance.uniform(*_SECONDS_OF_READING) + typed
        if follows < _SIMULATED_SECONDS:
            heapq.heappush(events, (follows, person))
    return sorted(waits)


def _tokens(length: float, chance: random.Random) -> float:
    """What the model runs for an edit somewhere in a text of so many tokens."""
    if length <= _WINDOW:
        return length * chance.random()
    return _FIRST_EDIT if chance.random() < _FIRST_SHARE else _EDIT


def most_editors(tokens_per_second: float, tokens_per_line: float, seconds: float) -> int:
    """The largest number of editors of which 99 of 100 waits are at most so many seconds; at most 2,000."""
    low, high = 0, 2000
    while low < high:
        middle = (low + high + 1) // 2
        waits = simulate(middle, tokens_per_second, tokens_per_line)
        low, high = (middle, high) if waits[int(0.99 * len(waits))] <= seconds else (low, middle - 1)
    return low


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens-per-second", type=float, help="see risk-lsp models list --measure")
    parser.add_argument("--tokens-per-line", type=float, default=_HALF.tokens_per_line)
    parser.add_argument("--editors", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=1.0, help="that 99 of 100 edits may wait")
    options = parser.parse_args()
    if options.tokens_per_second is not None:
        waits = simulate(options.editors, options.tokens_per_second, options.tokens_per_line)
        median, slowest = waits[len(waits) // 2], waits[int(0.99 * len(waits))]
        print(f"{options.editors} editors wait {median:.2f} s in the median, 99 of 100 edits at most {slowest:.2f} s")
        return
    rows = [
        (_BUILT_IN, "2 cores, measured", 8153.0),
        (_HALF, "2 cores, measured", 420.0),
        (_HALF, "GPU of 120 TFLOP/s, reckoned", gpu_speed(_HALF, 120e12)),
        (_SEVEN, "GPU of 120 TFLOP/s, reckoned", gpu_speed(_SEVEN, 120e12)),
        (_SEVEN, "GPU of 990 TFLOP/s, reckoned", gpu_speed(_SEVEN, 990e12)),
    ]
    print(f"| model | machine | tokens/s | editors (99 of 100 edits within {options.seconds:g} s) | memory |")
    print("|---|---|---|---|---|")
    for model, machine, speed in rows:
        editors = most_editors(speed, model.tokens_per_line, options.seconds)
        shown = f"{editors}" if editors < 2000 else "2,000 and more"
        memory = f"{model.bytes_for(editors) / 1e9:.1f} GB"
        print(f"| {model.name} | {machine} | {speed:,.0f} | {shown} | {memory} |")


if __name__ == "__main__":
    main()
