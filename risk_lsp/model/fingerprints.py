"""Hashes that tie a probe to the exact model and tokenizer it was fitted on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_BLOCK = 1 << 20


def hash_files(paths: Iterable[Path]) -> str:
    """`sha256:` and the digest of the files' contents, one after the other in the given order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def hash_weights(path: Path) -> str:
    """Hash of a GGUF file, or of a folder's safetensors files in the order of their names, then its config.json."""
    if path.is_file():
        return hash_files([path])
    return hash_files([*sorted(path.glob("*.safetensors")), path / "config.json"])


def hash_text(text: str) -> str:
    """`sha256:` and the digest of `text` as UTF-8."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
