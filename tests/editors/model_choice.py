"""A server with models to choose from, for editors: a built-in one, and one that can be fetched from a hub of its own.

    python -m tests.editors.model_choice prepare FOLDER
    python -m tests.editors.model_choice serve FOLDER

FOLDER holds all that is prepared, and the models of the user.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import runpy
import shutil
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def prepare(folder: Path) -> None:
    """Make two bundles with random models, and a catalogue and a hub that have the model of the second."""
    from risk_lsp.model.code_model import CodeModel
    from risk_lsp.probe.manifest import ModelIdentity
    from tests.model.gguf_files import write_gguf
    from tests.probe.tiny import save_model, save_tiny_bundle

    revision = "0123456789abcdef0123456789abcdef01234567"
    file = folder / "hub" / "somebody" / "models" / "resolve" / revision / "small.gguf"
    file.parent.mkdir(parents=True)
    save_tiny_bundle(folder / "bundles" / "default", save_model(folder / "first"))
    write_gguf(save_model(folder / "second", seed=8), file)
    model = CodeModel.load(file)
    host = ModelIdentity("store", "small", model.weights_hash, model.tokenizer_hash)
    precise = save_tiny_bundle(folder / "bundles" / "precise", folder / "second", host=lambda _: host)
    shutil.rmtree(precise / "model")
    content = file.read_bytes()
    small = {
        "name": "small",
        "title": "A small model",
        "repository": "somebody/models",
        "revision": revision,
        "file": file.name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "parameters": 1000,
        "licence": "Apache-2.0",
    }
    (folder / "catalogue.json").write_text(json.dumps({"models": [small]}))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def serve(folder: Path) -> None:
    """Run the server, and the hub beside it."""
    hub = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder / "hub")))
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{hub.server_port}"
    os.environ["RISK_LSP_MODELS"] = str(folder / "store")
    sys.argv = ["model_server", str(folder / "catalogue.json"), str(folder / "bundles"), str(folder / "data")]
    runpy.run_module("tests.server.model_server", run_name="__main__")


if __name__ == "__main__":
    {"prepare": prepare, "serve": serve}[sys.argv[1]](Path(sys.argv[2]))
