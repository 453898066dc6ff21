"""The blocks of a mid-size model by other runtimes than torch, with weights kept in sixteen, eight or four bits.

    python -m benchmarks.weight_only [--folder FOLDER] [--rounds 5] [--threads N] [--only WORD ...]

Takes the bundle qwen2.5-coder-0.5b, whose model must be there (`risk-lsp models`): its lowest 18 blocks with the taps
of the probe, and no head. Every way takes the rows of the embeddings from the model's file, as the shipped host does,
and has a process of its own, in which nothing is imported that it does without. Measured are a pass over 1,024 tokens,
which is as many as the engine has read at once, one over 64, as after an edit, memory after both (and while loading),
and by how much a line's probability moves against the shipped decoder in float32, over the same program.

"Weight-only": the weights alone are rounded. Every way computes in float32 unless its name says otherwise; where a
runtime rounds activations as well, the name says so. No calibration data are used.

Graphs are written to the folder once (some 4 GB) and read from there; without --folder it is a temporary one. What is
not installed is left out, and said so. Only this command has a use for openvino 2026.4.1, nncf 3.4.0,
onnxruntime 1.31.1, onnx 1.23.2 and onnxscript 0.7.2, the versions it was written with. Prints Markdown.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench.__main__ import PRECISE, machine
from benchmarks.bench.programs import program
from benchmarks.decoder import kilobytes
from benchmarks.other_runtimes import Cost, cost_of
from risk_lsp.model import code_model
from risk_lsp.model.cores import available_cores
from risk_lsp.model.gguf_config import tensor_names
from risk_lsp.model.host import DecoderShape, Host, Run, decoder_shape, load_host
from risk_lsp.model.sources import ModelFolder
from risk_lsp.probe.manifest import bundle_path
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import line_risks

_LONG, _EDITED = 1024, 64  # tokens
_COMPARED_LINES = 400
_EMBEDDINGS = "model.embed_tokens.weight"
_GROUP = 32  # columns that share a scale; the widths of Qwen2.5-Coder-0.5B are multiples of 128
_SHIPPED = "this project's, float32"

Graph = Callable[[NDArray[np.float32]], Sequence[Any]]  # inputs of the first block to the tapped residual streams


class Way(NamedTuple):
    """One way to run the blocks: what it needs beside the project, the file it reads, how that is made and run."""

    name: str
    needs: tuple[str, ...]
    file: str | None
    make: Callable[[Path], None]
    load: Callable[[argparse.Namespace], Callable[..., Host]]


def ways() -> Iterator[Way]:
    """All, the one that numbers are compared to first."""
    yield Way(_SHIPPED, (), None, _make_nothing, lambda _: partial(_by_project, "float32"))
    yield Way("this project's, float16", (), None, _make_nothing, lambda _: partial(_by_project, "float16"))
    for bits in (8, 4):
        name = f"torch, weights of {bits} bits, activations in bfloat16"
        yield Way(name, (), None, _make_nothing, lambda _, bits=bits: partial(_by_packed_products, bits))  # type: ignore[misc]
    for name, mode in (("float32", None), ("weights of 8 bits", "INT8_ASYM"), ("weights of 4 bits", "INT4_ASYM")):
        file = f"openvino-{mode or 'float32'}.xml"
        needs = ("openvino", "nncf") if mode else ("openvino",)
        yield Way(f"OpenVINO, {name}", needs, file, partial(_make_openvino, mode), partial(_load_graph, _run_openvino))
    onnx = ("onnxruntime", "onnx", "onnxscript")
    yield Way("ONNX Runtime, float32", onnx, "onnx-0.onnx", _make_onnx, partial(_load_graph, _run_onnx))
    for bits in (8, 4):
        for level, note in ((0, ""), (4, ", activations of 8 bits in products")):
            make, file = partial(_make_onnx_of_few_bits, bits, level), f"onnx-{bits}-{level}.onnx"
            yield Way(f"ONNX Runtime, weights of {bits} bits{note}", onnx, file, make, partial(_load_graph, _run_onnx))


def _make_nothing(_: Path) -> None:
    pass


def _by_project(kind: str, folder: ModelFolder, *, threads: int, **options: Any) -> Host:
    from risk_lsp.model.decoders import torch_host

    # The shipped host leaves cores alone that others hold, which the other ways do not.
    patch.object(torch_host, "free_cores", lambda: threads).start()
    return load_host(folder, **{**options, "dtype": kind, "threads": threads})


class GraphHost:
    """A host of blocks that some other runtime runs, one text after the other; see Host."""

    device, has_head = "cpu", False

    def __init__(self, graph: Graph, folder: ModelFolder, shape: DecoderShape, top_layer: int, dtype: str) -> None:
        assert folder.gguf is not None
        self._graph, self._file = graph, folder.gguf
        self._embeddings = tensor_names(folder.gguf, dict(shape.tensors(shape.layers, head=True)))[_EMBEDDINGS]
        self.dtype, self.top_layer = dtype, top_layer
        self.layer_count, self.width, self.vocabulary_size = shape.layers, shape.width, shape.vocabulary
        self.context = shape.context

    def run(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int], *, to_end: bool) -> list[Run]:
        """The residual streams at the taps that the graph was made for."""
        found = []
        for sequence in sequences:
            streams = self._graph(self._file.gather(self._embeddings, sequence)[None])
            found.append(Run({layer: np.asarray(each)[0] for layer, each in zip(layers, streams, strict=True)}, None))
        return found


def _load_graph(run: Callable[[Path, int], Graph], args: argparse.Namespace) -> Callable[..., Any]:
    def load(folder: ModelFolder, *, top_layer: int, threads: int, **_: Any) -> GraphHost:
        graph, shape = run(args.folder / args.file, threads), decoder_shape(folder.config)
        assert shape is not None
        return GraphHost(graph, folder, shape, top_layer, "float32")

    return load


def _run_openvino(file: Path, threads: int) -> Graph:
    core = import_module("openvino").Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    options |= {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0, "ENABLE_MMAP": False}  # activations are not rounded
    request = core.compile_model(file, "CPU", options).create_infer_request()
    return lambda given: [each.copy() for each in request.infer([given]).values()]


def _run_onnx(file: Path, threads: int) -> Graph:
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that wait sleep, as torch's
    session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda inputs: session.run(None, {given.name: inputs})


def _by_packed_products(bits: int, folder: ModelFolder, **options: Any) -> Host:
    """This project's decoder whose linear layers are torch's own products with weights of few bits.

    Those of float32, too, are there, and take forty times as long.
    """
    from risk_lsp.model.decoders import torch_block

    with patch.object(torch_block, "Linear", partial(_PackedLinear, bits)):
        return _by_project("bfloat16", folder, **options)


class _PackedLinear:
    """As Linear, with one scale for each row of weights in eight bits, or each group of columns of a row in four."""

    def __init__(self, bits: int, weight: Any, bias: Any = None) -> None:
        import torch

        self.dtype, self._bias, self._bits = weight.dtype, bias, bits
        rows, columns = weight.shape
        exact = weight.float()
        if bits == 8:
            scales = exact.abs().amax(dim=1) / 127
            self._weight = (exact / scales[:, None]).round().to(torch.int8)
            self._scales = scales.to(self.dtype)
            return
        groups = exact.view(rows, columns // _GROUP, _GROUP)
        least, most = groups.aminmax(dim=2)
        scales = ((most - least) / 15).clamp(min=1e-9)
        numbers = ((groups - least[..., None]) / scales[..., None]).round().to(torch.int32).view(rows, columns)
        self._weight = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers, 1)
        # A weight is (number - 8) x scale + zero.
        both = torch.stack([scales, least + 8 * scales], dim=2)
        self._scales = both.transpose(0, 1).contiguous().to(self.dtype)

    def __call__(self, rows: Any) -> Any:
        import torch

        if self._bits == 8:
            found = torch.ops.aten._weight_int8pack_mm(rows, self._weight, self._scales)
        else:
            found = torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self._weight, _GROUP, self._scales)
        return found if self._bias is None else found.add_(self._bias)


def _blocks(layers: Sequence[int]) -> Any:
    """The model's lowest blocks as transformers has them, from the residual stream before the first to the taps."""
    import torch
    from transformers import Qwen2Config, Qwen2Model

    from risk_lsp.model.decoders.torch_weights import open_weights
    from risk_lsp.model.sources import locate_model
    from risk_lsp.model.store import ModelStore

    stored = ModelStore().find(PRECISE)
    assert stored is not None, f"get the model first: risk-lsp models fetch {PRECISE}"
    folder = locate_model(stored.path)
    shape = decoder_shape(folder.config)
    assert shape is not None
    weights = open_weights(folder, shape)
    smaller = {**folder.config, "num_hidden_layers": max(layers), "vocab_size": 1, "layer_types": None}
    with torch.device("meta"):
        model = Qwen2Model(Qwen2Config(**smaller, attn_implementation="sdpa"))
    known = {}
    for name, sizes in shape.tensors(max(layers), head=False):
        if name != _EMBEDDINGS:
            known[name.removeprefix("model.")] = torch.empty(sizes)
            weights.copy(name, known[name.removeprefix("model.")])
    model.load_state_dict(known, strict=False, assign=True)
    model.rotary_emb = type(model.rotary_emb)(model.config)

    class Blocks(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.rotary = model.layers, model.rotary_emb

        def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, ...]:
            places = torch.arange(hidden.shape[1]).unsqueeze(0)
            angles, streams = self.rotary(hidden, places), [hidden]
            for block in self.layers:
                streams.append(block(streams[-1], attention_mask=None, position_embeddings=angles, position_ids=places))
            return tuple(streams[layer] for layer in layers)

    return Blocks().eval().requires_grad_(False), torch.rand(1, 300, shape.width)


