"""Batches of token sequences from packed streams; the draw depends on seed and step alone, so runs resume exactly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from risk_lsp.errors import BadInput
from risk_lsp.training.packing import TokenIds, read_manifest, read_stream

Sequences = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Streams:
    """The training streams of a packed corpus with the share each has in a batch, and the held-out stream."""

    training: tuple[tuple[TokenIds, float], ...]
    held_out: TokenIds

    @classmethod
    def read(cls, folder: Path, model_written_share: float) -> Streams:
        """Streams "library" and "model-written" of `folder`; a missing one leaves its share to the other."""
        present = read_manifest(folder)["streams"]
        shares = {"library": 1.0 - model_written_share, "model-written": model_written_share}
        found = {name: share for name, share in shares.items() if name in present and share > 0}
        if not found or "held-out" not in present:
            raise BadInput(
                f"the packed corpus in {folder} lacks training or held-out texts", "rebuild it with more sources"
            )
        total = sum(found.values())
        training = tuple((read_stream(folder, name), share / total) for name, share in found.items())
        return cls(training, read_stream(folder, "held-out"))

    def batch(self, step: int, size: int, length: int, seed: int) -> Sequences:
        """int64[size, length + 1]: inputs are columns [:-1], targets columns [1:]."""
        chooser = np.random.default_rng((seed, step))
        streams = chooser.choice(len(self.training), size=size, p=[share for _, share in self.training])
        return np.stack([_sequence(self.training[index][0], length, chooser) for index in streams])

    def held_out_batches(self, size: int, length: int, batches: int) -> list[Sequences]:
        """The same first `batches` batches of held-out text every time."""
        per_batch, available = size * (length + 1), len(self.held_out)
        count = max(1, min(batches, available // per_batch))
        if available < per_batch:
            raise BadInput(
                f"only {available:,} held-out tokens", f"a batch takes {per_batch:,}: use shorter or fewer sequences"
            )
        taken = self.held_out[: count * per_batch].astype(np.int64)
        return list(taken.reshape(count, size, length + 1))


def _sequence(stream: TokenIds, length: int, chooser: np.random.Generator) -> Sequences:
    if len(stream) <= length:
        raise BadInput(f"a training stream has only {len(stream):,} tokens", f"a sequence takes {length + 1:,}")
    start = int(chooser.integers(0, len(stream) - length))
    return stream[start : start + length + 1].astype(np.int64)
