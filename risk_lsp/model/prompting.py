"""What a model is asked to continue or to fill in: the text around a place, run with a memory of earlier ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.code_model import Activations, CodeModel
from risk_lsp.model.host import Decoding
from risk_lsp.model.tokenizer import Encoding, TextTokenizer
from risk_lsp.model.window_memory import Past
from risk_lsp.model.window_runs import ResumableHost, plan_windows
from risk_lsp.text.structure import statement_starts

# The special tokens of a text rearranged as prefix, suffix, middle, as families of models name them.
_FAMILIES = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
)
_CHARACTERS_A_TOKEN = 8  # as many as code has at most, with few exceptions
_FRAGMENT = 8_000  # characters: a fragment begins at a multiple of these, so that typing does not move its start


class FillMarks(NamedTuple):
    """The special tokens before a text's beginning, before its end, and before what is to be filled in between."""

    before: int
    behind: int
    middle: int

    @classmethod
    def of(cls, tokenizer: TextTokenizer) -> FillMarks | None:
        """Those of a tokenizer; None where it has none."""
        for family in _FAMILIES:
            ids = [tokenizer.token_id(name) for name in family]
            if None not in ids:
                return cls(*(token for token in ids if token is not None))
        return None

    def arrange(self, prefix: Sequence[int], before: Any, behind: Any) -> NDArray[np.int64]:
        """int64[tokens]: `prefix`, then the tokens before and behind the middle, each behind its mark."""
        parts = (prefix, [self.before], before, [self.behind], behind, [self.middle])
        return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])


class Surroundings(NamedTuple):
    """The tokens around a place, as a prompt int64[n]; `before` and `behind` have spans in the document.

    `first_before` and `first_behind` are their first tokens in the prompt.
    """

    token_ids: NDArray[np.int64]
    before: Encoding
    first_before: int
    behind: Encoding
    first_behind: int


def surroundings(
    model: CodeModel, text: str, start: int, end: int, language_id: str, *, most_before: int, most_behind: int
) -> Surroundings:
    """What a model reads to write in the place of the characters [start, end): at most so many tokens on each side.

    Both sides are cut where statements start, if there are any. The start stays where it is while somebody types. A
    model that cannot fill in reads what is before alone; so does any where nothing follows.
    """
    marks = FillMarks.of(model.tokenizer) if text[end:].strip() else None
    prefix = list(model.tokenizer.prefix)
    # Where to begin so that enough is before `place`: at the start of a line.
    most = max(_FRAGMENT, _CHARACTERS_A_TOKEN * most_before)
    earliest = (start - most) // _FRAGMENT * _FRAGMENT
    first = 0 if earliest <= 0 else text.find("\n", earliest, start) + 1 or earliest
    before = model.encode(text[first:start])
    boundaries = before.tokens_at(statement_starts(text[first:start], language_id)).tolist()
    windows = plan_windows(before.token_ids, most_before, boundaries)
    before = _move_tokens(before, slice(windows[-1].start, None) if windows else slice(0), first)
    if marks is None:
        nothing = model.encode("")
        return Surroundings(
            np.array([*prefix, *before.token_ids], dtype=np.int64), before, len(prefix), nothing, len(prefix)
        )
    last = end + _CHARACTERS_A_TOKEN * most_behind
    behind = model.encode(text[end:last])
    if len(behind) > most_behind:
        cuts = behind.tokens_at(statement_starts(text[end:last], language_id))
        behind = _move_tokens(
            behind, slice(max([cut for cut in cuts.tolist() if 0 < cut <= most_behind] or [most_behind])), 0
        )
    behind = _move_tokens(behind, slice(None), end)
    token_ids = marks.arrange(prefix, before.token_ids, behind.token_ids)
    return Surroundings(token_ids, before, len(prefix) + 1, behind, len(prefix) + len(before) + 2)


def _move_tokens(encoding: Encoding, tokens: slice, by: int) -> Encoding:
    return Encoding(encoding.token_ids[tokens], encoding.starts[tokens] + by, encoding.ends[tokens] + by)


_AT_ONCE = 128  # tokens between two looks at whether anybody still waits; a block is looked at, too
_KEPT = 2  # prompts: of the place where somebody writes, and of the one before


