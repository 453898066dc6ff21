"""From what a person calls a model to files that are safe to load, their weights, their hashes, and adapters of them.

A matrix may be kept in eight bits: int8[rows, columns] under its name, and under its name with SCALES behind it
float[rows, groups] by which each of as many equal stretches of a row is multiplied.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from risk_lsp.errors import ModelError, first_line, needs_extra
from risk_lsp.model.gguf_config import gguf_config
from risk_lsp.model.gguf_file import GgufFile

HUB_PREFIX = "hub:"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
_HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model"]
_UNSAFE_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")


@dataclass(frozen=True)
class ModelFolder:
    """A checked model folder, or a GGUF file, whose `config` is what config.json of the same model says.

    `revision` is the hub commit it came from, None for a folder or a file of the person's own.
    """

    name: str
    path: Path
    revision: str | None
    config: dict[str, Any]
    gguf: GgufFile | None = None


def locate_model(source: str | Path, *, revision: str | None = None, offline: bool = True) -> ModelFolder:
    """Find the folder or the GGUF file of a model and refuse one that is not safe or not complete.

    A `Path`, a string written as a path (`./x`, `/x`, `~/x`, `C:\\x`), or one that ends in .gguf, is a folder or a file
    and never looked up on the hub. A plain name is first looked for in the model store. `owner/name` is a hub id, and
    so is anything after `hub:`. Raises ModelError.
    """
    if (stored := _of_the_store(source)) is not None:
        source = stored
    if _is_hub_id(source):
        name = str(source).removeprefix(HUB_PREFIX)
        path = _fetch(name, revision, offline)
        return ModelFolder(name, path, path.name, _checked_config(path, name))
    try:
        path = Path(source).expanduser()
    except RuntimeError as error:
        raise ModelError(f"{source} names a home folder that is not there", "write the whole path") from error
    if revision is not None:
        raise ModelError(f"{path} is a folder, which has no revision {revision}", "drop the revision, or name a hub id")
    if path.is_file():
        file = GgufFile(path.resolve())
        return ModelFolder(path.stem, file.path, None, gguf_config(file), file)
    if not path.is_dir():
        raise ModelError(f"there is no model folder {path}", "check the path; a model of the hub is named owner/name")
    path = path.resolve()
    return ModelFolder(path.name, path, None, _checked_config(path, str(path)))


def _of_the_store(source: str | Path) -> Path | None:
    """Where the model store has a model of this name."""
    if isinstance(source, Path) or "/" in source or not _HUB_ID.fullmatch(source):
        return None
    from risk_lsp.model.store import ModelStore  # which finds out by this module what a file holds

    store = ModelStore()
    stored = store.find(source)
    return None if stored is None else store.path_of(stored.weights_hash, stored.name)


def _is_hub_id(source: str | Path) -> bool:
    if isinstance(source, Path) or (source.endswith(".gguf") and not source.startswith(HUB_PREFIX)):
        return False
    if source.startswith(HUB_PREFIX):
        if not _HUB_ID.fullmatch(source.removeprefix(HUB_PREFIX)):
            raise ModelError(f"{source} does not name a model of the hub", "write hub:owner/name")
        return True
    if not _HUB_ID.fullmatch(source):
        return False
    if Path(source).is_dir():
        # A folder that happens to stand in the current directory must not replace the model that was meant.
        raise ModelError(
            f"{source} is both a folder here and the form of a hub id",
            f"write ./{source} for the folder or {HUB_PREFIX}{source} for the hub",
        )
    return True


def _fetch(name: str, revision: str | None, offline: bool) -> Path:
    """The local snapshot of a hub model, downloaded first unless `offline`."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ModuleNotFoundError as error:
        raise needs_extra(name, error) from error
    wanted = name if revision is None else f"{name} at revision {revision}"
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_HUB_FILES, local_files_only=offline))
    except LocalEntryNotFoundError as error:
        if offline:
            raise ModelError(
                f"the model {wanted} is not on this machine, and loading is offline",
                f"download it once with `hf download {name}`, or turn the offline setting off",
            ) from error
        raise ModelError(f"the model {wanted} could not be downloaded", "check the network connection") from error
    except Exception as error:  # the hub client raises many types of its own and of its HTTP library
        raise ModelError(
            f"the model {wanted} could not be fetched: {first_line(error)}", "check the id, the revision and the access"
        ) from error


def _checked_config(path: Path, name: str) -> dict[str, Any]:
    """The parsed config.json of a folder whose files are all of a kind that is safe to load."""
    if (path / "adapter_config.json").exists():
        raise ModelError(f"{name} holds an adapter", "merge it into its base model and save that as safetensors")
    if not (path / "config.json").is_file():
        raise ModelError(f"{name} has no config.json", "point at a folder in the transformers format")
    if not any(path.glob("*.safetensors")):
        unsafe = sorted(file.name for pattern in _UNSAFE_WEIGHTS for file in path.glob(pattern))
        if unsafe:
            raise ModelError(
                f"{name} holds its weights only as pickle ({unsafe[0]}), which can run code when it is loaded",
                "save the model as safetensors: model.save_pretrained(folder)",
            )
        raise ModelError(f"{name} has no weights (*.safetensors)", "save or download the whole model")
    _check_index(path, name)
    return _read_json_object(path / "config.json", name)


