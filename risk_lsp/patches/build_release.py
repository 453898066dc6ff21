"""The finished data set: compressed shards of labelled programs, an index, statistics, and a data card."""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from risk_lsp.patches.build_statistics import statistics_of
from risk_lsp.patches.data_card import data_card

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
