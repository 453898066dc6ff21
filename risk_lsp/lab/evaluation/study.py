"""Labelled programs with everything that techniques are judged by, and the probes that were fitted to folds of them."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.figures import LevelRecords, ProgramFacts, level_records, program_facts
from risk_lsp.lab.evaluation.metrics import improbability
from risk_lsp.lab.span_tables import LabelledText, Level, SpanTable, span_tables
from risk_lsp.lab.training.feature_store import FeatureStore, collect_features
from risk_lsp.lab.training.fit_probe import Recipe
from risk_lsp.lab.training.heads import MaxPoolHead
from risk_lsp.lab.training.labelled_programs import LabelledProgram, ProbeData
from risk_lsp.lab.training.library_programs import with_injected_bugs
from risk_lsp.probe.calibration import Calibration
from risk_lsp.probe.token_hazards import STATISTICS, uses_layout
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.risk_map import TokenSpans
from risk_lsp.text.document import Span

_PROGRAMS_AT_ONCE = 128
# Of the problems, about so many are training ones: injected bugs are made for all, so that every fold has its share.
_TRAINING_SHARE = 0.65
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def score_programs(engine: Engine, data: ProbeData) -> dict[Level, LevelRecords]:
    """Score every labelled program once, by the probe and, if the model has a head, by its own token probability.

    The engine has to be loaded with its whole model.
    """
    predicts = engine.model.host.has_head
    given = [engine.model_text(program.text) for program in data.programs]
    encodings = [engine.model.encode(text.text) for text in given]
    labelled = []
    for program, text, encoding in zip(data.programs, given, encodings, strict=True):
        starts, ends = text.spans_in_document(encoding.starts, encoding.ends)
        labelled.append(LabelledText(program.text, program.scored, program.edited or (), starts, ends))
    tables = span_tables(labelled)
    scores = {
        level: {name: np.zeros(len(table)) for name in (("probe", "token probability") if predicts else ("probe",))}
        for level, table in tables.items()
    }
    for first in range(0, len(data.programs), _PROGRAMS_AT_ONCE):
        batch = slice(first, first + _PROGRAMS_AT_ONCE)
        read = engine.read(given[batch], encodings[batch], statistics=predicts)
        for place, activations in enumerate(read, first):
            risk = engine.risk(given[place], activations)
            tokens = TokenSpans(len(given[place].document), risk.starts, risk.ends)
            for level, table in tables.items():
                rows = slice(*np.searchsorted(table.program, [place, place + 1]))
                start, end = table.start[rows], table.end[rows]
                scores[level]["probe"][rows] = risk.probabilities(start, end)
                if activations.log_probabilities is not None:
                    run = np.stack(tokens.overlapping(start, end)).astype(np.int64)
                    scores[level]["token probability"][rows] = improbability(
                        activations.log_probabilities.astype(np.float64), *run
                    )
    facts = program_facts(data)
    return {level: level_records(level, table, facts, scores[level]) for level, table in tables.items()}


@dataclass(frozen=True)
class Study:
    """Programs to measure, followed in the store by ones with injected bugs, which are learnt from and never measured.

    `tokens` gives for each span of a table the store's tokens [first, last) that overlap it, int64[spans, 2].
    `statistics`: whether the last features of the store are the model's token statistics.
    """

    data: ProbeData
    injected_groups: NDArray[np.str_]
    store: FeatureStore
    tables: dict[Level, SpanTable]
    tokens: dict[Level, Indices]
    facts: ProgramFacts
    statistics: bool = True

    @property
    def texts(self) -> list[tuple[str, Span]]:
        """The programs to measure, with the part that a model wrote."""
        return [(program.text, program.scored) for program in self.data.programs]

    def improbability(self, level: Level) -> Floats:
        """The improbability of each span of a level, float64[spans]."""
        surprisal = np.asarray(self.store.features[:, -STATISTICS], dtype=np.float64)  # in nats
        return improbability(-surprisal, *self.tokens[level].T)


def read_study(
    engine: Engine,
    data: ProbeData,
    recipe: Recipe,
    cache: Path | None,
    learnt: Sequence[LabelledProgram] | None = None,
) -> Study:
    """A study of `data` with what the recipe's probe looks at, and with as many injected bugs as the recipe wants.

    Programs are read as the engine's bundle says. The bugs are made of `learnt`, by default all programs. `cache` keeps
    what the model gives.
    """
    count = round(recipe.injected / _TRAINING_SHARE)
    injected = with_injected_bugs(data.programs if learnt is None else learnt, count, recipe.options.seed)
    programs = [*data.programs, *injected]
    layout = uses_layout(recipe.options.architecture)
    store = collect_features(
        engine.model,
        programs,
        recipe.layers,
        statistics=engine.model.host.has_head,
        layout=layout,
        reading=engine.manifest.reading,
        cache=cache,
    )
    groups = np.array([program.group for program in injected], dtype=np.str_)
    return make_study(data, groups, store, statistics=engine.model.host.has_head)


def make_study(
    data: ProbeData, injected_groups: NDArray[np.str_], store: FeatureStore, *, statistics: bool = True
) -> Study:
    """A study of `data`, whose features come first in the store. `statistics`: whether it holds token statistics."""
    bounds = store.token_bounds
    texts = [
        LabelledText(
            program.text,
            program.scored,
            program.edited or (),
            store.token_start[bounds[index] : bounds[index + 1]],
            store.token_end[bounds[index] : bounds[index + 1]],
        )
        for index, program in enumerate(data.programs)
    ]
    tables = span_tables(texts)
    tokens = {level: _tokens_of(table, texts, store) for level, table in tables.items()}
    return Study(data, injected_groups, store, tables, tokens, program_facts(data), statistics)


def _tokens_of(table: SpanTable, texts: Sequence[LabelledText], store: FeatureStore) -> Indices:
    found = np.zeros((len(table), 2), dtype=np.int64)
    rows = np.searchsorted(table.program, np.arange(len(texts) + 1))
    for program, text in enumerate(texts):
        own = slice(rows[program], rows[program + 1])
        tokens = TokenSpans(len(text.text), text.token_starts, text.token_ends)
        first, last = tokens.overlapping(table.start[own], table.end[own])
        found[own] = store.token_bounds[program] + np.stack([first, last], axis=1)
    return found


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
    """Keeps fits of one recipe on one study by the name of the fold, in a folder; without one it keeps nothing.

    Max-pooling probes are never kept.
    """

    def __init__(self, folder: Path | None, study: Study, model: str, recipe: Recipe) -> None:
        self._folder, self._key = folder, ""
        if folder is None:
            return
        # Tells apart studies whose programs, labels, weights or features differ.
        found = sha256()
        for program in study.data.programs:
            found.update(repr((program.id, program.group, program.text, program.edited, program.passed)).encode())
        for array in (study.facts.weights, study.facts.span_weights, study.store.token_end, study.store.token_part):
            found.update(np.ascontiguousarray(array).tobytes())
        found.update(repr((study.store.features.shape, sorted(set(study.injected_groups.tolist())))).encode())
        words = f"{model} {recipe} fitted to wholes, familiar, looks {found.hexdigest()}"
        self._key = sha256(words.encode()).hexdigest()[:16]

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
