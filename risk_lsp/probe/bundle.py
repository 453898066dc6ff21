"""Probe bundles on disk: a probe, the model it reads, and the manifest that ties them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from risk_lsp.errors import BundleError
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.sources import hash_files
from risk_lsp.model.store import ModelStore
from risk_lsp.probe.calibration import is_familiarity
from risk_lsp.probe.layout import LOOKS
from risk_lsp.probe.manifest import Manifest, ModelIdentity, read_manifest
from risk_lsp.probe.token_hazards import LOOKS_TENSOR, ProbeReader, feature_count, head_shapes, uses_layout

if TYPE_CHECKING:
    from risk_lsp.model.decoders.vllm_host import VllmAddress

PROBE_FILE = "probe.safetensors"
_PICKLES = ("*.pkl", "*.pickle", "*.pt", "*.pth", "*.bin", "*.ckpt", "*.joblib", "*.npy", "*.npz")


@dataclass(frozen=True)
class Bundle:
    """A probe with the model whose activations it reads."""

    model: CodeModel
    reader: ProbeReader
    manifest: Manifest


def load_bundle(
    path: Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
    threads: int | None = None,
    whole_model: bool = False,
    vllm: VllmAddress | None = None,
) -> Bundle:
    """Load a bundle. BundleError when a part is missing, damaged, unsafe or belongs to another model or tokenizer.

    Layers that the probe does not need are left out unless `whole_model`, which token statistics take. With `vllm` that
    server runs the model, of which nothing but these layers can be had then.
    """
    manifest = read_manifest(path)
    for pattern in _PICKLES:
        for file in path.rglob(pattern):
            raise BundleError(
                f"{file} may hold a pickle, which can run code when it is read",
                "a bundle holds JSON and safetensors only",
            )
    reader = load_probe(path, manifest, threads)
    source, revision = _host_source(path, manifest.host), manifest.host.revision
    if vllm is not None:
        if manifest.statistics or whole_model:
            raise BundleError(
                f"{path} cannot be used with vLLM, which gives no token statistics and no text",
                "fit the probe with --no-statistics, and leave out --writes",
            )
        model = CodeModel.connect(source, manifest.layers, vllm, revision=revision, offline=offline)
    else:
        model = CodeModel.load(
            source,
            revision=revision,
            device=device,
            dtype=dtype,
            offline=offline,
            top_layer=None if whole_model or manifest.statistics else max(manifest.layers),
            threads=threads,
        )
    # The store has checked the hash, without reading a file again that it has read before.
    _require_same_model(
        path, manifest, model, manifest.host.weights_hash if manifest.host.kind == "store" else model.weights_hash
    )
    return Bundle(model, reader, manifest)


def save_head(tensors: Mapping[str, NDArray[np.float32]], folder: Path) -> str:
    """Write the probe's tensors as `probe.safetensors` to the bundle folder and return its hash for the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PROBE_FILE
    save_file(dict(tensors), path)
    return hash_files([path])


def load_probe(path: Path, manifest: Manifest, threads: int | None = None) -> ProbeReader:
    """The probe of the bundle at `path`; every tensor's name, shape and type is checked.

    It works with as many threads as there are cores, unless told how many.
    """
    file = path / PROBE_FILE
    if not file.is_file():
        raise BundleError(f"{path} lacks {PROBE_FILE}", "install or fit the bundle again")
    if hash_files([file]) != manifest.probe_hash:
        raise BundleError(
            f"{file} is not the probe its manifest names: the hash differs", "install or fit the bundle again"
        )
    try:
        tensors: dict[str, NDArray[Any]] = load(file.read_bytes())
    except (SafetensorError, KeyError, TypeError) as error:  # KeyError, TypeError: a type of number that numpy lacks
        raise BundleError(f"{file} is damaged: {error}", "install or fit the bundle again") from None
    features = feature_count(
        len(manifest.layers),
        manifest.width,
        statistics=manifest.statistics,
        layout=uses_layout(manifest.architecture),
    )
    wanted = head_shapes(manifest.architecture, features, manifest.hidden, manifest.members)
    if LOOKS_TENSOR in tensors:
        wanted[LOOKS_TENSOR] = (LOOKS,)
    own = {name for name in tensors if not is_familiarity(name)}
    if own != set(wanted):
        odd = sorted(own ^ set(wanted))[0]
        raise BundleError(
            f"{file} does not hold the tensors of a {manifest.architecture} probe: {odd}", "fit the probe again"
        )
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32:
            raise BundleError(f"{file}: {name} is of type {tensor.dtype}, not float32", "fit the probe again")
        if name in own and tensor.shape != wanted[name]:
            shapes = f"{tensor.shape}, where the manifest implies {wanted[name]}"
            raise BundleError(f"{file}: {name} has shape {shapes}", "fit the probe again")
        if not np.isfinite(tensor).all():
            raise BundleError(f"{file}: {name} holds numbers that are not finite", "fit the probe again")
    return ProbeReader(manifest.architecture, tensors, manifest.members, threads)


def _host_source(path: Path, host: ModelIdentity) -> str | Path:
    if host.kind == "hub":
        return f"hub:{host.location}"
    if host.kind == "folder":
        return Path(host.location)
    if host.kind == "store":
        return ModelStore().path_of(host.weights_hash, host.location)
    folder = (path / host.location).resolve()
    if path.resolve() not in folder.parents:
        raise BundleError(
            f"{path}: the bundled model {host.location!r} is outside of the bundle", "fit the probe again"
        )
    if not folder.is_dir():
        raise BundleError(f"{path} lacks its bundled model {host.location!r}", "install or fit the bundle again")
    return folder


def _require_same_model(path: Path, manifest: Manifest, model: CodeModel, weights_hash: str) -> None:
    if model.tokenizer_hash != manifest.host.tokenizer_hash:
        raise BundleError(
            f"the tokenizer of {model.name} is not the one the probe in {path} was fitted with",
            "fit the probe again for this model",
        )
    if weights_hash != manifest.host.weights_hash:
        raise BundleError(
            f"the weights of {model.name} are not those the probe in {path} was fitted with",
            "fit the probe again for this model",
        )
    if model.width != manifest.width or max(manifest.layers, default=0) > model.layer_count:
        raise BundleError(
            f"{path}: its manifest does not fit a model of width {model.width} with {model.layer_count} layers",
            "fit the probe again",
        )
