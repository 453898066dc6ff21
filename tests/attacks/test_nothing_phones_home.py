"""Nobody is called: not by the server, its worker, or a repair with the embedded model, nor by what runs in editors."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.server.person import FAULTY_LINE, LARGEST, Person, at_line, children_of

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).parent / "risk-lsp"
EXTENSION = ROOT / "editors" / "vscode"
SOURCES = sorted((EXTENSION / "src").rglob("*.ts"))
PLUGINS = [*sorted((ROOT / "editors" / "neovim").rglob("*.lua")), *sorted((ROOT / "editors" / "emacs").glob("*.el"))]

# Python imports a module of this name before anything else: from then on each process notes what it does, for good.
_EAR = """
import os, sys

_notes = os.open({notes!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_calls = ("connect", "bind", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo")


def _hear(event, args):
    if event in [f"socket.{{call}}" for call in _calls]:
        os.write(_notes, f"{{os.getpid()}} {{event}} {{args[-1]!r}}\\n".encode())
    elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn"):
        os.write(_notes, f"{{os.getpid()}} program {{os.path.basename(os.fsdecode(args[0]))}}\\n".encode())


os.write(_notes, f"{{os.getpid()}} listens {{sys.argv!r}}\\n".encode())
sys.addaudithook(_hear)
"""


class Ear(NamedTuple):
    """An environment whose Python processes note what they do, and where."""

    environment: dict[str, str]
    notes: Path

    def heard(self, start: str) -> list[str]:
        """What was noted, of one kind."""
        told = [line.split(" ", 1)[1] for line in self.notes.read_text(encoding="utf-8").splitlines()]
        return [each for each in told if each.startswith(start)]


@pytest.fixture
def ear(tmp_path: Path) -> Ear:
    """An ear at the processes that a test starts, in a home of their own."""
    folder, notes = tmp_path / "ear", tmp_path / "notes"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_EAR.format(notes=str(notes)), encoding="utf-8")
    home = {"HOME": str(tmp_path / "home"), "XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""}
    return Ear({**os.environ, **home, "PYTHONPATH": str(folder)}, notes)


@pytest.fixture
async def person(sandboxed: None, ear: Ear) -> AsyncIterator[Person]:
    """A person at the installed server with the embedded default."""
    connected = await Person.start([str(SCRIPT), "serve"], env=ear.environment)
    assert isinstance(connected, Person)
    yield connected
    await connected.kill()


def internet_sockets(process: int) -> set[str]:
    """The sockets of a process that lead to the network, whoever opened them: code that is not Python is not heard."""
    known: set[str] = set()
    with contextlib.suppress(OSError):
        opened = {os.readlink(descriptor) for descriptor in Path(f"/proc/{process}/fd").iterdir()}
        for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
            rows = Path(f"/proc/{process}/net/{kind}").read_text(encoding="ascii").splitlines()[1:]
            known |= {f"socket:[{row.split()[9]}]" for row in rows}
        return opened & known
    return set()


async def test_opening_editing_asking_and_repairing_call_nobody(person: Person, ear: Ear, tmp_path: Path) -> None:
    found: set[str] = set()

    def look() -> None:
        processes = {person.process.pid, *children_of(person.process.pid)}
        found.update(*map(internet_sockets, processes))

    person.choose("Run", "Apply")
    settings = {"debounce": 0.0, "threshold": 0.0, "inlayHints": True, "codeLens": True}
    await person.initialize("vscode-1.139", rootUri=tmp_path.as_uri(), initializationOptions=settings)
    uri = person.show(tmp_path / "largest.py", LARGEST)
    assert await person.diagnostics(uri, 1)
    look()
    person.replace(uri, 2, f"{LARGEST}\n")
    person.texts[uri] = (2, f"{LARGEST}\n")
    assert await person.diagnostics(uri, 2)
    assert await person.hover(uri, FAULTY_LINE) is not None
    assert (await person.execute("riskLsp.report", uri))["html"]
    await person.execute("riskLsp.explain", uri, at_line(FAULTY_LINE))
    look()
    repair = person.repair(uri)
    await person.stage("running the tests")
    look()
    assert (await person.result_of(repair))["status"] == "applied"
    look()
    assert await person.shut_down() == 0
    assert len(ear.heard("listens")) >= 2, "the server and its worker are listened to"
    assert ear.heard("socket.") == []
    assert found == set()
    programs = {each.split()[1] for each in ear.heard("program ")}
    assert {name for name in programs if not name.startswith("python")} <= {"bwrap"}


def test_a_check_and_a_report_call_nobody(ear: Ear, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LARGEST, encoding="utf-8")
    for command in (["check", "a.py"], ["report", "a.py", "--output", "risk.html"]):
        subprocess.run([SCRIPT, *command], cwd=tmp_path, env=ear.environment, capture_output=True, check=True)
    assert len(ear.heard("listens")) == 2
    assert ear.heard("socket.") == []


def test_the_ear_hears_a_call(ear: Ear) -> None:
    code = "import socket, contextlib\nwith contextlib.suppress(OSError): socket.create_connection(('127.0.0.1', 9), 1)"
    subprocess.run([sys.executable, "-c", code], env=ear.environment, check=True)
    assert [each.split()[0] for each in ear.heard("socket.")] == ["socket.getaddrinfo", "socket.connect"]


def test_the_extension_imports_nothing_that_calls_and_brings_one_package_along() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    imported = re.findall(r"\bfrom '([^.'\n][^'\n]*)';$|^import '([^'\n]*)';$", sources, re.MULTILINE)
    assert {"".join(names) for names in imported} == {
        "vscode",
        "vscode-languageclient/node",
        "node:fs",
        "node:fs/promises",
        "node:os",
        "node:path",
    }
    manifest = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
    assert set(manifest["dependencies"]) == {"vscode-languageclient"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(EXTENSION / "src")))
def test_no_part_of_the_extension_calls_or_reports_usage(path: Path) -> None:
    ways = r"\bfetch\(|\brequire\(|\bimport\(|WebSocket|XMLHttpRequest|EventSource|sendBeacon|Telemetry|openExternal"
    assert re.findall(ways, path.read_text(encoding="utf-8")) == []


@pytest.mark.skipif(not (EXTENSION / "dist" / "extension.js").is_file(), reason="`make vsix` has not built it")
def test_the_built_extension_can_speak_to_no_other_machine_by_itself() -> None:
    built = (EXTENSION / "dist" / "extension.js").read_text(encoding="utf-8")
    needed = {name.removeprefix("node:") for name in re.findall(r"""require\(["']([\w:/-]+)["']\)""", built)}
    assert "vscode" in needed
    # `net` is how vscode-languageclient would reach a server by a socket of this machine; ours is reached by pipes.
    assert not needed & {"http", "https", "http2", "tls", "dns", "dgram", "undici", "inspector"}
    assert not re.search(r"\bfetch\(|WebSocket|XMLHttpRequest|sendBeacon|TelemetryLogger", built)


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT / "editors")))
def test_no_plugin_of_another_editor_calls(path: Path) -> None:
    ways = r"new_tcp|new_udp|getaddrinfo|vim\.net|url-retrieve|make-network-process|open-network-stream|curl|wget"
    assert re.findall(ways, path.read_text(encoding="utf-8")) == []
