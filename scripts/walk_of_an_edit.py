"""The files that an edit passes from didChange to its published diagnostics: python scripts/walk_of_an_edit.py

A server with the embedded bundle opens an example and has it edited once. Both processes note the files of the package
in which a function is called between the edit and the diagnostics. A file counts once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = str(ROOT / "risk_lsp") + os.sep
URI = "file:///example.py"


def record_calls(target: Path) -> None:
    """From the signal USR1 on, note files in which functions are called; on USR2 write them to `target`."""
    seen: set[str] = set()
    is_recording = False

    def note(frame: FrameType, event: str, _: Any) -> None:
        if is_recording and event == "call" and frame.f_code.co_name != "<module>":
            name = frame.f_code.co_filename
            if name.startswith(PACKAGE):
                seen.add(name.removeprefix(PACKAGE))

    def begin(*_: object) -> None:
        nonlocal is_recording
        is_recording = True

    def write(*_: object) -> None:
        nonlocal is_recording
        is_recording = False
        part = target.with_suffix(".part")
        part.write_text("\n".join(sorted(seen)), encoding="utf-8")
        part.replace(target)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, write)
    threading.setprofile(note)
    sys.setprofile(note)


def run_server(folder: Path) -> int:
    """A server on standard input and output, which records itself; its worker does, too."""
    from risk_lsp.server.app import ServerOptions, run_stdio

    record_calls(folder / "server")
    (folder / "server.pid").write_text(str(os.getpid()))
    options = ServerOptions(data_folder=str(folder / "data"))
    return run_stdio(options, [sys.executable, __file__, "worker", str(folder)])


def run_worker(folder: Path) -> None:
    """The worker, which records itself."""
    from risk_lsp.risk import engine_worker

    record_calls(folder / "worker")
    (folder / "worker.pid").write_text(str(os.getpid()))
    engine_worker.run_worker(engine_worker.load)


async def walk(folder: Path) -> dict[str, list[str]]:
    """The files by process, "server" and "worker"."""
    from tests.server.lsp_client import LspClient

    # Nothing is known of the text before: the user's cache may hold it from an earlier walk.
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    client = await LspClient.start([sys.executable, __file__, "server", str(folder)], env=environment)
    await client.initialize()
    text = (ROOT / "examples" / "interval_merging.py").read_text("utf-8")
    client.open(URI, text)
    await client.diagnostics(URI, 1)
    processes = [int((folder / f"{name}.pid").read_text()) for name in ("server", "worker")]
    await asyncio.sleep(2)  # what opening brings along has ended
    for process in processes:
        os.kill(process, signal.SIGUSR1)
    await asyncio.sleep(0.5)
    end = {"line": text.count("\n"), "character": 0}
    client.change(URI, 2, {"range": {"start": end, "end": end}, "text": "print(merge_intervals([]))\n"})
    await client.diagnostics(URI, 2)
    for process in processes:
        os.kill(process, signal.SIGUSR2)
    found = {}
    for name in ("server", "worker"):
        while not (folder / name).exists():
            await asyncio.sleep(0.05)
        found[name] = (folder / name).read_text("utf-8").split()
    await client.kill()
    return found


def main() -> int:
    """Print the files."""
    if len(sys.argv) == 3:
        if sys.argv[1] == "server":
            return run_server(Path(sys.argv[2]))
        run_worker(Path(sys.argv[2]))
        return 0
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(walk(Path(folder)))
    for name, files in found.items():
        print(f"{name}: {len(files)} files", *files, sep="\n  ")
    print(f"from didChange to the diagnostics: {len({file for files in found.values() for file in files})} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
