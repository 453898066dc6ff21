"""The models that can be fetched by name, and those that this machine has: two JSON files."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from risk_lsp.errors import ModelError
from risk_lsp.files import write_whole

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


_FORMAT = 1
REGISTRY_FILE = "registry.json"
FOLDER_VARIABLE = "RISK_LSP_MODELS"


class FileStamp(NamedTuple):
    """How a file looks from outside: while this stays the same, its content is taken to be the same."""

    name: str
    size: int
    modified: int  # nanoseconds
    inode: int


@dataclass(frozen=True)
class StoredModel:
    """A model on this machine.

    path: a GGUF file or a transformers folder. stamps: of its files, as they were when `weights_hash` was computed.
    source: the repository and revision it was fetched from, None where the person added it in place. size: bytes.
    tokens_per_second: its speed on this machine, None until it is measured.
    """

    name: str
    path: Path
    weights_hash: str
    size: int
    stamps: tuple[FileStamp, ...]
    source: str | None = None
    tokens_per_second: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is written down."""
        return {**asdict(self), "path": str(self.path), "stamps": [list(stamp) for stamp in self.stamps]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> StoredModel:
        """As it was written down. ValueError, TypeError or KeyError for anything else."""
        speed = value["tokens_per_second"]
        texts = [value["name"], value["path"], value["weights_hash"]]
        if not all(isinstance(text, str) and text for text in texts) or type(value["size"]) is not int:
            raise ValueError("the fields of a model")
        for stamped, *numbers in value["stamps"]:
            if type(stamped) is not str or not all(type(number) is int for number in numbers):
                raise ValueError("a file's stamp")
        return cls(
            name=value["name"],
            path=Path(value["path"]),
            weights_hash=value["weights_hash"],
            size=value["size"],
            stamps=tuple(FileStamp(*fields) for fields in value["stamps"]),
            source=None if value["source"] is None else str(value["source"]),
            tokens_per_second=None if speed is None else float(speed),
        )


def store_folder() -> Path:
    """Where this user's models are: the folder that RISK_LSP_MODELS names, else one in the user's data folder."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named).absolute()
    from platformdirs import user_data_path

    return Path(user_data_path("risk-lsp", appauthor=False)) / "models"


def read_registry(folder: Path) -> list[StoredModel]:
    """The models of the store in `folder`, in the order they came. ModelError where the file is damaged."""
    path = folder / REGISTRY_FILE
    try:
        value = json.loads(path.read_text("utf-8"))
        if value["format"] != _FORMAT:
            raise ValueError("another format")
        return [StoredModel.from_json(each) for each in value["models"]]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", "check its permissions") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ModelError(
            f"{path} is damaged",
            "remove it, then fetch or add the models again: a fetched file that is whole is not fetched twice",
        ) from None


def write_registry(folder: Path, models: Iterable[StoredModel]) -> None:
    """Replace the registry of the store in `folder`. ModelError where it cannot be written."""
    value = {"format": _FORMAT, "models": [model.to_json() for model in models]}
    write_setting(folder / REGISTRY_FILE, json.dumps(value, indent=1) + "\n")


def write_setting(path: Path, text: str) -> None:
    """Write a small file of the store, and its folder. ModelError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise ModelError(
            f"{path} cannot be written: {error.strerror}",
            "check the folder, or name another one by RISK_LSP_MODELS",
        ) from None


def stamps_of(path: Path) -> tuple[FileStamp, ...]:
    """How the files that make the weights hash of a model look now: of the GGUF file, or of the folder's."""
    files = [path] if path.is_file() else [*sorted(path.glob("*.safetensors")), path / "config.json"]
    return tuple(
        FileStamp(file.name, status.st_size, status.st_mtime_ns, status.st_ino)
        for file in files
        for status in [file.stat()]
    )