def _make_openvino(mode: str | None, target: Path) -> None:
    openvino = import_module("openvino")
    plain = target.with_name("openvino-float32.xml")
    if mode is None:
        blocks, example = _blocks(_tapped_layers())
        model = openvino.convert_model(blocks, example_input=example, input=[("hidden", [1, -1, example.shape[2]])])
        openvino.save_model(model, plain, compress_to_fp16=False)
        return
    nncf = import_module("nncf")
    options = {"group_size": _GROUP, "all_layers": True} if mode.startswith("INT4") else {}
    model = openvino.Core().read_model(plain)
    model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode[mode], **options)
    openvino.save_model(model, target, compress_to_fp16=False)


def _make_onnx(target: Path) -> None:
    import torch

    blocks, example = _blocks(_tapped_layers())
    export: Any = torch.onnx.export
    shapes = ({1: torch.export.Dim("tokens", min=2, max=4096)},)
    export(blocks, (example,), target, dynamic_shapes=shapes, dynamo=True, external_data=True, verbose=False)


def _make_onnx_of_few_bits(bits: int, level: int, target: Path) -> None:
    quantizers = import_module("onnxruntime.quantization.matmul_nbits_quantizer")
    exported = import_module("onnx").load(target.with_name("onnx-0.onnx"))
    quantizer = quantizers.MatMulNBitsQuantizer(
        exported, bits=bits, block_size=_GROUP, is_symmetric=False, accuracy_level=level
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(target), True)