def _check_index(path: Path, name: str) -> None:
    """Refuse an index of weight shards that points outside the folder or to a file that is missing."""
    index = path / "model.safetensors.index.json"
    if not index.is_file() or (path / "model.safetensors").is_file():
        return
    shards = _read_json_object(index, name).get("weight_map")
    if not isinstance(shards, dict):
        raise ModelError(f"{index.name} of {name} has no weight map", "save or download the model again")
    for shard in sorted({str(value) for value in shards.values()}):
        if Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise ModelError(
                f"{index.name} of {name} points to {shard}", "shards are safetensors files beside the index"
            )
        if not (path / shard).is_file():
            raise ModelError(f"{name} lacks its weight file {shard}", "save or download the whole model")


def _read_json_object(path: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path.name} of {name} cannot be read: {first_line(error)}", "save or download it again"
        ) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path.name} of {name} is not a JSON object", "save or download it again")
    return content


SCALES = ".scales"
_BLOCK = 1 << 20


def hash_files(paths: Iterable[Path]) -> str:
    """`sha256:` and the digest of the files' contents, one after the other in the given order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def hash_weights(path: Path) -> str:
    """Hash of a GGUF file, or of a folder's safetensors files in the order of their names, then its config.json."""
    if path.is_file():
        return hash_files([path])
    return hash_files([*sorted(path.glob("*.safetensors")), path / "config.json"])


