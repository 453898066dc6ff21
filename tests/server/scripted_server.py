"""The real language server over stdio, with the scripted worker instead of a model.

Usage: python -m tests.server.scripted_server FOLDER [JSON of the server's options]

Besides, `timings` are those of the supervisor, `file_size` is the largest file in bytes that may be written, and
`parent_seconds` pass between two looks for the client's process; with `jumping_clock` the time of day leaps by up to a
week, back and forth, whenever somebody looks.
"""

from __future__ import annotations

import functools
import json
import random
import resource
import sys
import time
from typing import Any

from risk_lsp.server import app
from risk_lsp.server.app import ServerOptions, watch_parent

_WEEK = 7 * 24 * 3600


def meddle(
    timings: dict[str, float] | None, file_size: int | None, jumping_clock: bool, parent_seconds: float | None
) -> None:
    """Make this process a worse place to be in."""
    if timings is not None:
        from risk_lsp.server.documents import model_host
        from risk_lsp.worker.supervisor import Supervisor, Timings

        setattr(model_host, "Supervisor", functools.partial(Supervisor, timings=Timings(**timings)))  # noqa: B010
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    if parent_seconds is not None:
        setattr(app, "watch_parent", functools.partial(watch_parent, seconds=parent_seconds))  # noqa: B010
    if jumping_clock:
        real = time.time
        time.time = lambda: real() + random.uniform(-_WEEK, _WEEK)


if __name__ == "__main__":
    given: dict[str, Any] = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    meddle(
        given.pop("timings", None),
        given.pop("file_size", None),
        given.pop("jumping_clock", False),
        given.pop("parent_seconds", None),
    )
    options = ServerOptions(**{"data_folder": f"{sys.argv[1]}/data", **given})
    sys.exit(app.run_stdio(options, command=(sys.executable, "-m", "tests.server.scripted_worker", sys.argv[1])))
