"""The default model's full pass by other runtimes than the one that ships, taken in turns with it.

    python -m benchmarks.other_runtimes [--tokens 2000] [--rounds 7] [--threads N] [--only WORD ...]

All read the same text as the engine has it read: its windows, the tapped layers, the surprisal and entropy of each
token; tokenizer and probe are not timed. Every round runs each way once, in an order drawn anew, so that what else the
machine does falls on all of them; a ratio is to the shipped host in the same round. Beside it stands how far a way is
from transformers' float32 pass over a longer text: the probability of a line, and the surprisal of a token in nats.

What is not installed is left out, and said so. Only this command has a use for onnxruntime 1.31.1, onnx 1.23.2,
onnxscript 0.7.2 (with onnx-ir 1.1.0, ml-dtypes 0.6.0, protobuf 7.36.2, flatbuffers 25.12.19) and openvino 2026.4.1,
the versions it was written with; torch.compile takes a C++ compiler. Prints Markdown.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench.__main__ import machine
from benchmarks.bench.figures import seconds_of
from benchmarks.bench.programs import program
from risk_lsp.errors import first_line
from risk_lsp.model.code_model import Activations
from risk_lsp.model.cores import available_cores
from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import line_risks

_SHIPPED = "numpy, float32 (ships)"
_BY_TRANSFORMERS = ("transformers, float32", "transformers, bfloat16", "transformers, dynamic int8 in the blocks")
_PLAIN = _BY_TRANSFORMERS[0]
_COMPARED_LINES = 500
_ROWS = 128  # of logits at once, as the transformers host has it

Arrays = Sequence[Any]  # torch's or numpy's


class Way(NamedTuple):
    """One way to run the model, and what it needs beside the project."""

    name: str
    needs: tuple[str, ...]
    load: Callable[[], Engine]


class Cost(NamedTuple):
    """Seconds that one pass takes, and those that processors work on it; the latter grow less on a busy machine."""

    seconds: float
    work: float


def ways(threads: int, folder: Path) -> Iterator[Way]:
    """All, the shipped one first; `folder` is for exported graphs."""
    yield Way(_SHIPPED, (), partial(Engine.load, threads=threads))
    for place, name in enumerate(_BY_TRANSFORMERS):
        yield Way(name, (), partial(_by_transformers, place, threads))
    for place, name in enumerate(("float32", "bfloat16")):
        yield Way(f"torch.compile, {name}", (), partial(_compiled, place, threads))
    onnx = ("onnx", "onnxscript")
    integers = {"float32": (), "dynamic int8 in the blocks": ("body",), "dynamic int8, head too": ("body", "head")}
    for name, quantized in integers.items():
        load = partial(_by_onnxruntime, quantized, threads, folder)
        yield Way(f"ONNX Runtime, {name}", ("onnxruntime", *onnx), load)
    for name, precision in (("float32", "f32"), ("bfloat16", "bf16")):
        yield Way(f"OpenVINO, {name}", ("openvino", *onnx), partial(_by_openvino, precision, threads, folder))


def _by_transformers(place: int, threads: int) -> Engine:
    from benchmarks.bench.hosts import other_engines

    return next(islice(other_engines(threads), place, None))[1]


def _graphs(engine: Engine) -> tuple[Any, Any]:
    """An engine's model as modules to compile or export: its blocks, and its head with what is taken from the logits.

    The first maps int64[texts, tokens] to the tapped residual streams and the normalised output, the second rows of
    that output and the token behind each to its log-probability and the entropy of what it was drawn from.
    """
    import torch

    host: Any = engine.model.host
    base, output, layers = host._base, host._head, engine.manifest.layers

    class Blocks(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = base

        def forward(self, token_ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
            places = torch.arange(token_ids.shape[1]).unsqueeze(0)
            streams = [base.embed_tokens(token_ids)]
            angles = base.rotary_emb(streams[0], places)
            for block in base.layers:
                streams.append(block(streams[-1], attention_mask=None, position_embeddings=angles, position_ids=places))
            first, second = layers
            return streams[first].float(), streams[second].float(), base.norm(streams[-1])

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = output

        def forward(self, final: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            spread = torch.log_softmax(output(final).float(), dim=-1)
            return spread.gather(-1, targets[:, None])[:, 0], -(spread.exp() * spread).sum(dim=-1)

    return Blocks().eval(), Head().eval()


def _with(engine: Engine, body: Callable[[Any], Arrays], head: Callable[[Any, Any], Arrays]) -> Engine:
    """An engine by transformers whose host runs these two graphs instead of the model."""
    import torch

    def forward(token_ids: Any, layers: Sequence[int], **_options: bool) -> tuple[dict[int, Any], Any]:
        *residuals, final = body(token_ids)
        return dict(zip(layers, map(torch.as_tensor, residuals), strict=True)), final

    def statistics(final: Any, targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        parts = [slice(first, first + _ROWS) for first in range(0, len(targets), _ROWS)]
        with torch.inference_mode():
            found = [head(final[part], torch.from_numpy(targets[part].astype(np.int64))) for part in parts]
        return np.concatenate([each for each, _ in found]), np.concatenate([each for _, each in found])

    vars(engine.model.host).update(_forward=forward, statistics=statistics)
    return engine


def _compiled(place: int, threads: int) -> Engine:
    import torch

    engine = _by_transformers(place, threads)
    compiler: Any = torch.compile
    body, head = (compiler(graph, dynamic=True) for graph in _graphs(engine))
    return _with(engine, body, head)


def _exported(folder: Path, threads: int) -> tuple[Engine, list[Path]]:
    """An engine to take the place of, and ONNX files of its model's two graphs, which are written once."""
    import torch

    engine = _by_transformers(0, threads)
    files = [folder / "body.onnx", folder / "head.onnx"]
    if not files[-1].exists():
        given = (torch.arange(5, 605).reshape(2, 300),), (torch.rand(_ROWS, engine.model.width), torch.arange(_ROWS))
        shapes = ({0: "texts", 1: "tokens"},), ({0: "rows"}, {0: "rows"})
        export: Any = torch.onnx.export
        options = {"dynamo": True, "external_data": False, "opset_version": 18, "verbose": False}
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for graph, example, names, file in zip(_graphs(engine), given, shapes, files, strict=True):
                export(graph, example, file, dynamic_shapes=names, **options)
    return engine, files


