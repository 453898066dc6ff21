"""How a model came about: `training.json` in its folder or beside it, handed on to what is made of the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from risk_lsp.errors import BadInput

_FILE = "training.json"


def read_training_record(folder: Path) -> dict[str, Any]:
    """The record in a model's folder, or else the one beside it, where `train model` writes; empty where neither is.

    A GGUF file has none. Raises BadInput for a damaged record.
    """
    for path in (folder / _FILE, folder.parent / _FILE):
        if folder.is_dir() and path.is_file():
            try:
                record = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError):
                record = None
            if not isinstance(record, dict):
                raise BadInput(f"{path}, which says how the model came about, is damaged", "mend or remove it")
            return record
    return {}


def write_training_record(folder: Path, record: dict[str, Any]) -> None:
    """Write the record into a model's folder."""
    (folder / _FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