@dataclass(frozen=True, eq=False)
class PromptRun:
    """A prompt that was run: int64[n], float32[n, width] by layer, and the normalised outputs as Run has them.

    `statistics`, float32[2, n]: log-probability and entropy of each token, NaN until somebody asks.
    """

    token_ids: NDArray[np.int64]
    residuals: dict[int, NDArray[Any]]
    final: Any
    past: Past | None
    statistics: NDArray[np.float32]

    def shared_with(self, token_ids: NDArray[np.int64]) -> int:
        """How many first tokens are the same."""
        length = min(len(self.token_ids), len(token_ids))
        differ = np.flatnonzero(self.token_ids[:length] != token_ids[:length])
        return int(differ[0]) if len(differ) else length


class PromptReader:
    """Runs prompts at the same layers each time, and of each only what the prompts before it do not share."""

    def __init__(self, model: CodeModel, layers: Sequence[int]) -> None:
        self._model = model
        self._layers = tuple(layers)
        self._known: deque[PromptRun] = deque(maxlen=_KEPT)

    def begin(self, token_ids: NDArray[np.int64]) -> tuple[PromptRun, Decoding]:
        """The run of a prompt of at least one token, and what can be gone on from. Raises ModelError as Host.begin."""
        host: Any = self._model.host
        if not getattr(host, "can_go_on", False):
            decoding: Decoding = host.begin([token_ids], self._layers)
            (run,) = decoding.runs
            return PromptRun(token_ids, run.residuals, run.final, None, _not_known(token_ids)), decoding
        return self._begin_behind(host, token_ids)

    def _begin_behind(self, host: ResumableHost, token_ids: NDArray[np.int64]) -> tuple[PromptRun, Decoding]:
        before = max(self._known, key=lambda known: known.shared_with(token_ids), default=None)
        # At least one token is run, or there would be nothing to go on from.
        shared = 0 if before is None else min(before.shared_with(token_ids), len(token_ids) - 1)
        past = host.new_past() if before is None or before.past is None else before.past.first(shared)
        runs = [
            run
            for first in range(shared, len(token_ids) - _AT_ONCE, _AT_ONCE)
            for run in host.extend([token_ids[first : first + _AT_ONCE]], [past], self._layers, to_end=True)
        ]
        done = shared + _AT_ONCE * len(runs)
        decoding = host.begin_behind(token_ids[done:], past, self._layers)
        runs += decoding.runs
        final = runs[0].final
        residuals = {layer: [run.residuals[layer] for run in runs] for layer in self._layers}
        if before is not None and shared:
            final = host.join(before.final[:shared], final)
            residuals = {layer: [before.residuals[layer][:shared], *parts] for layer, parts in residuals.items()}
        for run in runs[1:]:
            final = host.join(final, run.final)
        joined = {layer: np.concatenate(parts) for layer, parts in residuals.items()}
        found = PromptRun(token_ids, joined, final, past, _not_known(token_ids))
        if before is not None:
            found.statistics[:, :shared] = before.statistics[:, :shared]
        if before is not None and 2 * shared >= len(before.token_ids):
            self._known.remove(before)
        self._known.append(found)
        return found, decoding

    def activations(self, run: PromptRun, tokens: slice, encoding: Encoding, *, statistics: bool) -> Activations:
        """What happened at some of the prompt's tokens, which `encoding` says the spans of."""
        values = np.stack([run.residuals[layer][tokens] for layer in self._layers], axis=1)
        if not statistics:
            return Activations(encoding, self._layers, values)
        missing = tokens.start + np.flatnonzero(np.isnan(run.statistics[0, tokens]))
        if len(missing):
            asked = slice(int(missing[0]), int(missing[-1]) + 1)
            targets = run.token_ids[asked]
            run.statistics[:, asked] = self._model.host.statistics(run.final[asked.start - 1 : asked.stop - 1], targets)
        return Activations(encoding, self._layers, values, *run.statistics[:, tokens])


def _not_known(token_ids: NDArray[np.int64]) -> NDArray[np.float32]:
    statistics = np.full((2, len(token_ids)), np.nan, np.float32)
    statistics[:, :1] = 0.0  # nothing predicts the first
    return statistics
