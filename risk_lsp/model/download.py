"""One file of a model hub, fetched so that it can be taken up again where it was broken off.

The hub's own client starts from nothing in each new process, which half a gigabyte on a slow line is too much for.
"""

from __future__ import annotations

import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from risk_lsp import __version__
from risk_lsp.errors import ModelError, first_line
from risk_lsp.model.registry import CatalogueModel
from risk_lsp.model.sources import hash_files

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
                raise ModelError(f"{url} was refused: {error.code} {error.reason}", _way_out(error.code)) from None
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


def _way_out(code: int) -> str:
    if code in (401, 403):
        return "the hub asks for an account; get the file in a browser and use risk-lsp models add PATH"
    return "the file may have moved; update risk-lsp, or get it in a browser and use risk-lsp models add PATH"
