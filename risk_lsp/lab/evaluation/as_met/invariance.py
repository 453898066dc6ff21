"""How far numbers move when a text changes in a way that no test could see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.lab.evaluation.as_met.columns import Column, Passage, passage_of
from risk_lsp.lab.evaluation.as_met.harmless_changes import harmless_changes
from risk_lsp.lab.evaluation.problem_bootstrap import with_interval
from risk_lsp.text.structure import syntax_tree

_LEAST = 1e-6  # probabilities are kept this far from 0 and 1 before their log-odds are taken
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ChangedPair:
    """A text before and after a change; `lines` int64[n, 2] are lines that both hold, by their places in each."""

    text: int
    change: str
    before: Passage
    after: Passage
    lines: Indices


def changed_pairs(texts: Sequence[str]) -> list[ChangedPair]:
    """Each text with each harmless change that it admits; texts that do not parse have none."""
    changes = harmless_changes()
    found = []
    for number, text in enumerate(texts):
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if syntax_tree(text) is None:
            continue
        before = passage_of(text)
        for change in changes:
            changed = change.apply(text)
            if changed is not None and changed != text:
                after = passage_of(changed)
                lines = _same_lines(before, after, keeps_lines=change.keeps_lines)
                found.append(ChangedPair(number, change.name, before, after, lines))
    return found


def measure_invariance(
    pairs: Sequence[ChangedPair], kinds: Sequence[str], columns: Sequence[Column], resamples: int
) -> dict[str, dict[str, Any]]:
    """How far log-odds move, by column, and there for all pairs, by kind of text, and by change.

    kinds: the kind of each text. "document_mean" and "document_p95" are the mean and 95th percentile of |change| of
    whole texts, "line_mean" and "line_p95" of their lines, each [estimate, low, high] over texts. Columns that give no
    level are left out.
    """
    rows = {"all": np.ones(len(pairs), dtype=np.bool_)}
    rows |= {kind: np.array([kinds[pair.text] == kind for pair in pairs]) for kind in sorted(set(kinds))}
    rows |= {
        name: np.array([pair.change == name for pair in pairs]) for name in dict.fromkeys(pair.change for pair in pairs)
    }
    found: dict[str, dict[str, Any]] = {}
    for column in columns:
        if column.is_level:
            documents, lines = _moves(pairs, column)
            found[column.name] = {
                row: _measures(
                    [pairs[n].text for n in chosen], documents[chosen], [lines[n] for n in chosen], resamples
                )
                for row, kept in rows.items()
                if (chosen := np.flatnonzero(kept).tolist())
            }
    return found


def _moves(pairs: Sequence[ChangedPair], column: Column) -> tuple[Floats, list[Floats]]:
    """|change of log-odds| of each pair's text float64[pairs], and of each of its lines."""
    passages = {pair.text: pair.before for pair in pairs}
    before = dict(zip(passages, column.answers(list(passages.values())), strict=True))
    after = column.answers([pair.after for pair in pairs])
    documents = np.array(
        [abs(_logit(own.whole) - _logit(before[pair.text].whole)) for pair, own in zip(pairs, after, strict=True)]
    )
    lines = [
        np.abs(_logit(own.lines[pair.lines[:, 1]]) - _logit(before[pair.text].lines[pair.lines[:, 0]]))
        for pair, own in zip(pairs, after, strict=True)
    ]
    return documents, lines


def _measures(
    texts: Sequence[int], documents: Floats, lines: Sequence[Floats], resamples: int
) -> dict[str, list[float | None]]:
    """The measures of some pairs; a resample draws texts, each with all pairs that were made of it."""
    _, owners = np.unique(texts, return_inverse=True)
    by_text = [np.flatnonzero(owners == text).tolist() for text in range(owners.max() + 1)]
    whole = [documents[each] for each in by_text]
    parts = [np.concatenate([lines[pair] for pair in each]) for each in by_text]
    found = {}
    for name, values in (("document", whole), ("line", parts)):
        for kind, statistic in (("mean", np.mean), ("p95", partial(np.quantile, q=0.95))):
            found[f"{name}_{kind}"] = with_interval(len(by_text), partial(_pooled, values, statistic), resamples)
    return found


def _pooled(values: Sequence[Floats], statistic: Callable[[Floats], Any], drawn: Indices) -> float:
    """The statistic of the drawn texts' values together; NaN where they have none."""
    pooled = np.concatenate([values[text] for text in drawn])
    return float(statistic(pooled)) if len(pooled) else float("nan")


def _same_lines(before: Passage, after: Passage, *, keeps_lines: bool) -> Indices:
    """Places int64[n, 2] of the lines that both texts hold: all lines where the change keeps them and their number."""
    if keeps_lines and len(before.lines) == len(after.lines):
        return np.stack([np.arange(len(before.lines))] * 2, axis=1)
    contents = [[passage.text[start:end] for start, end in passage.lines.tolist()] for passage in (before, after)]
    return np.array(list(_matches(*contents)), dtype=np.int64).reshape(-1, 2)


def _matches(first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[int, int]]:
    for block in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks():
        yield from ((block.a + offset, block.b + offset) for offset in range(block.size))


def _logit(probabilities: Any) -> Any:
    clipped = np.clip(probabilities, _LEAST, 1.0 - _LEAST)
    return np.log(clipped) - np.log1p(-clipped)
