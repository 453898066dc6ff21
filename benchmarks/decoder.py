"""How fast the decoders read and write, held to what this machine multiplies.

    python -m benchmarks.decoder [--model PATH ...] [--only writing] [--layers N] [--rounds 5] [--threads N]
                                 [--out FOLDER]

PATH is a GGUF file or a model folder; without --model, the GGUF files of the folder that RISK_LSP_GGUF names, or else
what was fetched (`risk-lsp models`). The
default bundle's model is always measured. Each model has two processes of its own: one reads, with the lowest N layers
alone, which is how a probe has it (default: all); one writes, with the whole model.

The full pass reads 2,000 tokens of Python without the head. Its share is of the rate at which the same library, in the
same run and the same number type, multiplies 1,024 tokens with matrices of the model's own shapes; products with
weights and between tokens are counted, those of tokens that windows share, too.

What a machine allows of writing is the smaller of two: a step reads all weights from memory once, however many rows it
writes; each row multiplies each weight once. Both are measured before each time that is written. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench.__main__ import machine
from benchmarks.bench.figures import Figure, markdown, seconds_of, timed
from benchmarks.bench.programs import program
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.cores import available_cores
from risk_lsp.model.host import DecoderShape, decoder_shape
from risk_lsp.model.sources import locate_model
from risk_lsp.model.store import ModelStore
from risk_lsp.model.window_runs import plan_windows
from risk_lsp.probe.manifest import default_bundle_path

_TOKENS = 2000
_TOKENS_OF_A_PRODUCT = 1024
_PROMPT, _WRITTEN = 200, 32  # tokens
_ROWS = (1, 8, 32)
_BYTES_READ = 1 << 28  # more than any cache holds


def reading(path: Path, layers: int | None, threads: int, rounds: int) -> Iterator[Figure]:
    """The full pass, and the memory that it takes."""
    model = CodeModel.load(path, top_layer=layers, threads=threads)
    shape = decoder_shape(locate_model(path).config)
    assert shape is not None, f"{path} is run by transformers, not by a decoder of this project"
    top = model.layer_count if layers is None else layers
    text = next(text for text in map(program, count(1)) if len(model.encode(text)) >= _TOKENS)
    encoding = model.encode(text)
    windows = [window.end - window.start for window in plan_windows(encoding.token_ids, model.window)]
    products = timed(_products(model, shape), rounds)
    passed = timed(lambda: model.read(encoding, (top,)), rounds)
    name = f"{_label(path)}, {model.dtype}, {top} of {model.layer_count} layers"
    note = f"{sum(windows):,} tokens are run for {len(encoding):,}"
    speeds = tuple(len(encoding) / each for each in passed)
    yield Figure(f"{name}: full pass", "tokens/s", speeds, larger_is_better=True, note=note)
    rates = tuple(_product_flops(shape) / each for each in products)
    gigaflops = tuple(each / 1e9 for each in rates)
    yield Figure(f"{name}: matrix products of its shapes", "GFLOP/s", gigaflops, larger_is_better=True)
    work = _pass_flops(shape, top, windows)
    shares = tuple(100 * work / each / float(np.median(rates)) for each in passed)
    yield Figure(f"{name}: full pass, share of that rate", "%", shares, 55, larger_is_better=True)
    yield Figure(f"{name}: memory after it", "MB", (kilobytes("VmRSS") / 1e3,), 1200)
    yield Figure(f"{name}: memory at most, while it was loaded too", "MB", (kilobytes("VmHWM") / 1e3,))


def writing(path: Path, threads: int, rounds: int) -> Iterator[Figure]:
    """Tokens that are written in one second, all rows together, each behind 200 tokens of its own and what it wrote."""
    model = CodeModel.load(path, threads=threads)
    shape = decoder_shape(locate_model(path).config)
    assert shape is not None, f"{path} is run by transformers, not by a decoder of this project"
    token_ids = model.encode(program(400)).token_ids.astype(np.int64)
    weights = shape.layers * sum(map(math.prod, _matrices(shape))) + shape.vocabulary * shape.width
    width = 4 if model.dtype == "float32" else 2
    products = _products(model, shape)
    bandwidths: list[float] = []
    for rows in _ROWS:
        write_more = _open_writing(model, [token_ids[first : first + _PROMPT] for first in range(0, 7 * rows, 7)])
        speeds: list[float] = []
        shares: dict[str, list[float]] = {"memory": [], "matrix products": []}
        for _ in range(rounds):  # one after the other, as others may use the machine for a while
            bandwidths.append(_bytes_each_second(threads))
            row_rate = _product_flops(shape) / timed(products, 1)[0] / (2 * weights)
            speeds.append(rows * _WRITTEN / seconds_of(write_more))
            by_memory = rows * bandwidths[-1] / (width * weights)
            shares["memory" if by_memory < row_rate else "matrix products"].append(
                100 * speeds[-1] / min(by_memory, row_rate)
            )
        name = f"{_label(path)}, {model.dtype}: writing, {rows} {'row' if rows == 1 else 'rows'}"
        yield Figure(name, "tokens/s", tuple(speeds), larger_is_better=True)
        by = max(shares, key=lambda each: len(shares[each]))
        bar = 60 if width * weights > _BYTES_READ else None  # a cache that holds all weights allows more than memory
        allows = f"{name}, share of what {by} allow{'s' * (by == 'memory')}"
        yield Figure(allows, "%", tuple(each for some in shares.values() for each in some), bar, larger_is_better=True)
    yield Figure("reading memory", "GB/s", tuple(each / 1e9 for each in bandwidths), larger_is_better=True)
    yield Figure(f"{_label(path)}, {model.dtype}: memory with the head", "MB", (kilobytes("VmRSS") / 1e3,))


def _open_writing(model: CodeModel, prompts: Sequence[NDArray[np.int64]]) -> Callable[[], None]:
    """What goes on with all prompts by as many tokens, each time it is called."""
    decoding = model.host.begin(prompts)
    rows = list(range(len(prompts)))

    def write() -> None:
        for _ in range(_WRITTEN):
            decoding.advance(rows, decoding.logits.argmax(axis=1))

    return write


def _bytes_each_second(threads: int) -> float:
    """How much of the memory is read in one second, by so many threads, each its own part; the best of three times."""
    parts = np.array_split(np.ones(_BYTES_READ // 4, np.float32), threads)
    with ThreadPoolExecutor(threads) as pool:
        # A product of a vector with itself reads it once, and holds no lock.
        seconds = min(seconds_of(lambda: [*pool.map(lambda part: part @ part, parts)]) for _ in range(3))
    return _BYTES_READ / seconds


def _matrices(shape: DecoderShape) -> list[tuple[int, int]]:
    """Rows and columns of the products with weights of one block, those of the same input as one."""
    queries, keys = shape.heads * shape.head_width, shape.key_value_heads * shape.head_width
    both = (2 * shape.feed_forward, shape.width)
    return [(queries + 2 * keys, shape.width), (shape.width, queries), both, (shape.width, shape.feed_forward)]


def _products(model: CodeModel, shape: DecoderShape) -> Callable[[], object]:
    """The products of one block with 1,024 tokens, by the library and in the number type of the model's decoder."""
    random = np.random.default_rng(1)
    sizes = _matrices(shape)
    pairs = [
        (random.random((_TOKENS_OF_A_PRODUCT, columns), np.float32), random.random((rows, columns), np.float32))
        for rows, columns in sizes
    ]
    if type(model.host).__name__ == "NumpyHost":
        return lambda: [tokens @ weights.T for tokens, weights in pairs]
    import torch

    from risk_lsp.model.decoders.torch_weights import product_type

    kind = product_type(getattr(torch, model.dtype), torch.device(model.device))
    tensors = [tuple(torch.from_numpy(each).to(kind) for each in pair) for pair in pairs]
    return lambda: [torch.nn.functional.linear(tokens, weights) for tokens, weights in tensors]


