"""A copy of a workspace for tests to run on: bounded, without what no test needs, private to this user."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import TracebackType

from risk_lsp.repair.request import RepairError

_BYTES_AT_MOST = 200_000_000
_FILES_AT_MOST = 20_000
_FILE_AT_MOST = 20_000_000
_LEFT_OUT = frozenset(
    (
        *("node_modules", "__pycache__", "venv", "env", "build", "dist", "site-packages", "htmlcov"),
        *("target", "wandb", "mlruns", "checkpoints"),
    )
)
_HINT = "open a smaller folder, or name the tests with a command of your own in a folder that holds just them"


class WorkspaceCopy:
    """A context manager; `folder` is the copy. Setting `stopped`, from any thread, ends the copying.

    Names that begin with a dot, environments and caches are left out; links as well, for they may lead outside. Nothing
    of the workspace is written or run.
    """

    def __init__(self, root: Path, stopped: Event | None = None) -> None:
        self.root = root
        self._stopped = stopped or Event()
        self._holder = Path(tempfile.mkdtemp(prefix="risk-lsp-copy-"))
        self.folder = self._holder / "workspace"

    def __enter__(self) -> WorkspaceCopy:
        try:
            self._copy()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self._holder, ignore_errors=True)

    def _copy(self) -> None:
        files = size = 0
        self.folder.mkdir(mode=0o755)
        for path in workspace_files(self.root):
            if self._stopped.is_set():
                raise RepairError("the copy was stopped", "start it again")
            try:
                length = path.stat().st_size
                if length > _FILE_AT_MOST:
                    continue
                files, size = files + 1, size + length
                if files > _FILES_AT_MOST or size > _BYTES_AT_MOST:
                    raise RepairError(f"{self.root} is too large to be copied for its tests", _HINT)
                target = self.folder / path.relative_to(self.root)
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
                shutil.copyfile(path, target)
                # Inside, an unprivileged user reads it; outside, the folder around it keeps others away.
                target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
            except OSError:
                continue  # gone meanwhile, or not for this user to read: the tests will say if they need it


def workspace_files(root: Path) -> Iterator[Path]:
    """The files of a workspace that a copy takes: no links, nothing hidden, no environments, no caches."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if _is_taken(here, name))
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and not path.is_symlink() and path.is_file():
                yield path


def _is_taken(parent: Path, name: str) -> bool:
    if name.startswith(".") or name in _LEFT_OUT or name.endswith(".egg-info"):
        return False
    folder = parent / name
    return not folder.is_symlink() and not (folder / "pyvenv.cfg").exists()