def _tapped_layers() -> tuple[int, ...]:
    from risk_lsp.probe.manifest import read_manifest

    return read_manifest(bundle_path(PRECISE)).layers


def _measure(way: Way, args: argparse.Namespace) -> dict[str, Any]:
    """In this process: speeds, memory, and the probability of each line of a program."""
    args.file = way.file
    with patch.object(code_model, "load_host", way.load(args)):
        engine = Engine.load(bundle_path(PRECISE), threads=args.threads)
    gc.collect()
    host, layers = engine.model.host, engine.manifest.layers
    token_ids = engine.model.encode(program(400)).token_ids.astype(np.int64)
    found: dict[str, Any] = {}
    for count in (_EDITED, _LONG) if args.rounds else ():
        given = [token_ids[:count]]
        costs = [cost_of(lambda given=given: host.run(given, layers, to_end=False)) for _ in range(args.rounds + 1)]  # type: ignore[misc]
        found[f"of {count}"] = costs[1:]  # the first makes kernels
    found |= {"memory": kilobytes("VmRSS") / 1e3, "most": kilobytes("VmHWM") / 1e3}
    if args.compared:
        text = program(args.compared)
        found["lines"] = np.nan_to_num(line_risks(engine.score(text), text)).tolist()
    found["modules"] = sorted({"torch", "openvino", "onnxruntime"} & set(sys.modules))
    return found


