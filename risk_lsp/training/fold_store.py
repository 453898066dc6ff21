"""The probes of a cross-validation on disk: a run that was cut short goes on where it was."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from risk_lsp.errors import BadInput
from risk_lsp.probe.calibration import Calibration
from risk_lsp.training.heads import MaxPoolHead
from risk_lsp.training.recipe import Recipe
from risk_lsp.training.study import Floats, Study


@dataclass(frozen=True)
class FoldFit:
    """What one fold's probe gives for all tokens of a study, and how it was fitted.

    `values`: hazards float64[tokens] with the factor of their text, or what the max-pooling `pool` takes.
    """

    values: Floats
    calibration: Calibration
    validation_losses: tuple[float, ...]
    pool: MaxPoolHead | None = None


class FoldStore:
    """Fits of one recipe on one study, by name of the fold; without a folder nothing is kept. Max-pooling never is."""

    def __init__(self, folder: Path | None, study: Study, model: str, recipe: Recipe) -> None:
        self._folder = folder
        self._key = (
            sha256(f"{model} {recipe} fitted to wholes {_digest(study)}".encode()).hexdigest()[:16] if folder else ""
        )

    def get(self, fold: str) -> FoldFit | None:
        """The fit of a fold, if it is kept. BadInput if its file is damaged."""
        if self._folder is None or not (path := self._path(self._folder, fold)).is_file():
            return None
        try:
            with path.open("rb") as file, np.load(file) as kept:  # numpy leaves a damaged file open
                about = json.loads(str(kept["about"]))
                return FoldFit(kept["values"], Calibration(**about["calibration"]), tuple(about["losses"]))
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise BadInput(f"{path} is damaged: {error}", "remove it; the fold is fitted again") from None

    def keep(self, fold: str, fit: FoldFit) -> None:
        """Keep the fit of a fold."""
        if self._folder is None or fit.pool is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(self._folder, fold)
        about = {"calibration": asdict(fit.calibration), "losses": fit.validation_losses}
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(file, values=fit.values, about=np.array(json.dumps(about)))
        part.replace(path)

    def _path(self, folder: Path, fold: str) -> Path:
        return folder / f"{self._key}-{fold.replace(' ', '-')}.npz"


def _digest(study: Study) -> str:
    """Tells apart studies whose programs, labels, weights or features differ."""
    found = sha256()
    for program in study.data.programs:
        found.update(repr((program.id, program.group, program.text, program.edited, program.passed)).encode())
    for array in (study.facts.weights, study.facts.span_weights, study.store.token_end, study.store.token_part):
        found.update(np.ascontiguousarray(array).tobytes())
    found.update(repr((study.store.features.shape, sorted(set(study.injected_groups.tolist())))).encode())
    return found.hexdigest()
