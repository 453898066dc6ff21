"""The models that can be fetched by name: where each is, its size, its licence, and the hash that it has to have."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from risk_lsp.errors import ModelError

_FILE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True)
class CatalogueModel:
    """A model that can be fetched: one GGUF file of a hub repository at a pinned revision.

    size: bytes of the file. sha256: of the file, in hexadecimal. parameters: how many numbers the whole model has.
    """

    name: str
    title: str
    repository: str
    revision: str
    file: str
    size: int
    sha256: str
    parameters: int
    licence: str

    @property
    def weights_hash(self) -> str:
        """The hash by which bundles name this model."""
        return f"sha256:{self.sha256}"

    @property
    def source(self) -> str:
        """Where the file comes from, for people."""
        return f"huggingface.co/{self.repository} at {self.revision[:12]}"


@cache
def catalogue() -> tuple[CatalogueModel, ...]:
    """All models of the catalogue, the smallest first."""
    entries = json.loads(_FILE.read_text("utf-8"))["models"]
    return tuple(sorted((CatalogueModel(**entry) for entry in entries), key=lambda model: model.size))


def catalogue_model(name: str) -> CatalogueModel:
    """The model of this name. ModelError, with the nearest name, where there is none."""
    models = {model.name: model for model in catalogue()}
    if name in models:
        return models[name]
    close = difflib.get_close_matches(name, models, n=1)
    known = f"did you mean {close[0]}?" if close else f"known are {', '.join(models)}"
    raise ModelError(
        f"the catalogue has no model {name}", f"{known}; a file or folder of your own: risk-lsp models add PATH"
    )


def catalogue_name(weights_hash: str) -> str | None:
    """What the catalogue calls the model with this hash; None where it does not have it."""
    return next((model.name for model in catalogue() if model.weights_hash == weights_hash), None)
