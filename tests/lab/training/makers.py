"""Small things that the training tests share: documents, packed corpora, labelled programs, stores of features."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from risk_lsp.lab.training.feature_store import FeatureStore, WeightedPrograms
from risk_lsp.lab.training.labelled_programs import LabelledProgram, ProbeData
from risk_lsp.lab.training.packing import pack_documents, save_tokenizer
from risk_lsp.lab.training.training_documents import Split, TrainingDocument, split_of
from risk_lsp.probe.layout import LOOKS
from risk_lsp.text.document import Span

LINES = ("for value in values:", "    total = total + value", "return total", "if total is None:", "    total = 0")


def document(text: str, *, kind: str = "library", held_out: bool = False, source: str = "some") -> TrainingDocument:
    return TrainingDocument(source, "MIT", "a.py", kind, text, held_out)


def save_corpus(folder: Path, tokenizer: Tokenizer, documents: Iterable[TrainingDocument], **options: Any) -> Path:
    """A packed corpus with its tokenizer."""
    save_tokenizer(tokenizer, folder)
    pack_documents(
        documents, tokenizer, folder, **{"fim_share": 0.0, "seed": 1, "command": "risk-lsp corpus build", **options}
    )
    return folder


def write_records(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """JSON Lines, compressed if the name says so."""
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(lzma.compress(text.encode()) if path.suffix == ".xz" else text.encode())


def group_in(split: Split, place: int = 0) -> str:
    """The name of a problem of that split."""
    return [name for name in (f"toy/{index}" for index in range(200)) if split_of(name) == split][place]


def program(
    text: str,
    *,
    edited: Iterable[tuple[int, int]] | None = (),
    scored: tuple[int, int] | None = None,
    group: str = "toy/0",
    passed: bool | None = None,
    id: str = "p",
) -> LabelledProgram:
    """A labelled program; it failed unless its fix is empty."""
    spans = None if edited is None else tuple(Span(*span) for span in edited)
    outcome = spans == () if passed is None else passed
    return LabelledProgram(id, group, "toy", text, Span(*(scored or (0, len(text)))), spans, outcome)


def toy_programs(problems: int) -> list[LabelledProgram]:
    """For each problem one program that adds, and one that subtracts although it should add."""
    made = []
    for index in range(problems):
        head = f"def combine_{index}(first, second):\n    result = first\n"
        right, wrong = f"{head}    return result + second\n", f"{head}    return result - second\n"
        place = wrong.index("- second")
        made.append(program(right, group=f"toy/{index}", id=f"{index}/right"))
        made.append(program(wrong, edited=[(place, place + 1)], group=f"toy/{index}", id=f"{index}/wrong"))
    return made


def store_of(
    features: NDArray[np.number[Any]], edited: NDArray[np.bool_], tokens_per_line: int, lines_per_program: int
) -> FeatureStore:
    """Tokens in lines of one length and programs of one length; a line or program is edited if a token of it is."""
    tokens = np.arange(len(edited))
    lines = tokens // tokens_per_line
    line_edited = np.any(edited.reshape(-1, tokens_per_line), axis=1)
    return FeatureStore(
        features=features.astype(np.float16),
        token_start=tokens.astype(np.int32),
        token_end=(tokens + 1).astype(np.int32),
        token_edited=edited,
        token_line=lines.astype(np.int64),
        token_program=lines // lines_per_program,
        line_edited=line_edited,
        line_scored=np.ones(len(line_edited), dtype=np.bool_),
        line_program=np.arange(len(line_edited)) // lines_per_program,
        token_part=lines // lines_per_program,
        line_part=np.arange(len(line_edited)) // lines_per_program,
        line_looks=np.zeros((len(line_edited), LOOKS), dtype=np.float32),
        part_program=np.arange(len(line_edited) // lines_per_program),
        program_edited=np.any(line_edited.reshape(-1, lines_per_program), axis=1),
    )


def evenly(store: FeatureStore) -> WeightedPrograms:
    """Programs that all weigh the same."""
    return weighted(store, np.ones(len(store.program_edited)))


def weighted(store: FeatureStore, weights: NDArray[np.float64]) -> WeightedPrograms:
    """Programs whose tokens and lines weigh what they weigh themselves."""
    return WeightedPrograms(store, weights, weights)


def probe_data(*programs: LabelledProgram, weights: Iterable[float] | None = None) -> ProbeData:
    """Programs with weights, by default 1 each; those without a known fix weigh nothing with their spans."""
    found = [1.0] * len(programs) if weights is None else list(weights)
    spans = [weight * program.is_labelled for weight, program in zip(found, programs, strict=True)]
    return ProbeData(list(programs), found, spans, "labelled programs")


def write_labelled(programs: Iterable[LabelledProgram], path: Path) -> None:
    """Write programs as JSON Lines."""
    with path.open("w", encoding="utf-8") as out:
        for program in programs:
            edited = None if program.edited is None else [list(span) for span in program.edited]
            out.write(json.dumps({**vars(program), "scored": list(program.scored), "edited": edited}) + "\n")
