"""The models on this machine, fetched or added in place, and the hashes they are held to.

One file of a hub is fetched such that it can be taken up again where it was broken off. The hub's own client starts
from nothing in each new process, which half a gigabyte on a slow line is too much for.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

from risk_lsp import __version__
from risk_lsp.errors import ModelError, first_line
from risk_lsp.model.registry import (
    FOLDER_VARIABLE,
    CatalogueModel,
    StoredModel,
    catalogue,
    catalogue_name,
    read_registry,
    stamps_of,
    store_folder,
    write_registry,
)
from risk_lsp.model.sources import hash_files, hash_weights, locate_model

DEFAULT_ENDPOINT = "https://huggingface.co"
_BLOCK = 1 << 18
_SECONDS_WITHOUT_DATA = 30
_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before another try; what arrives in between starts the row again
_SPACE_TO_LEAVE = 200_000_000  # bytes of the disk


def fetch_file(model: CatalogueModel, target: Path, on_progress: Callable[[int], None] = lambda _: None) -> None:
    """Fetch the file of a catalogue's model to `target`, whose folder exists.

    What has arrived is kept beside it as *.part and taken up by the next call. `on_progress` gets the bytes that are
    there, now and then. Raises ModelError where the hub cannot be reached, the disk is full, or what arrived is not the
    file that the catalogue names, which is removed then.
    """
    part = partial_file(target)
    if _size(part) > model.size:
        part.unlink()
    missing = model.size - _size(part)
    free = shutil.disk_usage(part.parent).free
    if free < missing + _SPACE_TO_LEAVE:
        raise ModelError(
            f"{model.name} takes {missing / 1e6:,.0f} MB more, and the disk of {part.parent} has {free / 1e6:,.0f} MB",
            "make room, or name another folder by RISK_LSP_MODELS",
        )
    _fetch_to(part, file_url(model), model, on_progress)
    if (found := hash_files([part])) != model.weights_hash:
        part.unlink()
        raise ModelError(
            f"what was fetched of {model.name} is not the file that the catalogue names: its hash is {found}",
            f"it was removed; fetch it again, and if it happens twice, {_endpoint()} serves another file",
        )
    os.replace(part, target)


def partial_file(target: Path) -> Path:
    """Where the beginning of a file is kept while it is not whole."""
    return target.with_name(target.name + ".part")


def file_url(model: CatalogueModel) -> str:
    """The address of a model's file. The environment variable HF_ENDPOINT names another hub than the public one."""
    return f"{_endpoint()}/{quote(model.repository)}/resolve/{model.revision}/{quote(model.file)}"


def _endpoint() -> str:
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT_ENDPOINT
    if urlsplit(endpoint).scheme not in ("http", "https"):
        raise ModelError(f"HF_ENDPOINT is {endpoint}, which is no web address", "write it as https://host, or unset it")
    return endpoint


def _fetch_to(part: Path, url: str, model: CatalogueModel, on_progress: Callable[[int], None]) -> None:
    """Bring `part` to its full size, with other tries where the connection breaks."""
    pauses = iter(_PAUSES)
    while (there := _size(part)) < model.size:
        on_progress(there)
        problem = "the connection ended too early"
        try:
            _append(part, url, there, model.size, on_progress)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                way_out = "the file may have moved; update risk-lsp, or get it in a browser and"
                if error.code in (401, 403):
                    way_out = "the hub asks for an account; get the file in a browser and"
                way_out += " use risk-lsp models add PATH"
                raise ModelError(f"{url} was refused: {error.code} {error.reason}", way_out) from None
            problem = first_line(error)
        except (OSError, http.client.HTTPException) as error:
            problem = first_line(error)
        if _size(part) > there:
            pauses = iter(_PAUSES)
        elif (pause := next(pauses, None)) is not None:
            time.sleep(pause)
        else:
            raise ModelError(
                f"{model.name} could not be fetched: {problem}",
                "check the network; the same command goes on where this one stopped",
            )
    on_progress(model.size)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _append(part: Path, url: str, there: int, size: int, on_progress: Callable[[int], None]) -> None:
    """Ask for what follows the first `there` bytes, and write it down as it comes."""
    headers = {"User-Agent": f"risk-lsp/{__version__}", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=_SECONDS_WITHOUT_DATA) as response:
        goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {there}-")
        try:
            file = part.open("ab" if goes_on else "wb")
        except OSError as error:
            raise _cannot_write(part, error) from None
        with file:
            written = there if goes_on else 0
            while block := response.read(_BLOCK):
                if written + len(block) > size:
                    file.truncate(0)
                    raise ModelError(f"{url} is larger than the catalogue says", "another file is there: not used")
                try:
                    file.write(block)
                except OSError as error:
                    raise _cannot_write(part, error) from None
                written += len(block)
                on_progress(written)