def _in_a_process(part: str, way: Way, args: argparse.Namespace) -> str:
    numbers = [f"--{name}={getattr(args, name)}" for name in ("folder", "rounds", "threads", "compared")]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}  # as an engine has it
    command = [sys.executable, "-m", "benchmarks.weight_only", *numbers, part, way.name]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout


def table(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The ways as Markdown."""
    known = found[_SHIPPED]
    yield (
        f"| way | {_LONG:,} tokens | of processors | times as fast | {_EDITED} tokens | of processors | times as fast "
        "| memory | a line moves by at most |"
    )
    yield f"|{'---|' * 9}"
    for name, own in found.items():
        cells = [name]
        for count in (_LONG, _EDITED):
            best, shipped = (_best(each[f"of {count}"]) for each in (own, known))
            cells += [
                f"{count / best.seconds:,.0f} tokens/s",
                f"{best.work:.2f} s",
                f"{shipped.seconds / best.seconds:.2f}",
            ]
        moved = np.abs(np.subtract(own["lines"], known["lines"])).max()
        yield f"| {' | '.join(cells)} | {own['memory']:,.0f} MB | {moved:.4f} |"


def _best(costs: Sequence[Sequence[float]]) -> Cost:
    """The least of each of the two, since others that use the machine only add to them."""
    seconds, work = zip(*costs, strict=True)
    return Cost(min(seconds), min(work))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("make", "measure"), help=argparse.SUPPRESS)
    parser.add_argument("name", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="of the graphs, which are kept there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=available_cores(), help="all cores unless given, as ships")
    parser.add_argument("--compared", type=int, default=_COMPARED_LINES, help="lines of the program that is scored")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="ways whose names hold one of these")
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # exporters have much to say
    warnings.simplefilter("ignore")
    if args.part is not None:
        way = next(each for each in ways() if each.name == args.name)
        if args.part == "make":
            way.make(args.folder / str(way.file))
        else:
            print(json.dumps(_measure(way, args)))
        return 0
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        args.folder = args.folder or Path(temporary)
        for way in ways():
            if way.name != _SHIPPED and not any(word in way.name for word in args.only):
                continue
            if missing := [name for name in way.needs if find_spec(name) is None]:
                print(f"{way.name} is left out: {' and '.join(missing)} not installed", flush=True)
                continue
            try:
                if way.file is not None and not (args.folder / way.file).exists():
                    _in_a_process("make", way, args)
                found[way.name] = json.loads(_in_a_process("measure", way, args).splitlines()[-1])
            except subprocess.CalledProcessError as error:
                print(f"{way.name} is left out: its process ended with {error.returncode}", flush=True)
    print(f"{machine()}; {args.threads} threads, {args.rounds} rounds\n")
    print("\n".join(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