def _by_onnxruntime(quantized: tuple[str, ...], threads: int, folder: Path) -> Engine:
    runtime = import_module("onnxruntime")
    engine, files = _exported(folder, threads)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that wait sleep, as torch's

    def runner(file: Path) -> Callable[..., Arrays]:
        if file.stem in quantized:
            exported, file = import_module("onnx").load(file), file.with_suffix(".int8.onnx")
            del exported.graph.value_info[:]  # shapes of weights that quantising turns about
            import_module("onnxruntime.quantization").quantize_dynamic(exported, file, per_channel=True)
        session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]
        return lambda *given: session.run(None, dict(zip(names, map(np.asarray, given), strict=True)))

    return _with(engine, *map(runner, files))


def _by_openvino(precision: str, threads: int, folder: Path) -> Engine:
    core = import_module("openvino").Core()
    engine, files = _exported(folder, threads)
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}

    def runner(file: Path) -> Callable[..., Arrays]:
        request = core.compile_model(file, "CPU", options).create_infer_request()
        # The next run writes over what a request gave.
        return lambda *given: [each.copy() for each in request.infer(list(map(np.asarray, given))).values()]

    return _with(engine, *map(runner, files))


def pass_over(engine: Engine, text: str) -> Callable[[], Activations]:
    """The full pass alone, over a text whose tokens are known."""
    given = engine.model_text(text)
    encoding = engine.model.encode(given.text)
    return lambda: engine.read([given], [encoding], statistics=True)[0]


def readings(chosen: Sequence[Way], text: str) -> dict[str, tuple[Engine, Activations]]:
    """Engine of each way that can be had here, and what it makes of a text; says which cannot be had."""
    found = {}
    for way in chosen:
        if missing := [name for name in way.needs if find_spec(name) is None]:
            print(f"{way.name} is left out: {' and '.join(missing)} not installed", flush=True)
            continue
        try:
            engine = way.load()
            found[way.name] = engine, pass_over(engine, text)()
        except Exception as error:  # runtimes raise many types; the others are measured all the same
            print(f"{way.name} is left out: {type(error).__name__}: {first_line(error)}", flush=True)
    return found


def moves(engine: Engine, text: str, plain: Activations, own: Activations) -> tuple[float, float]:
    """By how much the probability of a line, and the surprisal of a token, differ at most."""
    assert plain.log_probabilities is not None and own.log_probabilities is not None
    given = engine.model_text(text)
    lines = line_risks(engine.risk(given, own), text) - line_risks(engine.risk(given, plain), text)
    return float(np.nanmax(np.abs(lines))), float(np.abs(own.log_probabilities - plain.log_probabilities).max())


def costs_by_round(passes: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[Cost]]:
    """What each way costs in each round, after one that is not counted."""
    chance, costs = random.Random(0), {name: [cost_of(work)] for name, work in passes.items()}
    for _ in range(rounds):
        for name in chance.sample(list(passes), len(passes)):
            costs[name].append(cost_of(passes[name]))
    return {name: each[1:] for name, each in costs.items()}


def cost_of(work: Callable[[], object]) -> Cost:
    """What one call costs."""
    started = time.process_time()
    seconds = seconds_of(work)
    return Cost(seconds, time.process_time() - started)


def row(name: str, own: Sequence[Cost], shipped: Sequence[Cost], moved: tuple[float, float]) -> str:
    """One way as Markdown."""
    ratios = [known.seconds / each.seconds for known, each in zip(shipped, own, strict=True)]
    times = min(each.seconds for each in own), median(each.seconds for each in own), median(each.work for each in own)
    spread = f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    line, token = moved
    return f"| {name} | {' | '.join(f'{1000 * each:.0f} ms' for each in times)} | {spread} | {line:.4f} | {token:.3f} |"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=2000, help="of the text, to the end of a line")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=available_cores(), help="all cores unless given, as ships")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="ways whose names hold one of these")
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as an engine has it, before anything imports torch
    logging.disable(logging.WARNING)  # exporters have much to say
    words, compared = [_SHIPPED, _PLAIN, *args.only], program(_COMPARED_LINES)
    with tempfile.TemporaryDirectory() as folder:
        chosen = [way for way in ways(args.threads, Path(folder)) if any(word in way.name for word in words)]
        read = readings(chosen, compared)
        (shipped, _), (_, plain) = read[_SHIPPED], read[_PLAIN]
        text = next(text for text in map(program, count(1)) if len(shipped.model.encode(text)) >= args.tokens)
        costs = costs_by_round({name: pass_over(engine, text) for name, (engine, _) in read.items()}, args.rounds)
    memory = WindowMemory(0)
    shipped.rescore(text, "python", memory)
    sizes = f"{len(shipped.model.encode(text)):,} tokens, {memory.tokens_run:,} with those that windows share"
    print(f"{machine()}\n\n{sizes}; {args.threads} threads, {args.rounds} rounds\n")
    print("| way | best | median | of processors | times as fast as what ships | a line moves | a surprisal moves |")
    print(f"|{'---|' * 7}")
    for name, (_, own) in read.items():
        print(row(name, costs[name], costs[_SHIPPED], moves(shipped, compared, plain, own)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