def _product_flops(shape: DecoderShape) -> float:
    return 2.0 * _TOKENS_OF_A_PRODUCT * sum(rows * columns for rows, columns in _matrices(shape))


def _pass_flops(shape: DecoderShape, layers: int, windows: Sequence[int]) -> float:
    """Multiplications and additions in matrix products; scores and sums are of a token and those before it."""
    linear = sum(rows * columns for rows, columns in _matrices(shape)) * sum(windows)
    attention = 2 * shape.heads * shape.head_width * sum(each * (each + 1) // 2 for each in windows)
    return 2.0 * layers * (linear + attention)


def _label(path: Path) -> str:
    return "built-in" if path == default_bundle_path() / "model" else path.name


def kilobytes(name: str) -> int:
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(f"{name}:"))


def _in_a_process_of_its_own(part: str, path: Path, args: argparse.Namespace) -> list[Figure]:
    words = [part, str(path), "--threads", str(args.threads), "--rounds", str(args.rounds)]
    words += ["--layers", str(args.layers)] if args.layers is not None else []
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}  # as an engine has it
    command = [sys.executable, "-m", "benchmarks.decoder", *words]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    figures: list[dict[str, Any]] = json.loads(done.stdout)
    return [Figure(**{**each, "values": tuple(each["values"])}) for each in figures]


def _models(args: argparse.Namespace) -> list[Path]:
    """Those that were named, or the files of a folder, or those that were fetched, and the default."""
    folder = os.environ.get("RISK_LSP_GGUF")
    fetched = [model.path for model in ModelStore().models() if model.path.exists()]
    found = args.model or (sorted(Path(folder).glob("*.gguf")) if folder else fetched)
    return [default_bundle_path() / "model", *found]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("reading", "writing"), help=argparse.SUPPRESS)
    parser.add_argument("path", nargs="?", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, nargs="+", metavar="PATH", help="a GGUF file or a model folder")
    parser.add_argument("--only", choices=("reading", "writing"), help="one of the two (default: both)")
    parser.add_argument("--layers", type=int, help="how many of the lowest blocks of those read (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=available_cores(), help="all cores unless given, as ships")
    parser.add_argument("--out", type=Path, help="folder for decoder.md and decoder.json")
    args = parser.parse_args()
    if args.part is not None:
        figures = (
            reading(args.path, args.layers, args.threads, args.rounds)
            if args.part == "reading"
            else writing(args.path, args.threads, args.rounds)
        )
        print(json.dumps([asdict(figure) for figure in figures]))
        return 0
    found: list[Figure] = []
    default, *others = _models(args)
    for path in (default, *others):
        own = argparse.Namespace(**{**vars(args), "layers": None if path is default else args.layers})
        for part in (args.only,) if args.only else ("reading", "writing"):
            found += _in_a_process_of_its_own(part, path, own)
    report = f"{machine()}; {args.threads} threads, {args.rounds} rounds\n\n{markdown(found)}"
    print(report)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "decoder.md").write_text(report, encoding="utf-8")
        content = {"machine": machine(), "figures": [figure.to_json() for figure in found]}
        (args.out / "decoder.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