def hash_text(text: str) -> str:
    """`sha256:` and the digest of `text` as UTF-8."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


_tensors: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = deserialize
_READERS: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "F32": lambda data: np.frombuffer(data, "<f4"),
    "F16": lambda data: np.frombuffer(data, "<f2"),
    "I8": lambda data: np.frombuffer(data, "i1"),
    # The upper half of a float32; numpy has no such type.
    "BF16": lambda data: (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4"),
}


class ParsedTensor(NamedTuple):
    """A tensor of a safetensors file: the name of its type there, such as "BF16", and its numbers."""

    kind: str
    values: NDArray[Any]


def parse_tensors(data: bytes) -> dict[str, ParsedTensor]:
    """The tensors of a safetensors file by name: float32, or int64 for whole numbers of that type.

    Raises ValueError for a damaged file, and for numbers of another type.
    """
    try:
        tensors = _tensors(data)
    except SafetensorError as error:
        raise ValueError(first_line(error)) from None
    found = {}
    for name, tensor in tensors:
        kind, shape = tensor["dtype"], tensor["shape"]
        if kind == "I64":
            values: NDArray[Any] = np.frombuffer(tensor["data"], "<i8")
        elif kind in ("F32", "F16", "BF16"):
            values = _READERS[kind](tensor["data"]).astype(np.float32, copy=False)
        else:
            raise ValueError(f"{name} is of type {kind}")
        found[name] = ParsedTensor(kind, values.reshape(shape))
    return found


def weight_files(folder: ModelFolder) -> list[Path]:
    """The safetensors files of a checked model folder, in order."""
    whole = folder.path / "model.safetensors"
    return [whole] if whole.is_file() else sorted(folder.path.glob("model-*.safetensors"))


def read_weights(folder: ModelFolder) -> dict[str, NDArray[np.float32]]:
    """Every tensor by name, in float32. Raises ModelError for a damaged file or numbers of another kind."""
    weights: dict[str, NDArray[np.float32]] = {}
    in_eight_bits: list[str] = []
    for file in weight_files(folder):
        try:
            tensors = _tensors(file.read_bytes())
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"the model {folder.name} cannot be loaded: {first_line(error)}", "check or download its files again"
            ) from error
        for name, tensor in tensors:
            if tensor["dtype"] not in _READERS:
                raise ModelError(
                    f"{name} of {folder.name} is of type {tensor['dtype']}", "save the model as float32 or bfloat16"
                )
            if tensor["dtype"] == "I8":
                in_eight_bits.append(name)
            values = _READERS[tensor["dtype"]](tensor["data"])
            weights[name] = values.astype(np.float32, copy=False).reshape(tensor["shape"])
    for name in in_eight_bits:
        _scale(weights[name], weights.pop(name + SCALES, None), name, folder)
    return weights


def _scale(matrix: NDArray[np.float32], scales: NDArray[np.float32] | None, name: str, folder: ModelFolder) -> None:
    """Multiply the groups of each row of `matrix` by their scales, in place."""
    if scales is None or matrix.ndim != 2 or scales.ndim != 2 or scales.shape[0] != len(matrix):
        raise ModelError(f"{name} of {folder.name} has no scales for its eight bits", "make or download it again")
    if not scales.shape[1] or matrix.shape[1] % scales.shape[1]:
        raise ModelError(
            f"{name} of {folder.name} has {matrix.shape[1]} columns, which {scales.shape[1]} scales do not divide",
            "make or download it again",
        )
    grouped = matrix.reshape(len(matrix), scales.shape[1], -1)
    grouped *= scales[:, :, None]


ADAPTER_RECORD = "risk_lsp_adapter.json"  # beside what peft writes: {"base": hash, "before": tokens, "after": tokens}
_ADAPTER_CONFIG, _ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_ADAPTED = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
_TRAIN_AGAIN = "train it again: risk-lsp debugger train"


class LowRankChange(NamedTuple):
    """What is added to a weight: float32[rows, rank] times float32[rank, columns]."""

    up: NDArray[np.float32]
    down: NDArray[np.float32]

    def product(self) -> NDArray[np.float32]:
        """float32[rows, columns]."""
        return self.up @ self.down


@dataclass(frozen=True, eq=False)
class Adapter:
    """A LoRA adapter (arXiv 2106.09685) of one model, as `risk-lsp debugger train` writes it.

    base: the hash of the weights that it was trained on. before, after: the tokens around a question, as the model's
    chat format and the training had them. changes: by the names of weights.
    """

    name: str
    base: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    changes: dict[str, LowRankChange]

    @classmethod
    def load(cls, folder: Path) -> Adapter:
        """Read and check an adapter's folder. Raises ModelError for a damaged one, and for one of another kind."""
        name = folder.name
        record, config = (_read_json_object(folder / file, name) for file in (ADAPTER_RECORD, _ADAPTER_CONFIG))
        base, around = record.get("base"), [record.get("before"), record.get("after")]
        if not isinstance(base, str) or not all(
            isinstance(tokens, list) and all(type(token) is int and token >= 0 for token in tokens) for tokens in around
        ):
            raise ModelError(f"{ADAPTER_RECORD} of {name} does not say what it was trained on", _TRAIN_AGAIN)
        rank, alpha = config.get("r"), config.get("lora_alpha")
        plain = config.get("peft_type") == "LORA" and config.get("bias") == "none"
        other = ("use_dora", "use_rslora", "fan_in_fan_out", "modules_to_save", "rank_pattern", "alpha_pattern")
        numbers = type(rank) is int and rank > 0 and isinstance(alpha, int | float)
        if not plain or not numbers or any(config.get(each) for each in other):
            raise ModelError(f"{name} is no plain LoRA adapter", _TRAIN_AGAIN)
        factors = _read_factors(folder / _ADAPTER_WEIGHTS, name)
        changes = {}
        for weight in sorted({weight for weight, _ in factors}):
            down, up = factors.get((weight, "A")), factors.get((weight, "B"))
            if down is None or up is None or down.shape[0] != rank or up.shape[-1] != rank:
                raise ModelError(f"the adapter {name} lacks a part of {weight}", _TRAIN_AGAIN)
            changes[f"{weight}.weight"] = LowRankChange(up * np.float32(alpha / rank), down)
        return cls(name, base, tuple(around[0] or ()), tuple(around[1] or ()), changes)

    def require_base(self, weights_hash: str, model: str) -> None:
        """Raise ModelError unless the adapter was trained on the weights of this hash."""
        if weights_hash != self.base:
            raise ModelError(
                f"the adapter {self.name} was trained on a model with the hash {self.base[:19]}, and {model} has "
                f"{weights_hash[:19]}",
                "choose a bundle with that model, or train an adapter on this one: risk-lsp debugger train",
            )

    def require_weights(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise ModelError unless a model with weights of these shapes has all that are changed."""
        for weight, (up, down) in self.changes.items():
            if shapes.get(weight) != (up.shape[0], down.shape[1]):
                raise ModelError(f"the adapter {self.name} changes {weight}, which is not the model's", _TRAIN_AGAIN)


def _read_factors(file: Path, name: str) -> dict[tuple[str, str], NDArray[np.float32]]:
    """The two factors of each weight, under its name and "A" or "B"."""
    try:
        tensors = _tensors(file.read_bytes())
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the adapter {name} cannot be read: {first_line(error)}", _TRAIN_AGAIN) from error
    found = {}
    for key, tensor in tensors:
        part = _ADAPTED.fullmatch(key)
        if part is None or tensor["dtype"] not in ("F32", "F16", "BF16") or len(tensor["shape"]) != 2:
            raise ModelError(f"the adapter {name} holds {key}, which is no part of a LoRA", _TRAIN_AGAIN)
        values = _READERS[tensor["dtype"]](tensor["data"]).astype(np.float32).reshape(tensor["shape"])
        if not np.isfinite(values).all():
            raise ModelError(f"{key} of the adapter {name} holds numbers that are not finite", _TRAIN_AGAIN)
        found[part[1], part[2]] = values
    return found
