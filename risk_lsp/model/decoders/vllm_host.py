"""A decoder that a vLLM server runs: the hidden states that it writes to a shared folder, read as a host's residuals.

The server is asked by its own HTTP interface, with token ids, and names a safetensors file for each text: its method
`extract_hidden_states` with the connector `ExampleHiddenStatesConnector`, as version 0.32 has them. Each file is
removed once it is read.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError, first_line
from risk_lsp.model.cores import stop_if_unwanted
from risk_lsp.model.host import WINDOWS_AT_ONCE, Run
from risk_lsp.model.sources import ModelFolder, ParsedTensor, hash_weights, parse_tensors
from risk_lsp.settings import is_this_machine

KEY_VARIABLE = "RISK_LSP_VLLM_KEY"
_PATIENCE = 120.0  # seconds for an answer, and then for its file
_SECONDS_BETWEEN_LOOKS = 0.001
_AT_ONCE = 16  # texts; the server runs together what it is asked together
_FORGOTTEN_AFTER = 2 * _PATIENCE  # seconds from the last write: nobody waits for a file that is older
_LONGEST_ANSWER = 1 << 20  # bytes
_LONGEST_WINDOW = 1024
_NO_TENSOR = ParsedTensor("", np.zeros(0))
_NUMBER_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class VllmAddress:
    """Where a vLLM server listens, the folder that it writes hidden states to, and its key if it asks for one."""

    url: str
    folder: Path
    key: str | None = None


def served_name(layers: Sequence[int]) -> str:
    """What a server is to call its model: nothing else that it says tells which layers it gives, in which order."""
    return "-".join(["risk-lsp-layers", *map(str, layers)])


def serve_command(model: Path, context: int, layers: Sequence[int], folder: Path) -> str:
    """The command that starts a server for a model that takes `context` tokens, to be copied into a shell."""
    method = {
        "method": "extract_hidden_states",
        "num_speculative_tokens": 1,
        "draft_model_config": {"hf_config": {"eagle_aux_hidden_state_layer_ids": list(layers)}},
    }
    connector = {
        "kv_connector": "ExampleHiddenStatesConnector",
        "kv_role": "kv_producer",
        "kv_connector_extra_config": {"shared_storage_path": str(folder)},
    }
    words = ["vllm", "serve", str(model), "--host", "127.0.0.1", "--served-model-name", served_name(layers)]
    words += [
        "--max-model-len",
        str(min(context, _LONGEST_WINDOW + 1)),
        "--max-num-batched-tokens",
        "8192",
        "--no-enable-chunked-prefill",
    ]
    words += ["--speculative-config", json.dumps(method), "--kv-transfer-config", json.dumps(connector)]
    return shlex.join(words)


class VllmHost:
    """A model in a vLLM server on this machine, or one that shares a folder with it. See Host in host.py.

    It gives the residual stream at `layers`, and neither statistics nor text. Not for use from two threads at once.
    Raises ModelError for a server that is away, that serves another model or other layers, or whose files others could
    read.
    """

    has_head = False
    can_go_on = False
    windows_at_once = WINDOWS_AT_ONCE
    device = "vllm"

    def __init__(self, address: VllmAddress, model: ModelFolder, layers: Sequence[int]) -> None:
        self._address = address
        self._layers = tuple(layers)
        if model.gguf is not None:
            raise ModelError(f"{model.name} is a GGUF file, which is not served by vLLM", "leave out --vllm")
        self._connect = _connector(address.url)
        self._take_sizes(model)
        self._command = serve_command(model.path, self.context, layers, address.folder)
        self._prepare_folder()
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        served = self._find_served()
        self._require_model(served, model)
        # The server writes a token behind each text, which has to fit as well.
        self.context: int = min(self.context, int(served["max_model_len"]) - 1)
        self.dtype = "unknown"
        self._read(np.zeros(1, np.int64))

    def run(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int], *, to_end: bool) -> list[Run]:
        """Residual streams float32[tokens, width] at `layers` for int64[tokens] each. Raises ModelError."""
        if to_end:
            self._refuse_head()
        if missing := sorted(set(layers) - set(self._layers)):
            given = ", ".join(map(str, self._layers))
            raise ModelError(f"vLLM does not give layer {missing[0]}", f"it was started for layers {given}")
        if not layers:
            return [Run({}, None) for _ in sequences]
        stop_if_unwanted()
        self._prepare_folder()
        states = list(self._pool.map(self._read, sequences))
        return [Run({layer: each[:, self._layers.index(layer)] for layer in layers}, None) for each in states]

    def statistics(self, final: Any, targets: NDArray[Any]) -> NoReturn:
        """Raises ModelError: the server gives no distributions."""
        self._refuse_head()

    def logits(self, final: Any) -> NoReturn:
        """Raises ModelError as `statistics` does."""
        self._refuse_head()

    def begin(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int] = ()) -> NoReturn:
        """Raises ModelError as `statistics` does."""
        self._refuse_head()

    def _refuse_head(self) -> NoReturn:
        raise ModelError("vLLM gives hidden states only: no token statistics, and no text", "leave out --vllm")

    def _take_sizes(self, model: ModelFolder) -> None:
        config = model.config.get("text_config", model.config)
        names = ("hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings")
        sizes = [config.get(name) for name in names]
        if not all(type(size) is int and size > 0 for size in sizes):
            raise ModelError(f"config.json of {model.name} does not say {', '.join(names)}", "save the model again")
        self.width, self.vocabulary_size = int(sizes[0]), int(sizes[2])
        self.layer_count = self.top_layer = int(sizes[1])
        self.context = int(sizes[3])

    def _prepare_folder(self) -> None:
        """Have a folder that nobody else can read, without what was left in it."""
        folder = self._address.folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_mode & 0o077:
                raise ModelError(
                    f"others can read {folder}, where vLLM writes what people wrote", f"chmod 700 {folder}"
                )
            self._sweep()
        except OSError as error:
            raise ModelError(f"{folder} cannot be used: {error.strerror}", "name another by --vllm-folder") from None

    def _sweep(self) -> None:
        """Remove what was written for requests that nobody waits for any more."""
        for file in self._address.folder.iterdir():
            with suppress(FileNotFoundError):
                if file.suffix in (".safetensors", ".lock") and time.time() - file.stat().st_mtime > _FORGOTTEN_AFTER:
                    file.unlink()

    def _find_served(self) -> dict[str, Any]:
        """What the server says about the model with the name that is asked for."""
        name = served_name(self._layers)
        with _well_formed("/v1/models"):
            models = {str(each["id"]): each for each in self._ask("GET", "/v1/models")["data"]}
            found = models.get(name)
            if found is not None and type(found["max_model_len"]) is int:
                return dict(found)
        names = ", ".join(models) or "none"
        raise ModelError(
            f"vLLM at {self._address.url} serves no model {name} (it serves {names}): another model or other layers",
            f"start it for this bundle: {self._command}",
        )

    def _require_model(self, served: dict[str, Any], model: ModelFolder) -> None:
        """Raise ModelError unless the server's weights are those of the folder."""
        root = Path(str(served.get("root", "")))
        if not root.is_absolute() or not (root / "config.json").is_file():
            raise ModelError(
                f"vLLM serves {root}, which names no folder on this machine", f"start it by: {self._command}"
            )
        if root.resolve() != model.path and hash_weights(root) != hash_weights(model.path):
            raise ModelError(f"vLLM serves {root}, another model than {model.name}", f"start it by: {self._command}")

    def _read(self, sequence: NDArray[Any]) -> NDArray[np.float32]:
        """float32[tokens, layers, width] for int64[tokens]."""
        if not len(sequence):
            return np.zeros((0, len(self._layers), self.width), np.float32)
        question = {
            "model": served_name(self._layers),
            "prompt": sequence.tolist(),
            "max_tokens": 1,
            "temperature": 0,
            # The beginnings that the server keeps are found by nobody else: the time of an answer tells nothing.
            "cache_salt": secrets.token_urlsafe(16),
        }
        answer = self._ask("POST", "/v1/completions", question)
        with _well_formed("/v1/completions"):
            file = Path(answer["kv_transfer_params"]["hidden_states_path"])
        if file.suffix != ".safetensors" or file.parent.resolve() != self._address.folder.resolve():
            raise ModelError(
                f"vLLM writes hidden states to {file.parent}, not to {self._address.folder}",
                "name the same folder by --vllm-folder and in its connector's shared_storage_path",
            )
        lock = file.with_name(f"{file.name}.lock")
        try:
            _wait_for(lock)
            tensors = parse_tensors(file.read_bytes())
        except OSError as error:
            raise ModelError(
                f"vLLM did not write its hidden states: {error.strerror or first_line(error)}",
                "see its log; it needs a connector that works on its device",
            ) from None
        except ValueError as error:
            raise ModelError(f"vLLM's hidden states cannot be read: {error}", "see which version it is") from None
        finally:
            file.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
        return self._take_states(tensors, sequence)

    def _take_states(self, tensors: dict[str, ParsedTensor], sequence: NDArray[Any]) -> NDArray[np.float32]:
        """The hidden states of a file that is about this text and has every layer. Raises ModelError."""
        found = tensors.get("hidden_states", _NO_TENSOR)
        states: NDArray[np.float32] = found.values
        if not np.array_equal(tensors.get("token_ids", _NO_TENSOR).values, sequence):
            raise ModelError("vLLM's hidden states are not those of the text that was asked about", "see its log")
        wanted = (len(sequence), len(self._layers), self.width)
        if states.shape != wanted:
            raise ModelError(
                f"vLLM gave hidden states {states.shape}, where the bundle's layers take {wanted}",
                f"start it for this bundle: {self._command}",
            )
        if not np.isfinite(states).all():
            raise ModelError("vLLM's hidden states hold numbers that are not finite", "run it with --dtype bfloat16")
        self.dtype = _NUMBER_TYPES.get(found.kind, found.kind)
        return states

    def _ask(self, method: str, path: str, question: dict[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that the server answers. Raises ModelError; no message repeats what was asked."""
        headers = {"Content-Type": "application/json"}
        if self._address.key is not None:
            headers["Authorization"] = f"Bearer {self._address.key}"
        connection = self._connect()
        try:
            connection.request(method, path, None if question is None else json.dumps(question), headers)
            response = connection.getresponse()
            status, body = response.status, response.read(_LONGEST_ANSWER)
        except TimeoutError:
            raise ModelError(
                f"vLLM at {self._address.url} does not answer within {_PATIENCE:.0f} s", "see its log"
            ) from None
        except (OSError, HTTPException) as error:
            raise ModelError(
                f"no vLLM answers at {self._address.url}: {first_line(error)}", f"start it by: {self._command}"
            ) from None
        finally:
            connection.close()
        if status in (401, 403):
            raise ModelError(f"vLLM at {self._address.url} does not accept the key", f"put its key into {KEY_VARIABLE}")
        if status == 404:
            raise ModelError(
                f"vLLM at {self._address.url} serves another model now, or other layers",
                f"start it for this bundle: {self._command}",
            )
        if status != 200:
            raise ModelError(f"vLLM at {self._address.url} answers with status {status}", "see its log")
        with _well_formed(path):
            answer = json.loads(body)
            return dict(answer.items())


def _connector(address: str) -> Callable[[], HTTPConnection]:
    """Makes connections to a server. Raises ModelError for no address, and for one where others could read along."""
    try:
        url = urlsplit(address)
        host, port = url.hostname or "", url.port
    except ValueError:
        host = ""
    if not host or url.scheme not in ("http", "https") or url.path.strip("/"):
        raise ModelError(f"--vllm {address} is no address", "write it as http://127.0.0.1:8000")
    if url.scheme == "http" and not is_this_machine(host):
        raise ModelError(f"texts would go to {host} for others to read", "give vLLM a certificate, and write https://")
    return partial(HTTPSConnection if url.scheme == "https" else HTTPConnection, host, port, timeout=_PATIENCE)


@contextmanager
def _well_formed(path: str) -> Iterator[None]:
    """Turn what goes wrong over an answer of another form into a ModelError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise ModelError(f"vLLM's answer to {path} has another form", "it is known to work with vLLM 0.32") from None


def _wait_for(lock: Path) -> None:
    """Return once the server has let go of a file's lock, which it holds while it writes. OSError after a minute."""
    deadline = time.monotonic() + _PATIENCE
    with lock.open("rb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not within {_PATIENCE:.0f} s") from None
                time.sleep(_SECONDS_BETWEEN_LOOKS)
            else:
                return
