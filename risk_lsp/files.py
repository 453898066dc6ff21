"""The user's data folder, folders with one writer at a time, and files that are written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SHARED = 0o644  # the mode of a file that everybody may read


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file in one step: whoever reads it sees the old content or the new one, never a part.

    path: in a folder that exists. mode: the permissions that the file gets. Raises OSError, and leaves nothing behind.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def user_data_folder() -> Path:
    """The user's data folder for this program."""
    from platformdirs import user_data_path

    return user_data_path("risk-lsp", appauthor=False)


@contextmanager
def lock_folder(folder: Path, seconds: float) -> Iterator[None]:
    """A folder, made if it is not there, for one writer alone. Raises OSError, also where another has it so long."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise OSError(None, "another program is writing there and does not end") from None
                time.sleep(0.01)
        yield
