"""Trees on disk: written whole after every step, so that one can be read whatever ended the program."""

from __future__ import annotations

import json
import os
import tempfile
from hashlib import sha256
from pathlib import Path

from risk_lsp.errors import BadInput
from risk_lsp.repair.request import RepairError, RepairRequest
from risk_lsp.repair.tree import RepairTree

_BYTES_AT_MOST = 64_000_000
_FILES_AT_MOST = 200


class TreeStore:
    """One tree in one file. Without `resume` a repair starts anew and what the file holds is replaced."""

    def __init__(self, path: Path, *, resume: bool = True) -> None:
        self.path = path
        self.resume = resume

    @classmethod
    def in_folder(cls, folder: Path, request: RepairRequest) -> TreeStore:
        """The file for a request, named by its content, not to be resumed: its tests may have changed since.

        The oldest trees of the folder are dropped beyond a number.
        """
        asked = json.dumps([request.name, request.text, request.hint, request.span])
        trees = sorted(folder.glob("*.json"), key=_changed) if folder.is_dir() else []
        for old in trees[: -_FILES_AT_MOST + 1]:
            old.unlink(missing_ok=True)
        return cls(folder / f"{sha256(asked.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}.json", resume=False)

    def save(self, tree: RepairTree) -> None:
        """Write the tree; a reader sees the old one or the new one, never a part. RepairError if that fails."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".tree-")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(tree.to_json(), file)
                os.replace(name, self.path)
            except BaseException:
                os.unlink(name)
                raise
        except OSError as error:
            raise RepairError(f"{self.path} cannot be written: {error}", "name another place for the record") from error

    def load(self) -> RepairTree | None:
        """The tree, None if there is none yet. BadInput for a file that holds something else."""
        try:
            if self.path.stat().st_size > _BYTES_AT_MOST:
                raise BadInput(f"{self.path} is too large for a repair tree", "name another file")
            content = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise BadInput(f"{self.path} is no repair tree: {error}", "name another file, or remove it") from error
        return RepairTree.from_json(content)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
