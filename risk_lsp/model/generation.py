"""What a code model writes, token by token drawn at random: reproducible, several texts at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.tokenizer import TextTokenizer

_TAIL = 4  # tokens of the prompt that are decoded with what follows: some tokenizers drop a text's first space


class Prompt(NamedTuple):
    """What is to be continued: int64[tokens], and once for each of `seeds`.

    over: where a text is over, as a length, or None where it goes on; asked after every token. The text is cut there.
    """

    token_ids: NDArray[np.int64]
    seeds: Sequence[int]
    max_tokens: int
    over: Callable[[str], int | None]


class Continuation(NamedTuple):
    """What the model wrote, its tokens with the one that ended it, and whether it was ended rather than cut short."""

    text: str
    tokens: int
    ended: bool


def prompt_tokens(model: CodeModel, text: str, max_tokens: int) -> NDArray[np.int64]:
    """int64[tokens] of a text to be continued; of one that leaves no room in the context, the end.

    ModelError where `max_tokens` alone fill the context.
    """
    prefix = model.tokenizer.prefix
    room = model.context - max_tokens - len(prefix)
    if room < 1:
        raise ModelError(
            f"{model.name} reads {model.context} tokens at a time, which {max_tokens} new ones fill", "ask for fewer"
        )
    token_ids = model.encode(text).token_ids[-room:]
    return np.concatenate([prefix, token_ids]).astype(np.int64)


def continuations(
    model: CodeModel, prompts: Sequence[Prompt], *, temperature: float, top_p: float = 1.0
) -> list[list[Continuation]]:
    """For each prompt, a continuation per seed. The same prompts in one call give the same texts again.

    temperature 0 always takes the likeliest token. top_p: only the likeliest tokens that have this probability together
    are drawn (nucleus sampling, arXiv 1904.09751). ModelError for a model without its head, or a prompt of no tokens.
    """
    if not model.host.has_head:
        raise ModelError(f"{model.name} was loaded without what writes", "load it without a top layer")
    if any(not len(prompt.token_ids) for prompt in prompts):
        raise ModelError("there is nothing to continue", "give a prompt of one token or more")
    written = [[_Text(model, prompt, seed) for seed in prompt.seeds] for prompt in prompts]
    decoding = model.host.begin([prompt.token_ids for prompt in prompts]) if prompts else None
    running = [(text, row) for row, texts in enumerate(written) for text in texts]
    while decoding is not None and running:
        drawn = _drawn(decoding.logits[[row for _, row in running]], [text for text, _ in running], temperature, top_p)
        going = [
            (text, row, token) for (text, row), token in zip(running, drawn, strict=True) if text.goes_on_with(token)
        ]
        if going:
            decoding.advance([row for _, row, _ in going], np.array([token for _, _, token in going]))
        running = [(text, row) for row, (text, _, _) in enumerate(going)]
    return [[text.result() for text in texts] for texts in written]


class _Text:
    """One continuation as it grows."""

    def __init__(self, model: CodeModel, prompt: Prompt, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self._tokenizer: TextTokenizer = model.tokenizer
        self._ends = model.end_tokens
        self._prompt = prompt
        self._before = prompt.token_ids[-_TAIL:].tolist()
        self._skipped = len(self._tokenizer.decode(self._before))
        self._ids: list[int] = []
        self._ended = False
        self._length: int | None = None

    def goes_on_with(self, token: int) -> bool:
        """Take one more token; whether another may follow."""
        self._ids.append(token)
        if token in self._ends:
            self._ended = True
        else:
            self._length = self._prompt.over(self._text())
        return not self._ended and self._length is None and len(self._ids) < self._prompt.max_tokens

    def result(self) -> Continuation:
        return Continuation(self._text()[: self._length], len(self._ids), self._ended or self._length is not None)

    def _text(self) -> str:
        ids = self._ids[:-1] if self._ended else self._ids
        return self._tokenizer.decode([*self._before, *ids])[self._skipped :]


def _drawn(logits: NDArray[Any], texts: Sequence[_Text], temperature: float, top_p: float) -> list[int]:
    """A token for each row of float32[rows, vocabulary], by each text's own random numbers."""
    if temperature == 0:
        return [int(row.argmax()) for row in logits]
    shares = np.exp((logits - logits.max(axis=1, keepdims=True)) / np.float32(temperature))
    return [_one_of(row, text.random.random(), top_p) for row, text in zip(shares, texts, strict=True)]


def _one_of(shares: NDArray[np.float32], point: float, top_p: float) -> int:
    """The token at a point from 0 to 1 of the shares of the likeliest ones, which need not add up to 1."""
    if top_p == 1:
        sums = np.cumsum(shares, dtype=np.float64)
        return min(int(np.searchsorted(sums, point * sums[-1], side="right")), len(sums) - 1)
    total = shares.sum()
    # All tokens below this share together are less than what is left out: they need no sorting.
    tokens = np.flatnonzero(shares >= (1 - top_p) * total / len(shares))
    tokens = tokens[np.argsort(-shares[tokens], kind="stable")]
    sums = np.cumsum(shares[tokens], dtype=np.float64)
    kept = int(np.searchsorted(sums, top_p * total)) + 1
    sums = sums[:kept]
    return int(tokens[min(np.searchsorted(sums, point * sums[-1], side="right"), len(sums) - 1)])
