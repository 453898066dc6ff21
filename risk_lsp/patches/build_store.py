"""Records on disk while a build runs: parts that only ever grow, so that no end at any time loses what was found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from risk_lsp.errors import BadInput

_PART_RECORDS = 2000
_SETTINGS = "settings.json"


class BuildStore:
    """The folder of a build under way. A context manager; BadInput if it was begun with other settings.

    Each run writes parts of its own. A last line that was cut short when a run was killed is passed over.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._check(settings)
        self._number = max((int(path.stem.removeprefix("part-")) for path in self._parts()), default=-1)
        self._written = _PART_RECORDS
        self._part: Any = None

    def __enter__(self) -> BuildStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._part is not None:
            self._part.close()

    def records(self) -> Iterator[dict[str, Any]]:
        """Every record so far, oldest first."""
        for path in self._parts():
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    if line.endswith("\n"):
                        yield json.loads(line)

    def append(self, record: dict[str, Any]) -> None:
        """Write one record; it survives the end of this process at once."""
        if self._written >= _PART_RECORDS:
            if self._part is not None:
                self._part.close()
            self._number += 1
            self._written = 0
            self._part = (self._folder / f"part-{self._number:05}.jsonl").open("x", encoding="utf-8")
        self._part.write(json.dumps(record) + "\n")
        self._part.flush()
        self._written += 1

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob("part-*.jsonl"))

    def _check(self, settings: dict[str, Any]) -> None:
        path = self._folder / _SETTINGS
        if not path.exists():
            path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
            return
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BadInput(f"{path} is damaged: {error}", "remove the folder to begin anew") from error
        if known != settings:
            raise BadInput(
                f"{self._folder.parent} was begun with other settings: {json.dumps(known)}",
                "use the same ones to go on, or another folder",
            )
