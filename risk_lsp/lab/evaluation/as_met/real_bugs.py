"""Bugs that people made and mended: how early the changed lines come when their function is read by score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.edits.hunks import Difference, edited_spans
from risk_lsp.edits.lexemes import LineAligner, read_code
from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.columns import Column, Passage, passage_of
from risk_lsp.lab.evaluation.metrics import ProgramValues, program_aucs, program_hits
from risk_lsp.lab.evaluation.problem_bootstrap import ProblemBootstrap, interval_figures
from risk_lsp.lab.json_lines import read_objects
from risk_lsp.lab.span_tables import overlap_mask
from risk_lsp.lab.training.training_documents import is_measured_alone, split_of
from risk_lsp.text.document import LineIndex, Span
from risk_lsp.text.structure import parse_structure

PUT_IN = "humanevalfix"  # by hand, into solutions
SOURCES = ("thealgorithms_history", "pylib_history", "condefects", PUT_IN)
_LEARNT_FROM = "condefects"  # all but a third of its pairs, which measure
RANDOM = "random order"
HITS = (1, 3, 5)
_SMALL_LINES, _SMALL_SHARE = 3, 1 / 3  # a small fix changes at most three lines, or a third of all
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RealBug:
    """A program before its fix; `edited` is what the fix touches."""

    group: str
    source: str
    text: str
    edited: tuple[Span, ...]


@dataclass(frozen=True)
class BugScope:
    """A function with a changed line, or all that stands outside of functions, and the bug that it is part of.

    `rows` bool[lines] tells the scope's lines among those of its bug's passage, `changed` bool[lines] the changed ones.
    """

    bug: int
    rows: NDArray[np.bool_]
    changed: NDArray[np.bool_]


def read_real_bugs(folder: Path, most: int) -> list[RealBug]:
    """Up to `most` bugs of each source, one of a problem, from the `repairs_*.jsonl.xz` files of a folder.

    Kept are fixes that touch few lines and that change what the program does, not what it is called by. BadInput for a
    folder without such files.
    """
    found: list[RealBug] = []
    for source in SOURCES:
        path = folder / f"repairs_{source}.jsonl.xz"
        if path.is_file():
            by_group: dict[str, RealBug] = {}
            for bug in sorted(_bugs(path, source), key=lambda bug: _place(bug.text)):
                by_group.setdefault(bug.group, bug)
            found += sorted(by_group.values(), key=lambda bug: _place(bug.group))[:most]
    if not found:
        raise BadInput(
            f"{folder} holds no pairs of a program with a bug and its fix",
            "name the folder with repairs_*.jsonl.xz: " + ", ".join(SOURCES),
        )
    return found


def measure_real_bugs(bugs: Sequence[RealBug], columns: Sequence[Column], resamples: int) -> dict[str, dict[str, Any]]:
    """Measures by column, and there for all bugs that nobody put in, for those of held-out problems, and by source.

    Each is [estimate, low, high] over problems; a bug counts once however many functions its fix touches. "auc": within
    the function; "hits_at_K": whether a changed line is among its first K; "first_rank": the place of the first one,
    from 1; "lines": how many lines of code a function has.
    """
    passages = [passage_of(bug.text) for bug in bugs]
    scopes = [scope for number, bug in enumerate(bugs) for scope in scopes_of(number, passages[number], bug.edited)]
    natural = np.array([bugs[scope.bug].source != PUT_IN for scope in scopes])
    rows = {
        "all": natural,
        "of held-out problems": natural & [split_of(bugs[scope.bug].group) != "train" for scope in scopes],
        **{
            source: np.array([bugs[scope.bug].source == source for scope in scopes])
            for source in SOURCES
            if any(bug.source == source for bug in bugs)
        },
    }
    by_column = {column.name: _values(scopes, column.answers(passages)) for column in columns}
    by_column[RANDOM] = _random_values(scopes)
    groups = np.array([bugs[scope.bug].group for scope in scopes])
    # 1 for each bug, shared by its scopes; there is one bug of a problem in each source.
    owners = np.array([scope.bug for scope in scopes])
    weights = np.asarray(1.0 / np.bincount(owners)[owners], dtype=np.float64)
    return {
        name: {
            row: _intervals({key: value[kept] for key, value in values.items()}, weights[kept], groups[kept], resamples)
            for row, kept in rows.items()
            if kept.any()
        }
        for name, values in by_column.items()
    }


def scopes_of(bug: int, passage: Passage, edited: Sequence[Span]) -> Iterator[BugScope]:
    """The outermost functions, and the rest of the text, that hold both changed lines and others."""
    starts = passage.lines[:, 0]
    changed = overlap_mask(starts, passage.lines[:, 1], edited)
    outside = np.ones(len(starts), dtype=np.bool_)
    end = 0
    for function in parse_structure(passage.text, "python").functions:
        if function.span.start < end:
            continue  # a function of a function
        end = function.span.end
        rows = (starts >= function.span.start) & (starts < end)
        outside &= ~rows
        if changed[rows].any() and not changed[rows].all():
            yield BugScope(bug, rows, changed[rows])
    if changed[outside].any() and not changed[outside].all():
        yield BugScope(bug, outside, changed[outside])


def _bugs(path: Path, source: str) -> Iterator[RealBug]:
    for _, record in read_objects(path):
        held_back = source == _LEARNT_FROM and not is_measured_alone(record["group"])
        # An error of another kind mostly means that the fix gave a function another name or other parameters.
        other_kind = source.endswith("_history") and record["err"] != "AssertionError"
        large = record["lines_changed"] > max(_SMALL_LINES, record["n_lines"] * _SMALL_SHARE)
        if held_back or other_kind or large or record.get("api_change") or record.get("syntax_ok") is False:
            continue
        text, fixed = _line_feeds(record["program"]), _line_feeds(record["repaired"])
        lines = LineIndex(text)
        given = lines.start(min(record["prompt_lines"] or 0, lines.count - 1))
        edited = edited_spans(Difference(read_code(text), read_code(fixed), given, LineAligner()).hunks())
        if edited:
            yield RealBug(record["group"], source, text, tuple(edited))


def _values(scopes: Sequence[BugScope], answers: Sequence[Any]) -> dict[str, Floats]:
    """Each measure of each scope, float64[scopes]."""
    scores = [answers[scope.bug].lines[scope.rows] for scope in scopes]
    flat, changed = np.concatenate(scores), np.concatenate([scope.changed for scope in scopes])
    owners = np.repeat(np.arange(len(scopes)), [len(each) for each in scores])
    return {
        "auc": program_aucs(flat, changed, owners).values,
        **{f"hits_at_{k}": program_hits(flat, changed, owners, k).values for k in HITS},
        "first_rank": np.array(
            [
                1.0 + np.flatnonzero(scope.changed[np.argsort(-each, kind="stable")])[0]
                for scope, each in zip(scopes, scores, strict=True)
            ]
        ),
        "lines": np.array([float(len(each)) for each in scores]),
    }


def _random_values(scopes: Sequence[BugScope]) -> dict[str, Floats]:
    """The mean of each measure over all orders of a scope's lines."""
    sizes = [(len(scope.changed), int(scope.changed.sum())) for scope in scopes]
    return {
        "auc": np.full(len(scopes), 0.5),
        **{f"hits_at_{k}": np.array([1.0 - comb(n - m, k) / comb(n, min(k, n)) for n, m in sizes]) for k in HITS},
        "first_rank": np.array([(n + 1) / (m + 1) for n, m in sizes]),
        "lines": np.array([float(n) for n, _ in sizes]),
    }


def _intervals(
    values: dict[str, Floats], weights: Floats, groups: NDArray[np.str_], resamples: int
) -> dict[str, list[float | None]]:
    bootstrap = ProblemBootstrap(groups, weights, resamples=resamples)
    return {
        name: interval_figures(bootstrap.mean_over_programs(ProgramValues(each, weights), groups))
        for name, each in values.items()
    }


def _line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _place(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
