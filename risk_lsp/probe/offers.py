"""What a person can choose from: the models that are known or here, and which bundle reads each."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from risk_lsp.errors import BadInput, ModelError, RiskError
from risk_lsp.model.registry import StoredModel, catalogue
from risk_lsp.model.store import ModelStore
from risk_lsp.probe.manifest import (
    BUILT_IN,
    DEFAULT,
    bundle_path,
    choose_bundle,
    chosen_bundle,
    default_bundle_path,
    read_manifest,
    shipped_bundles,
)

_PROGRAM = (
    "def largest(numbers):\n    best = 0\n    for each in numbers:\n        best = max(best, each)\n    return best\n"
    * 30
)


@dataclass(frozen=True)
class ModelOffer:
    """One model that a person can choose.

    size: bytes to fetch, or on disk. partial: bytes that a broken-off fetch has left. state: "built-in", "here", "gone"
    (it was added, and its file is no longer there), or "to fetch". bundle: the shipped bundle that reads it, or the
    folder of the chosen one, None where nothing does. in_use: whether "default" means it.
    """

    name: str
    state: Literal["built-in", "here", "gone", "to fetch"]
    size: int
    in_use: bool
    title: str | None = None
    licence: str | None = None
    parameters: int | None = None
    source: str | None = None
    path: str | None = None
    partial: int = 0
    bundle: str | None = None
    tokens_per_second: float | None = None
    weights_hash: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The offer as a JSON object."""
        return asdict(self)


def model_offers(store: ModelStore) -> list[ModelOffer]:
    """The built-in model, those of the catalogue, and those that the person added. Raises ModelError."""
    offers: list[ModelOffer] = []
    used = None  # what "default" means; not known where the choice cannot be read
    with contextlib.suppress(RiskError):
        used = read_manifest(bundle_path(None)).host.weights_hash
    readers = _readers()
    built_in = default_bundle_path()
    manifest = read_manifest(built_in)
    files = [file for file in built_in.rglob("*") if file.is_file()]
    offers.append(
        ModelOffer(
            name=BUILT_IN,
            state="built-in",
            size=sum(file.stat().st_size for file in files),
            in_use=used == manifest.host.weights_hash,
            title="the built-in model",
            path=str(built_in),
            bundle=BUILT_IN,
            weights_hash=manifest.host.weights_hash,
        )
    )
    stored = {model.name: model for model in store.models()}
    for known in catalogue():
        here = stored.pop(known.name, None)
        is_here = here is not None and here.path.exists()
        offers.append(
            ModelOffer(
                name=known.name,
                state="here" if is_here else "to fetch",
                size=known.size,
                in_use=known.weights_hash == used,
                title=known.title,
                licence=known.licence,
                parameters=known.parameters,
                source=known.source,
                path=str(here.path) if here is not None and is_here else None,
                partial=store.partial_size(known),
                bundle=readers.get(known.weights_hash),
                tokens_per_second=None if here is None else here.tokens_per_second,
                weights_hash=known.weights_hash,
            )
        )
    return offers + [_offer_of_added(added, readers, used) for added in stored.values()]


def _offer_of_added(model: StoredModel, readers: dict[str, str], used: str | None) -> ModelOffer:
    return ModelOffer(
        name=model.name,
        state="here" if model.path.exists() else "gone",
        size=model.size,
        in_use=model.weights_hash == used,
        source=model.source,
        path=str(model.path),
        bundle=readers.get(model.weights_hash),
        tokens_per_second=model.tokens_per_second,
        weights_hash=model.weights_hash,
    )


def measure_offers(store: ModelStore) -> list[ModelOffer]:
    """The same, after a measurement of every model in the store that is here. Raises RiskError."""
    for model in store.models():
        if model.path.exists():
            store.record_speed(model.weights_hash, tokens_per_second(model.path))
    return model_offers(store)


def tokens_per_second(path: Path) -> float:
    """How fast the model at `path` reads a program of about a thousand tokens, all layers: the best of three times."""
    from risk_lsp.model.code_model import CodeModel

    model = CodeModel.load(path)
    encoding = model.encode(_PROGRAM)
    seconds = []
    for _ in range(3):
        before = time.perf_counter()
        model.read(encoding, (model.layer_count,))
        seconds.append(time.perf_counter() - before)
    return len(encoding) / min(seconds)


def bundles_by_hash() -> dict[str, str]:
    """The shipped bundles that come without their model, by the hash of the model that each reads."""
    manifests = {name: read_manifest(path) for name, path in shipped_bundles().items()}
    return {manifest.host.weights_hash: name for name, manifest in manifests.items()}


def use(name: str, store: ModelStore) -> Path:
    """Make a bundle the one that "default" means for this user; the result is its folder.

    name: "default" for the built-in one, a shipped bundle, a model that one reads, or the path of a bundle. Raises
    RiskError, and changes nothing, where the bundle cannot be read or its model is not here.
    """
    if name in (DEFAULT, BUILT_IN):
        choose_bundle(None)
        return default_bundle_path()
    chosen = name if name in shipped_bundles() else _bundle_of_model(name, store)
    path = bundle_path(chosen) if chosen else bundle_path(name).absolute()
    host = read_manifest(path).host
    if host.kind == "store":
        store.path_of(host.weights_hash, host.location)
    choose_bundle(chosen or str(path))
    return path


def remove(name: str, store: ModelStore) -> int:
    """Forget a model that is not in use; see `ModelStore.remove`. Raises BadInput for one that is."""
    if any(offer.name == name and offer.in_use for offer in model_offers(store)):
        raise BadInput(f"the model {name} is in use", "go back first: risk-lsp models use default")
    return store.remove(name)


def _bundle_of_model(name: str, store: ModelStore) -> str | None:
    """The bundle that reads a model; None where `name` is none of a model. ModelError for a model that none reads."""
    stored = store.find(name)
    hashes = [model.weights_hash for model in catalogue() if model.name == name]
    hashes += [] if stored is None else [stored.weights_hash]
    if not hashes:
        return None
    readers = _readers()
    for weights_hash in hashes:
        if weights_hash in readers:
            return readers[weights_hash]
    ready = ", ".join(sorted(shipped_bundles())) or "none"
    raise ModelError(
        f"no bundle reads the model {name}, so it cannot say what is likely to be edited",
        f"fit one: risk-lsp probe fit FOLDER --model {name} --data PROGRAMS, then risk-lsp models use FOLDER;"
        f" shipped beside the built-in one: {ready}",
    )


def _readers() -> dict[str, str]:
    """What reads each model, by the model's hash: the bundle that the person chose, by its folder, and shipped ones."""
    try:
        chosen = chosen_bundle()
        own = {} if chosen is None else {read_manifest(bundle_path(chosen)).host.weights_hash: chosen}
    except RiskError:
        own = {}
    return {**own, **bundles_by_hash()}
