"""What a code model would write instead of a span, and how much it prefers variants of a text."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.host import Decoding
from risk_lsp.model.prompting import FillMarks

_PREFIX_SHARE = 0.6  # of the context, where a text is too long for it


# Tokens so far, the next one, the log-probability of all, and the row of the decoding that it follows.
_Running = tuple[list[int], int, float, int]


class Infill(NamedTuple):
    """A text that may stand in a span's place. log_probability: of all its tokens, in nats."""

    text: str
    log_probability: float


class Alternatives(NamedTuple):
    """One token of a text, its probability, and what the model expected most in its place, likeliest first."""

    start: int
    end: int
    probability: float
    expected: tuple[tuple[str, float], ...]


class Infiller:
    """Asks one model. Not for use from two threads at once."""

    def __init__(self, model: CodeModel) -> None:
        self._model = model
        self._tokenizer = model.tokenizer
        self._marks = FillMarks.of(self._tokenizer)
        self._ends = model.end_tokens

    @property
    def can_fill(self) -> bool:
        """Whether the model knows the special tokens for filling in the middle, and its head is loaded."""
        return self._marks is not None and self._model.host.has_head

    def fill(self, text: str, start: int, end: int, *, count: int, max_tokens: int) -> list[Infill]:
        """Up to `count` texts for [start, end), likeliest first; [] if the model cannot fill in.

        The `count` likeliest first tokens are each continued greedily, until the model ends the text or, where the
        span is part of one line, that line.
        """
        if self._marks is None or not self.can_fill:
            return []
        decoding = self._model.host.begin([self.prompt(text, start, end, max_tokens)])
        found: dict[str, float] = {}
        for ids, total in self._greedily(decoding, count, max_tokens, one_line="\n" not in text[start:end]):
            filled = self._tokenizer.decode(ids)
            found[filled] = max(found.get(filled, -np.inf), total)
        return sorted((Infill(*item) for item in found.items()), key=lambda fill: -fill.log_probability)

    def alternatives(self, text: str, start: int, end: int, top: int) -> list[Alternatives]:
        """For each token that overlaps [start, end): its probability and the `top` likeliest; [] without a head."""
        if not self._model.host.has_head:
            return []
        encoding = self._model.encode(text)
        inside = np.flatnonzero((encoding.starts < end) & (encoding.ends > start))
        if not len(inside):
            return []
        prefix = self._tokenizer.prefix
        room = self._model.context - len(prefix)
        last = int(inside[-1]) + 1
        first = max(0, last - room)
        sequence = np.concatenate([prefix, encoding.token_ids[first:last]]).astype(np.int64)
        (run,) = self._model.host.run([sequence], [], to_end=True)
        # The row of the token before predicts a token; nothing predicts the first one of a text without a prefix.
        places = [int(token) for token in inside if token - first + len(prefix) > 0]
        rows = [token - first + len(prefix) - 1 for token in places]
        log_probabilities = _log_softmax(self._model.host.logits(run.final[rows]))
        return [
            Alternatives(
                int(encoding.starts[token]),
                int(encoding.ends[token]),
                float(np.exp(row[encoding.token_ids[token]])),
                tuple(
                    (self._tokenizer.decode([int(each)]), float(np.exp(row[each])))
                    for each in heapq.nlargest(top, range(len(row)), key=row.__getitem__)
                ),
            )
            for token, row in zip(places, log_probabilities, strict=True)
        ]

    def prompt(self, text: str, start: int, end: int, max_tokens: int) -> NDArray[np.int64]:
        """int64[tokens]: the text around a span, rearranged and cut such that `max_tokens` can follow."""
        if self._marks is None:
            raise ModelError(f"{self._model.name} does not fill in", "ask `can_fill` first")
        prefix = self._tokenizer.encode(text[:start]).token_ids
        suffix = self._tokenizer.encode(text[end:]).token_ids
        room = self._model.context - max_tokens - len(self._tokenizer.prefix) - len(self._marks)
        if len(prefix) + len(suffix) > room:
            kept = max(int(_PREFIX_SHARE * room), room - len(suffix))
            prefix = prefix[max(0, len(prefix) - kept) :]
            suffix = suffix[: room - len(prefix)]
        return self._marks.arrange(self._tokenizer.prefix, prefix, suffix)

    def _greedily(
        self, decoding: Decoding, count: int, max_tokens: int, *, one_line: bool
    ) -> Iterator[tuple[list[int], float]]:
        """The likeliest first tokens, each continued greedily until the model finds an end; with log-probabilities."""
        first = _log_softmax(decoding.logits)[0]
        likeliest = np.argsort(-first)[:count]
        running: list[_Running] = [([], int(token), float(first[token]), 0) for token in likeliest]
        while running:
            going: list[_Running] = []
            for ids, token, total, row in running:
                if token in self._ends or (one_line and "\n" in self._tokenizer.decode([token])):
                    yield ids, total
                elif len(ids) < max_tokens:
                    going.append(([*ids, token], token, total, row))
            running = []
            if going:
                decoding.advance([row for *_, row in going], np.array([token for _, token, _, _ in going]))
                for row, (logs, (ids, _, total, _)) in enumerate(
                    zip(_log_softmax(decoding.logits), going, strict=True)
                ):
                    token = int(logs.argmax())
                    running.append((ids, token, total + float(logs[token]), row))


def _log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    normalised: NDArray[Any] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def preferences(model: CodeModel, text: str, variants: Sequence[str]) -> NDArray[np.float64]:
    """For each variant, log p(its first token that differs) - log p(the text's token there), in nats.

    0.0 where nothing is known: without an output head, at the first token, or for a variant that only ends earlier.
    """
    found = np.zeros(len(variants))
    token_ids = model.encode(text).token_ids.astype(np.int64)
    if not model.host.has_head or len(token_ids) < 2:
        return found
    rows = _log_probabilities(model, token_ids)
    for index, variant in enumerate(variants):
        other = model.encode(variant).token_ids
        shortest = min(len(token_ids), len(other))
        differ = np.flatnonzero(token_ids[:shortest] != other[:shortest])
        if len(differ) and differ[0] > 0:
            place = int(differ[0])
            found[index] = rows[place, other[place]] - rows[place, token_ids[place]]
    return found


def _log_probabilities(model: CodeModel, token_ids: NDArray[np.int64]) -> NDArray[np.float16]:
    """float16[tokens, vocabulary]: of every token at every place, given those before it in its window."""
    prefix = np.array(model.tokenizer.prefix, dtype=np.int64)
    room = model.context - len(prefix)
    found = np.zeros((len(token_ids), model.vocabulary_size), dtype=np.float16)
    step = max(1, room // 2)
    kept = 1
    for start in range(0, max(1, len(token_ids) - room + step), step):
        window = token_ids[start : start + room]
        (run,) = model.host.run([np.concatenate([prefix, window])], [], to_end=True)
        logits = model.host.logits(run.final[len(prefix) :])
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        end = min(start + len(window) + 1, len(token_ids))
        found[kept:end] = logits[kept - start - 1 : end - start - 1]
        kept = end
    return found
