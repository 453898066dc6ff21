"""The fork server: reads jobs from stdin, answers on stdout, one at a time, until stdin ends.

Arguments: the modules to import beforehand, so that programs find them loaded.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import sys
from typing import Any

from . import launch
from .job import Base, ProgramRun, decode_frame, encode_frame, frame_size, private_memory_of

_TRIAL: dict[str, Any] = {
    "program": "",
    "stdin": "",
    "limits": {
        "wall_seconds": 10.0,
        "cpu_seconds": 10,
        "memory": 1 << 28,
        "processes": 4,
        "open_files": 16,
        "file": 1 << 16,
        "disk": 1 << 16,
        "output": 1 << 10,
        "stderr_tail": 1 << 10,
    },
}


def serve(modules: list[str]) -> None:
    """Answer jobs until stdin ends. The first frame out says whether programs are isolated from one another."""
    jobs, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = 256 if hard == resource.RLIM_INFINITY else min(256, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, ceiling))
    # The kernel should end a program, not the user's other work, when memory runs out.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as adjustment:
        adjustment.write("1000")
    for name in modules:
        with contextlib.suppress(ImportError):  # a program that needs it will say so
            importlib.import_module(name)
    # Programs must not find this package, nor the folder it came from.
    sys.path[:] = [folder for folder in sys.path if folder and folder != os.environ.get("PYTHONPATH")]
    for name in ("PYTHONPATH", "PWD", "OLDPWD"):
        os.environ.pop(name, None)
    gc.collect()
    gc.freeze()
    isolated = _can_isolate()
    os.write(answers, encode_frame({"isolated": isolated}))
    base = _base()
    with os.fdopen(jobs, "rb") as stream:
        while (size := frame_size(data := stream.read(8))) is not None:
            request, _ = decode_frame(data + stream.read(size - len(data)))
            header, body = ProgramRun(request, isolated=isolated, base=base).run()
            view = memoryview(encode_frame(header, body))
            while view:
                view = view[os.write(answers, view) :]


def _can_isolate() -> bool:
    """Whether a trial run gets its own namespaces."""
    try:
        launch.adopt_orphans()
        header, _ = ProgramRun(_TRIAL, isolated=True, base=_base()).run()
    except (OSError, AttributeError, launch.LaunchError):
        return False
    return bool(header["completed"])


def _base() -> Base:
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            pages = int(statm.read().split()[0])
    except OSError:
        pages = 0
    # The init of an isolated program's namespace counts too.
    return Base(pages * resource.getpagesize(), private_memory_of("self"), _user_threads() + 1)


def _user_threads() -> int:
    """Threads of this user in this user namespace: the kernel counts a program's own on top of them."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else []):
        try:
            mine = os.stat(f"/proc/{pid}").st_uid == os.getuid()
            if mine and os.readlink(f"/proc/{pid}/ns/user") == os.readlink("/proc/self/ns/user"):
                total += len(os.listdir(f"/proc/{pid}/task"))
        except OSError:
            # It has ended, or is in a namespace above this one.
            continue
    return total


if __name__ == "__main__":
    serve(sys.argv[1:])
