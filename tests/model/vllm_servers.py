"""vLLM servers for tests: a stand-in that replays what a real one answered, and a real one where there is one.

RISK_LSP_VLLM names a Python that has vLLM. `RISK_LSP_VLLM=... python -m tests.model.vllm_servers` records anew.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shlex
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM

from risk_lsp.lab.training.packing import save_tokenizer, train_tokenizer
from risk_lsp.model.decoders.vllm_host import serve_command, served_name
from risk_lsp.model.host import Run
from risk_lsp.risk.engine import Engine
from tests.probe.tiny import SAMPLE, save_tiny_bundle

VARIABLE = "RISK_LSP_VLLM"
RECORD = Path(__file__).parents[1] / "fixtures" / "vllm-0.32.0.json"
LAYERS, WIDTH, CONTEXT = (1, 3), 32, 64
WARM_UP = "def warm_up():\n    return 1\n"  # what a worker reads once it has loaded
SHORT = "def area(width, height):\n    if width < 0:\n        return None\n    return width * height\n"
LONG = SAMPLE * 2  # several windows
TEXTS = (WARM_UP, SHORT, LONG)
_PATIENCE = 300.0


def save_served_model(folder: Path) -> Path:
    """A Llama model of four layers, and a tokenizer of 320 tokens: the same numbers wherever it is made."""
    tokenizer = train_tokenizer([SAMPLE] * 2, 320)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=None,
    )
    model = LlamaForCausalLM(config)
    numbers = np.random.RandomState(7)  # which numpy promises never to change
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = numbers.standard_normal(tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(1 + values / 10 if "norm" in name else values / 5))
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    return folder


class StandIn:
    """A server on this machine that replays a record.

    `models` is what it says it serves. `status`, if not 200, is its answer to every text; `answer` is, where there is
    one, its JSON in the place of the recorded one; it takes `seconds`. The file comes `seconds_to_write` later, with
    `content` in the place of the recorded bytes, and never without `writes`. `asked` are the bodies of the requests for
    texts, `keys` the headers with a key.
    """

    def __init__(self, folder: Path, model: Path) -> None:
        record = json.loads(RECORD.read_text("ascii"))
        self.folder = folder
        self.models: dict[str, Any] = record["models"]
        self.models["data"][0]["root"] = str(model)
        self.status, self.writes = 200, True
        self.seconds, self.seconds_to_write = 0.0, 0.02
        self.answer: Any = None
        self.content: bytes | None = None
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self._texts = {tuple(each["prompt"]): each for each in record["texts"]}
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                stand_in.keys.append(self.headers["Authorization"])
                self.reply(200, stand_in.models)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stand_in.asked.append(body)
                time.sleep(stand_in.seconds)
                self.reply(*stand_in.complete(body))

            def reply(self, status: int, value: Any) -> None:
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # nobody waits any more
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and answer to a request for a text; its file comes a moment later, as vLLM's do."""
        if self.status != 200:
            return self.status, {"error": {"message": "as the test wants it", "code": self.status}}
        if body["model"] not in [each["id"] for each in self.models["data"]]:
            return 404, {"error": {"message": "The model does not exist.", "code": 404}}
        recorded = self._texts[tuple(body["prompt"])]
        answer = json.loads(json.dumps(recorded["answer"]))
        name = Path(answer["kv_transfer_params"]["hidden_states_path"]).name
        file = self.folder / f"{len(self.asked)}-{name}"
        answer["kv_transfer_params"]["hidden_states_path"] = str(file)
        lock = os.open(f"{file}.lock", os.O_CREAT | os.O_WRONLY, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX)
        content = base64.b64decode(recorded["file"]) if self.content is None else self.content
        threading.Thread(target=self._write, args=(file, content, lock)).start()
        return 200, answer if self.answer is None else self.answer

    def _write(self, file: Path, content: bytes, lock: int) -> None:
        time.sleep(self.seconds_to_write)
        if self.writes:
            file.write_bytes(content)
        os.close(lock)

    def close(self) -> None:
        """Go away."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def real_vllm(python: str, model: Path, folder: Path, *options: str) -> Iterator[str]:
    """The address of a vLLM without a GPU that serves `model` at LAYERS, in float32, by the command of serve_command.

    It differs from that in what it has to without a GPU, and in the options.
    """
    port = free_port()
    _, _, *words = shlex.split(serve_command(model, CONTEXT, LAYERS, folder))
    connector = json.loads(words.pop())
    connector |= {"kv_connector": "CpuHiddenStatesConnector", "kv_connector_module_path": "vllm_cpu_connector"}
    words += [json.dumps(connector), "--port", str(port), "--dtype", "float32", "--enforce-eager", *options]
    own = {
        "PYTHONPATH": str(Path(__file__).parent),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [python, "-m", "vllm.entrypoints.openai.api_server", "--model", *words],
            env={**os.environ, **own},
            cwd=tempfile.gettempdir(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + _PATIENCE
            while not _is_healthy(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise AssertionError(log.read().decode(errors="replace")[-4000:])
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _is_healthy(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class _Noting:
    """A host that notes what it is asked to run."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self.sequences: list[list[int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def run(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int], *, to_end: bool) -> list[Run]:
        """As the host does."""
        self.sequences += [each.tolist() for each in sequences]
        runs: list[Run] = self._host.run(sequences, layers, to_end=to_end)
        return runs


def main() -> None:
    """Ask a real vLLM for TEXTS, and write down what it answers."""
    with tempfile.TemporaryDirectory() as place:
        model, folder = save_served_model(Path(place) / "model"), Path(place) / "states"
        local = Engine.load(save_tiny_bundle(Path(place) / "bundle", model, layers=LAYERS, statistics=False))
        local.model.window = CONTEXT - 1
        local.model.host = noting = _Noting(local.model.host)
        local.score_many(TEXTS)
        texts = []
        with real_vllm(os.environ[VARIABLE], model, folder) as url:
            connection = HTTPConnection(url.removeprefix("http://"))

            def ask(method: str, path: str, body: Any = None) -> Any:
                headers = {"Content-Type": "application/json"}
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                return json.loads(connection.getresponse().read())

            models = ask("GET", "/v1/models")
            for prompt in [[0], *noting.sequences]:
                body = {"model": served_name(LAYERS), "prompt": prompt, "max_tokens": 1, "temperature": 0}
                answer = ask("POST", "/v1/completions", body)
                file = answer["kv_transfer_params"]["hidden_states_path"]
                with Path(f"{file}.lock").open("rb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_SH)
                    content = base64.b64encode(Path(file).read_bytes()).decode("ascii")
                answer["kv_transfer_params"]["hidden_states_path"] = f"/states/{Path(file).name}"
                texts.append({"prompt": prompt, "answer": answer, "file": content})
            models["data"][0]["root"] = "/model"
    RECORD.write_text(json.dumps({"models": models, "texts": texts}, indent=1) + "\n", "ascii")


if __name__ == "__main__":
    main()
