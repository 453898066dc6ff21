"""The data set that `risk-lsp patches build` writes, as labelled programs."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from risk_lsp.errors import BadInput
from risk_lsp.training.labelled import LabelledProgram, read_labelled

INDEX_FILE = "index.json"
_HINT = "build the data set again: risk-lsp patches build"


def read_release(folder: Path) -> tuple[list[LabelledProgram], dict[str, float]]:
    """Every program of the shards that the index names, and the natural share of failing programs by problem.

    The programs come in an order that depends on their ids alone, so that the first of a problem are not all of one
    model. BadInput for an index or a shard that is missing or damaged.
    """
    index = _read_index(folder / INDEX_FILE)
    programs: list[LabelledProgram] = []
    for shard in index["shards"]:
        path = folder / shard["name"]
        if not path.is_file() or sha256(path.read_bytes()).hexdigest() != shard["sha256"]:
            raise BadInput(f"{path} is missing or not the shard that {INDEX_FILE} names", _HINT)
        programs += read_labelled(path)
    outcomes = index.get("outcomes", {})
    shares = {group: failing / (passing + failing) for group, (passing, failing) in outcomes.items()}
    return sorted(programs, key=lambda program: sha256(program.id.encode("utf-8", "surrogatepass")).digest()), shares


def _read_index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}", _HINT) from None
    if not isinstance(index, dict) or index.get("format_version") != 1 or not isinstance(index.get("shards"), list):
        raise BadInput(f"{path} is not the index of a data set of format version 1", _HINT)
    return index
