"""Records of a build on disk, and the finished data set made of them: shards, an index, statistics, a data card."""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import read_appended
from risk_lsp.lab.patches.data_card import data_card, statistics_of

_PART_RECORDS = 2000
_SETTINGS = "settings.json"


class BuildStore:
    """The folder of a build under way. A context manager; BadInput if it was begun with other settings.

    Each run writes parts of its own. A last line that was cut short when a run was killed is removed.
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
            yield from (record for _, record in read_appended(path))

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


_SHARD_RECORDS = 4000


@dataclass(frozen=True)
class Release:
    """Where the data set is, and its statistics."""

    folder: Path
    statistics: dict[str, Any]


def write_release(
    folder: Path,
    records: Iterable[dict[str, Any]],
    max_share: float,
    problem_licences: dict[str, str],
    sample_licences: dict[str, str],
    outcomes: dict[str, list[int]],
) -> Release:
    """Write the data set. Files are replaced one by one, whole; the index comes last and names the shards that count.

    `outcomes` are the passing and failing programs of each problem, those without a record counted in: a build of part
    of the failing programs still says how many there are.

    A patch that touches more than `max_share` of the lines stays in its record, but its program has no label.
    """
    ordered = [
        _labelled_up_to(record, max_share)
        for record in sorted(records, key=lambda record: (record["benchmark"], record["group"], record["id"]))
    ]
    statistics = statistics_of(ordered, max_share)
    shards = _write_shards(folder, ordered)
    replace_file(folder / "statistics.json", (json.dumps(statistics, indent=1) + "\n").encode())
    card = data_card(statistics, ordered, problem_licences, sample_licences)
    replace_file(folder / "README.md", card.encode())
    index = {"format_version": 1, "shards": shards, "outcomes": outcomes}
    replace_file(folder / "index.json", (json.dumps(index, indent=1) + "\n").encode())
    return Release(folder, statistics)


def _labelled_up_to(record: dict[str, Any], max_share: float) -> dict[str, Any]:
    patch = record.get("patch")
    if patch is None or patch["lines_touched"] <= max_share * patch["lines"]:
        return record
    return {**record, "edited": None}


def _write_shards(folder: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shards: list[dict[str, Any]] = []
    waiting = iter(records)
    while chosen := list(islice(waiting, _SHARD_RECORDS)):
        data = lzma.compress("".join(json.dumps(record) + "\n" for record in chosen).encode())
        name = f"patches-{len(shards):05}.jsonl.xz"
        replace_file(folder / name, data)
        shards.append({"name": name, "records": len(chosen), "sha256": sha256(data).hexdigest()})
    names = {shard["name"] for shard in shards}
    for path in folder.glob("patches-*.jsonl.xz"):
        if path.name not in names:
            path.unlink()
    return shards


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)
