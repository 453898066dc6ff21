"""What the engine costs by itself: queries, passes, edits, many programs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench.figures import Figure, seconds_of, timed
from benchmarks.bench.programs import program
from risk_lsp.model.host import Run
from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.probe.calibration import Calibration
from risk_lsp.probe.manifest import default_bundle_path
from risk_lsp.report.score import score_file
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.risk_map import RiskMap

_MEMORY = 256_000_000
_TOKENS = 2000
_SPANS = 1_000_000


def span_queries(repeat: int) -> Iterator[Figure]:
    """A million random spans over 2,000 tokens, in one call."""
    random = np.random.default_rng(1)
    ends = np.cumsum(random.integers(1, 8, _TOKENS)).astype(np.int32)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int32)
    risks = RiskMap(int(ends[-1]), starts, ends, random.random(_TOKENS, dtype=np.float32), Calibration(0.5, 1.0, 0.9))
    places = np.sort(random.integers(0, ends[-1] + 1, (_SPANS, 2)), axis=1)
    seconds = timed(lambda: risks.probabilities(places[:, 0], places[:, 1]), repeat)
    yield Figure("10^6 spans over 2,000 tokens", "ms", tuple(1000 * each for each in seconds), 100, 30)


def full_pass(engine: Engine, rates: list[Figure], lines: int, repeat: int) -> Iterator[Figure]:
    """Tokens a second of a document read from scratch, and how near that is to what the processor multiplies."""
    text = program(lines)
    tokens = len(engine.model.encode(text))
    seconds = timed(lambda: engine.score(text), repeat)
    rate = tuple(tokens / each for each in seconds)
    yield Figure(f"full pass, {lines:,} lines", "tokens/s", rate, larger_is_better=True)
    windows = _windows(engine, text)
    note = f"{sum(windows):,} tokens are run for {tokens:,}, with those that windows share"
    work = _flops(windows, tokens)
    own = tuple(100 * work / 1e9 / each / rates[0].median for each in seconds)
    yield Figure("full pass, share of the float32 rate", "%", own, larger_is_better=True, note=note)
    best = max(rates, key=lambda each: each.median)
    share = tuple(100 * work / 1e9 / each / best.median for each in seconds)
    note = f"best: {best.name.rpartition(', ')[2]}"
    yield Figure("full pass, share of the best of these rates", "%", share, 60, larger_is_better=True, note=note)


def _windows(engine: Engine, text: str) -> list[int]:
    """Tokens of each window that the model runs for a text."""
    lengths: list[int] = []
    run = engine.model.host.run

    def noted(sequences: Sequence[NDArray[Any]], *args: Any, **options: Any) -> list[Run]:
        lengths.extend(map(len, sequences))
        return run(sequences, *args, **options)

    with patch.object(engine.model.host, "run", noted):
        engine.score(text)
    return lengths


def _flops(windows: list[int], tokens: int) -> float:
    """Multiplications and additions in matrix products: blocks for all that is run, the head for what is kept."""
    config = json.loads((default_bundle_path() / "model" / "config.json").read_text("utf-8"))
    width, heads, kv = config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"]
    head_width, forward = config["head_dim"], config["intermediate_size"]
    linear = (width * head_width * (2 * heads + 2 * kv) + 3 * width * forward) * sum(windows)
    # Scores and sums, each of a token with itself and those before it.
    attention = 2 * heads * head_width * sum(each * (each + 1) // 2 for each in windows)
    blocks = 2 * config["num_hidden_layers"] * (linear + attention)
    return float(blocks + 2 * width * config["vocab_size"] * tokens)


def edits(engine: Engine, sizes: tuple[int, ...]) -> Iterator[Figure]:
    """An edit at the end, in the middle and at the top, each followed by typing there, against a full pass."""
    bars = {"end": (1 / 15, 1 / 40), "middle": (1 / 8, 1 / 20)}
    for lines in sizes:
        text, whole, typed = program(lines), [], {}
        for place, line in (("end", lines - 2), ("middle", lines // 2), ("top", 5)):
            again = partial(engine.rescore, language_id="python", memory=WindowMemory(_MEMORY))
            whole.append(seconds_of(partial(again, text)))
            typed[place] = [seconds_of(partial(again, version)) for version in _typed(text, line)]
        for place, seconds in typed.items():
            minimum, target = bars.get(place, (None, None)) if lines == 2000 else (None, None)
            name = f"edit at the {place} of {lines:,} lines, against a full pass"
            note = f"{1000 * median(seconds):.0f} ms against {1000 * median(whole):.0f} ms"
            yield Figure(name, "", tuple(each / median(whole) for each in seconds), minimum, target, note=note)


def _typed(text: str, line: int) -> Iterator[str]:
    """Ten versions of a text in which somebody types a statement after a line."""
    lines = text.splitlines(keepends=True)
    statement = "value = 1\n"
    for length in range(1, len(statement) + 1):
        yield "".join([*lines[:line], statement[:length], *lines[line:]])


def many_programs(engine: Engine, count: int) -> Iterator[Figure]:
    """`risk-lsp score` on programs of 20 lines."""
    lines = program(20 * count).splitlines(keepends=True)
    texts = ["".join(lines[20 * index : 20 * index + 20]) for index in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
        records = (json.dumps({"id": str(number), "text": text}) for number, text in enumerate(texts))
        source.write_text("\n".join(records) + "\n", encoding="utf-8")
        seconds = seconds_of(lambda: score_file(engine, source, out, on_progress=lambda _: None))
    yield Figure(f"score, {count:,} programs of 20 lines", "programs/s", (count / seconds,), larger_is_better=True)
