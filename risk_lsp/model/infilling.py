"""What a code model would write: instead of a span of a text, or as the next token at a place of it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.host import Host

# The special tokens of a text rearranged as prefix, suffix, middle, as families of models name them.
_FAMILIES = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
)
_ENDS = ("<|endoftext|>", "</s>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>")
_PREFIX_SHARE = 0.6  # of the context, where a text is too long for it


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
        self._marks = next((found for family in _FAMILIES if (found := self._ids(family))), None)
        self._ends = {token for name in _ENDS if (token := self._tokenizer.token_id(name)) is not None}

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
        session = _Session(self._model.host, self._prompt(text, start, end, max_tokens))
        first = session.first()
        one_line = "\n" not in text[start:end]
        found: dict[str, float] = {}
        for token in np.argsort(-first)[:count]:
            ids, total = self._continued(session.fork(), int(token), float(first[token]), max_tokens, one_line=one_line)
            if ids is not None:
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
                tuple((self._tokenizer.decode([int(each)]), float(np.exp(row[each]))) for each in _likeliest(row, top)),
            )
            for token, row in zip(places, log_probabilities, strict=True)
        ]

    def _prompt(self, text: str, start: int, end: int, max_tokens: int) -> NDArray[np.int64]:
        assert self._marks is not None
        before, behind, middle = self._marks
        prefix = self._tokenizer.encode(text[:start]).token_ids
        suffix = self._tokenizer.encode(text[end:]).token_ids
        room = self._model.context - max_tokens - len(self._tokenizer.prefix) - len(self._marks)
        if len(prefix) + len(suffix) > room:
            kept = max(int(_PREFIX_SHARE * room), room - len(suffix))
            prefix = prefix[max(0, len(prefix) - kept) :]
            suffix = suffix[: room - len(prefix)]
        parts = (list(self._tokenizer.prefix), [before], prefix, [behind], suffix, [middle])
        return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])

    def _continued(
        self, session: _Session, token: int, total: float, max_tokens: int, *, one_line: bool
    ) -> tuple[list[int] | None, float]:
        """Greedy tokens behind a first one, None if the model finds no end, and their log-probability."""
        ids: list[int] = []
        while token not in self._ends and not (one_line and "\n" in self._tokenizer.decode([token])):
            ids.append(token)
            if len(ids) > max_tokens:
                return None, total
            row = session.next(token)
            token = int(row.argmax())
            total += float(row[token])
        return ids, total

    def _ids(self, names: Sequence[str]) -> tuple[int, ...] | None:
        ids = [self._tokenizer.token_id(name) for name in names]
        return tuple(token for token in ids if token is not None) if None not in ids else None


class _Session:
    """A sequence that grows token by token. Hosts that cannot go on from where they were run all of it again."""

    def __init__(self, host: Host, token_ids: NDArray[np.int64]) -> None:
        self._host: Any = host
        self._past = host.new_past() if hasattr(host, "new_past") else None
        self._tokens = token_ids
        self._first: NDArray[np.float32] | None = None

    def first(self) -> NDArray[np.float32]:
        """Log-probabilities of the token behind the prompt, float32[vocabulary]."""
        if self._first is None:
            self._first = self._row(self._tokens)
        return self._first

    def fork(self) -> _Session:
        """One that can go on by itself."""
        self.first()
        session = _Session.__new__(_Session)
        session._host, session._tokens, session._first = self._host, self._tokens, self._first
        session._past = None if self._past is None else [each.copy() for each in self._past]
        return session

    def next(self, token: int) -> NDArray[np.float32]:
        """Log-probabilities behind one more token."""
        added = np.array([token], dtype=np.int64)
        self._tokens = np.concatenate([self._tokens, added])
        return self._row(added)

    def _row(self, added: NDArray[np.int64]) -> NDArray[np.float32]:
        if self._past is None:
            (run,) = self._host.run([self._tokens], [], to_end=True)
        else:
            run = self._host.extend(added, self._past, [], to_end=True)
        row: NDArray[np.float32] = _log_softmax(self._host.logits(run.final[-1:]))[0]
        return row


def _log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    normalised: NDArray[Any] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def _likeliest(row: NDArray[Any], top: int) -> list[int]:
    return heapq.nlargest(top, range(len(row)), key=row.__getitem__)