def _cannot_write(part: Path, error: OSError) -> ModelError:
    return ModelError(
        f"{part} cannot be written: {error.strerror}", "make room, or name another folder by RISK_LSP_MODELS"
    )


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_SECONDS_FOR_THE_REGISTRY = 10


class ModelStore:
    """The registry of models and the folder of fetched ones. Any number of processes may use it."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or store_folder()

    def models(self) -> list[StoredModel]:
        """All models, in the order they came; whether their files are still there is not looked at."""
        return read_registry(self.folder)

    def find(self, name: str) -> StoredModel | None:
        """The model of this name."""
        return next((model for model in self.models() if model.name == name), None)

    def path_of(self, weights_hash: str, name: str) -> Path:
        """Where the model with this hash is. ModelError, with the way out, where it is missing or has changed.

        name: what it is called, for the error. Its files are read again only if they look other than when they were
        last read: size, time of change or inode.
        """
        found = [model for model in self.models() if model.weights_hash == weights_hash]
        present = [model for model in found if model.path.exists()]
        if present:
            return self._verify(present[0]).path
        problem = f"is no longer at {found[0].path}" if found else "is not on this machine"
        known_as = catalogue_name(weights_hash)
        how = "add the file or folder that has it: risk-lsp models add PATH"
        how = how if known_as is None else f"fetch it: risk-lsp models fetch {known_as}"
        raise ModelError(
            f"the model {name} ({weights_hash[:19]}) {problem}",
            f"{how}; or go back to the built-in one: risk-lsp models use default",
        )

    def add(self, path: Path, name: str | None = None) -> StoredModel:
        """Record a GGUF file or a transformers folder where it is; nothing is copied. ModelError if it cannot be used.

        name: what to call it, by default what the catalogue calls it, else the name of the file or folder.
        """
        place = locate_model(path).path
        stamps = stamps_of(place)  # before the hash: a file that changes meanwhile is read again
        weights_hash = hash_weights(place)
        known_as, own = catalogue_name(weights_hash), place.name.removesuffix(".gguf")
        own = own[:19] if own.startswith("sha256-") else own  # a blob of Ollama's, by its first digits
        own = re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip("-._")[:100]
        model = StoredModel(
            name=self._free_name(name or known_as or own, place, known_as),
            path=place,
            weights_hash=weights_hash,
            size=sum(stamp.size for stamp in stamps),
            stamps=stamps,
        )
        self._put(model)
        return model

    def fetch(self, wanted: CatalogueModel, on_progress: Callable[[int], None] = lambda _: None) -> StoredModel:
        """Fetch a model of the catalogue, unless it is here; what an earlier call left is gone on with.

        `on_progress` gets the bytes that are there. Raises ModelError.
        """
        present = self.find(wanted.name)
        if present is not None and present.weights_hash == wanted.weights_hash and present.path.exists():
            return self._verify(present)
        target = self.folder / wanted.name / wanted.file
        with self._lock("fetch", 0, f"another process is fetching into {self.folder}"):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ModelError(
                    f"{target.parent} cannot be made: {error.strerror}", f"name another folder by {FOLDER_VARIABLE}"
                ) from None
            if not target.is_file() or hash_weights(target) != wanted.weights_hash:
                fetch_file(wanted, target, on_progress)
            model = StoredModel(
                name=wanted.name,
                path=target,
                weights_hash=wanted.weights_hash,
                size=wanted.size,
                stamps=stamps_of(target),
                source=f"{wanted.repository}@{wanted.revision}",
            )
            self._put(model)
        return model

    def partial_size(self, wanted: CatalogueModel) -> int:
        """How many bytes of a model a broken-off fetch has left here."""
        part = partial_file(self.folder / wanted.name / wanted.file)
        return part.stat().st_size if part.is_file() else 0

    def remove(self, name: str) -> int:
        """Forget a model; a fetched one's files are removed, an added one's stay. The result is how many bytes went.

        What a broken-off fetch left counts as a fetched model. Raises ModelError where there is nothing of this name.
        """
        model = self.find(name)
        wanted = next((each for each in catalogue() if each.name == name), None)
        leftover = 0 if wanted is None else self.partial_size(wanted)
        if model is None and not leftover:
            here = ", ".join(each.name for each in self.models()) or "none"
            raise ModelError(f"there is no model {name} on this machine", f"here are: {here}")
        freed = 0
        if wanted is not None:
            with self._lock("fetch", 0, f"another process is fetching into {self.folder}"):
                # Remove what was fetched of a model; how many bytes that was.
                freed = 0
                target = self.folder / wanted.name / wanted.file
                for file in (target, partial_file(target)):
                    if file.is_file():
                        freed += file.stat().st_size
                        file.unlink()
                with suppress(OSError):  # something else lies there, or nothing ever did
                    target.parent.rmdir()
        self._change(lambda models: [each for each in models if each.name != name])
        return freed

    def record_speed(self, weights_hash: str, tokens_per_second: float) -> None:
        """Keep how fast a model is here. Raises ModelError where it cannot be written down."""
        self._change(
            lambda models: [
                replace(each, tokens_per_second=tokens_per_second) if each.weights_hash == weights_hash else each
                for each in models
            ]
        )

    def _verify(self, model: StoredModel) -> StoredModel:
        """The model, if its content is what was recorded."""
        try:
            stamps = stamps_of(model.path)
            if stamps == model.stamps:
                return model
            found = hash_weights(model.path)
        except OSError as error:
            raise ModelError(f"{model.path} cannot be read: {error.strerror}", "check its permissions") from None
        if found != model.weights_hash:
            raise ModelError(
                f"{model.path} has changed since it became the model {model.name}: its hash is {found}",
                f"bring the old file back, or remove the model: risk-lsp models remove {model.name}",
            )
        verified = replace(model, stamps=stamps)
        with suppress(ModelError):  # a store that cannot be written costs a hash at each start, no more
            self._put(verified)
        return verified

    def _free_name(self, name: str, place: Path, known_as: str | None) -> str:
        if not _NAME.fullmatch(name):
            raise ModelError(f"{name!r} cannot name a model", "use letters, digits, dots and dashes: --name NAME")
        if name != known_as and any(name == each.name for each in catalogue()):
            raise ModelError(f"{place} is not the model that the catalogue calls {name}", "give another: --name NAME")
        other = self.find(name)
        if other is not None and (other.source is not None or other.path != place) and other.path.exists():
            raise ModelError(f"there is a model {name} already, at {other.path}", "give another name: --name NAME")
        return name

    def _put(self, model: StoredModel) -> None:
        self._change(lambda models: [*(each for each in models if each.name != model.name), model])

    def _change(self, change: Callable[[list[StoredModel]], list[StoredModel]]) -> None:
        with self._lock("registry", _SECONDS_FOR_THE_REGISTRY, f"another process holds {self.folder}"):
            write_registry(self.folder, change(self.models()))

    @contextmanager
    def _lock(self, purpose: str, seconds: float, problem: str) -> Iterator[None]:
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{purpose}.lock", timeout=seconds):
                yield
        except Timeout:
            raise ModelError(problem, "wait until it is done") from None
        except OSError as error:
            raise ModelError(
                f"{self.folder} cannot be used: {error.strerror}", f"name another folder by {FOLDER_VARIABLE}"
            ) from None
