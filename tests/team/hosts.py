"""Hosts for tests: real processes on real ports, and what asks them."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import trustme

from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.team.admission import METRICS, add_key
from risk_lsp.worker.messages import PREFIX_LENGTH, unpack, unpack_prefix

PATIENCE = 60.0
PROGRAM = "def area(width, height):\n    if width < 0:\n        return None\n    return width * height\n"


class RunningHost:
    """A `risk-lsp host` at work, with keys for Anna and Ben, and one for whoever reads its metrics."""

    def __init__(self, folder: Path, bundle: Path, *options: str, listen: str = "127.0.0.1:0") -> None:
        self.folder = folder
        self._keys = folder / "keys"
        if not self._keys.exists():
            names = {name: add_key(self._keys, name) for name in ("anna", "ben")}
            names["metrics"] = add_key(self._keys, "prometheus", METRICS)
            (folder / "plain").write_text(json.dumps(names))
        self.keys: dict[str, str] = json.loads((folder / "plain").read_text())
        self.log = folder / "log"
        command = ["host", "--listen", listen, "--keys", str(self._keys), "--bundle", str(bundle), *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "risk_lsp", *command], stderr=log)
        self.url = self._announced()

    def _announced(self) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            first, _, _ = self.log.read_text().partition("\n")
            if first.startswith("listening on "):
                return first.removeprefix("listening on ").strip()
            time.sleep(0.02)
        self.process.kill()
        self.process.wait()
        raise AssertionError(self.log.read_text())

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def client(self, name: str = "anna", **options: Any) -> httpx2.Client:
        """A client with that person's key."""
        headers = {"Authorization": f"Bearer {self.keys[name]}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False, **options)

    def wait_until_ready(self, **options: Any) -> None:
        """Until the model is loaded; the options are the client's."""
        deadline = time.monotonic() + PATIENCE
        with self.client(**options) as client:
            while client.get("/healthz").status_code != 200:
                assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; the exit status."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def running_host(
    folder: Path, bundle: Path, *options: str, listen: str = "127.0.0.1:0", **of_client: Any
) -> Iterator[RunningHost]:
    """A host that is ready, and ended in the end."""
    host = RunningHost(folder, bundle, *options, listen=listen)
    try:
        host.wait_until_ready(**of_client)
        yield host
    finally:
        if host.process.poll() is None:
            host.process.kill()
            host.process.wait()


def tls_options(folder: Path) -> tuple[str, ...]:
    """Options of a host with a certificate for 127.0.0.1; who trusts `authority.pem` trusts it."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return ("--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem"))


def whole(text: str, version: int = 1, document: str = "one", **more: Any) -> dict[str, Any]:
    """The request that opens a document."""
    return {"document": document, "version": version, "language_id": "python", "at": 0, "text": text, **more}


def edited(edits: list[Any], version: int, base: int, document: str = "one") -> dict[str, Any]:
    """The request that edits one."""
    return {
        "document": document,
        "version": version,
        "language_id": "python",
        "at": 0,
        "base": base,
        "edits": edits,
    }


def risks_in(response: httpx2.Response) -> RiskMap:
    """The risks that a host answered with."""
    assert response.status_code == 200, response.text
    content = response.content
    header_length, _ = unpack_prefix(content[:PREFIX_LENGTH])
    header, body = content[PREFIX_LENGTH:][:header_length], content[PREFIX_LENGTH + header_length :]
    message = unpack(header, body)
    return RiskMap.from_arrays(message.fields["header"], dict(message.arrays))
