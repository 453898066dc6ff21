"""What a code model writes, token by token drawn at random: reproducible, several texts at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.cores import stop_if_unwanted
from risk_lsp.model.host import Decoding
from risk_lsp.model.sources import Adapter
from risk_lsp.model.tokenizer import Encoding, TextTokenizer

_LOOKED_AT = 64  # likeliest tokens, where a text has to begin in a certain way
_TAIL = 4  # tokens of the prompt that are decoded with what follows: some tokenizers drop a text's first space


class Prompt(NamedTuple):
    """What is to be continued: int64[tokens], and once for each of `seeds`; for None by the likeliest tokens.

    over: where a text is over, as a length, or None where it goes on; asked after every token. The text is cut there.
    begins: what a text has to begin with; the likeliest tokens that do so are taken, else those of the text itself.
    then_a_word: whether no blank may follow that, if one of the likeliest tokens is a word.
    """

    token_ids: NDArray[np.int64]
    seeds: Sequence[int | None]
    max_tokens: int
    over: Callable[[str], int | None]
    begins: str = ""
    then_a_word: bool = False


@dataclass(frozen=True, eq=False)
class WrittenTokens:
    """What happened inside the model at the tokens of a text that it wrote: as Activations says of a text that is read.

    The spans are characters of the text that was written. `values`: float32[tokens, layers, width].
    """

    encoding: Encoding
    values: NDArray[np.float32]
    log_probabilities: NDArray[np.float32]
    entropies: NDArray[np.float32]


class Continuation(NamedTuple):
    """What the model wrote, its tokens with the one that ended it, and whether it was ended rather than cut short.

    written: of the tokens that hold a character of the text, where layers were asked for.
    """

    text: str
    tokens: int
    ended: bool
    written: WrittenTokens | None = None


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
    if not prompts:
        return []
    decoding = model.host.begin([prompt.token_ids for prompt in prompts])
    return continue_decoding(model, decoding, prompts, temperature=temperature, top_p=top_p)


class AdaptedModel:
    """A model with an adapter, which answers questions in the chat format that the adapter was trained with."""

    def __init__(self, model: CodeModel, adapter: Adapter) -> None:
        self._model = model.with_adapter(adapter)
        self._adapter = adapter

    def answer(
        self, question: str, *, max_tokens: int, temperature: float, seed: int, over: Callable[[str], int | None]
    ) -> tuple[Continuation, int]:
        """An answer, which `over` may end, and how many tokens were read for it.

        ModelError where a question leaves less than a fourth of the context to its answer; `max_tokens` may be more
        than what is left.
        """
        adapter, context = self._adapter, self._model.context
        asked = [*adapter.before, *self._model.encode(question).token_ids.tolist(), *adapter.after]
        room = context - len(asked)
        if room < context // 4:
            raise ModelError(
                f"a question of {len(asked)} tokens leaves no room to answer: "
                f"{self._model.name} reads {context} at a time",
                "move what is to be repaired into a smaller file",
            )
        prompt = Prompt(np.array(asked, dtype=np.int64), (seed,), min(max_tokens, room), over)
        ((found,),) = continuations(self._model, [prompt], temperature=temperature)
        return found, len(asked)


def continue_decoding(
    model: CodeModel,
    decoding: Decoding,
    prompts: Sequence[Prompt],
    *,
    temperature: float,
    top_p: float = 1.0,
    layers: Sequence[int] = (),
    on_line: Callable[[Continuation], None] | None = None,
) -> list[list[Continuation]]:
    """As `continuations`, from a decoding that has run these prompts, a row each, with the same `layers`.

    With layers, a text's last token is run, too, if it holds a character of the text: one step more. `on_line` sees the
    first text each time that a line of it is complete, and once it is over, after its last token was run.
    """
    written = [[_Text(model, prompt, seed, layers) for seed in prompt.seeds] for prompt in prompts]
    running = [(text, row) for row, texts in enumerate(written) for text in texts]
    first, lines = written[0][0], 0
    while running:
        stop_if_unwanted()
        logits = decoding.logits[[row for _, row in running]]
        allowed = np.stack([text.restrict(row) for (text, _), row in zip(running, logits, strict=True)])
        drawn = _draw_tokens(allowed, [text for text, _ in running], temperature, top_p)
        if layers:
            for (text, _), token, row in zip(running, drawn, logits, strict=True):
                text.note_statistics(row, token)
        going = [(text, row, token) for (text, row), token in zip(running, drawn, strict=True) if text.take(token)]
        if going:
            decoding.advance([row for _, row, _ in going], np.array([token for _, _, token in going]))
            for row, (text, _, _) in enumerate(going if layers else ()):
                text.note_residuals({layer: decoding.residuals[layer][row] for layer in layers})
        if on_line is not None and running[0][0] is first and (first.is_over or first.text.count("\n") > lines):
            lines = first.text.count("\n")
            on_line(first.result())
        running = [(text, row) for row, (text, _, _) in enumerate(going) if not text.is_over]
    return [[text.result() for text in texts] for texts in written]


class _Text:
    """One continuation as it grows."""

    def __init__(self, model: CodeModel, prompt: Prompt, seed: int | None, layers: Sequence[int]) -> None:
        self.random = None if seed is None else np.random.default_rng(seed)
        self._tokenizer: TextTokenizer = model.tokenizer
        self._ends = model.end_tokens
        self._prompt = prompt
        self._layers = layers
        self._width = model.width
        self._before = prompt.token_ids[-_TAIL:].tolist()
        self._skipped = len(self._tokenizer.decode(self._before))
        self._ids: list[int] = []
        self.text = ""
        self._reached: list[int] = []  # the text's length after each token
        self._statistics: list[tuple[float, float]] = []
        self._residuals: list[NDArray[np.float32]] = []
        self._ended = False
        self._length: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether no token follows."""
        return self._ended or self._length is not None or len(self._ids) >= self._prompt.max_tokens

    def restrict(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits, without the tokens that would have the text begin otherwise than it has to."""
        begins, word = self._prompt.begins, self._prompt.then_a_word
        if self.text.startswith(begins) and (len(self.text) > len(begins) or not word):
            return logits
        likeliest = np.argpartition(-logits, min(_LOOKED_AT, len(logits)) - 1)[:_LOOKED_AT].tolist()
        texts = {token: self._text_with(token) for token in likeliest}
        fitting = [token for token, text in texts.items() if len(text) > len(self.text) and self._fits(text)]
        if not fitting:
            stem = begins.removesuffix(" ") if word else begins
            missing = (stem if len(self.text) < len(stem) else begins)[len(self.text) :]
            if not missing:
                return logits
            fitting = self._tokenizer.encode(missing).token_ids[:1].tolist()
        allowed = np.full_like(logits, -np.inf)
        allowed[fitting] = logits[fitting]
        return allowed

    def _fits(self, text: str) -> bool:
        """Whether a text can begin so. Where a word has to follow, the last blank is left to it: tokens have one."""
        begins = self._prompt.begins
        if not self._prompt.then_a_word:
            return text.startswith(begins) or begins.startswith(text)
        follows = text[len(begins) : len(begins) + 1]
        is_word = text.startswith(begins) and bool(follows) and not follows.isspace()
        return is_word or begins.removesuffix(" ").startswith(text)

    def _text_with(self, *tokens: int) -> str:
        return self._tokenizer.decode([*self._before, *self._ids, *tokens])[self._skipped :]

    def take(self, token: int) -> bool:
        """Take one more token; whether it has to be run."""
        self._ids.append(token)
        if token in self._ends:
            self._ended = True
            return False
        before = len(self.text)
        self.text = self._text_with()
        self._reached.append(len(self.text))
        self._length = self._prompt.over(self.text)
        if not self.is_over:
            return True
        return bool(self._layers) and (self._length is None or self._length > before)

    def note_statistics(self, logits: NDArray[np.float32], token: int) -> None:
        """Keep the log-probability of the token that was drawn, and the entropy of what it was drawn from, in nats."""
        shifted = logits - logits.max()
        shares = np.exp(shifted)
        total = shares.sum()
        log_total = np.log(total)
        # H = -sum p log p with log p = z - log(sum exp z).
        self._statistics.append((float(shifted[token] - log_total), float(log_total - (shares @ shifted) / total)))

    def note_residuals(self, residuals: dict[int, NDArray[np.float32]]) -> None:
        """Keep the residual streams of the token that was run."""
        self._residuals.append(np.stack([residuals[layer] for layer in self._layers]))

    def result(self) -> Continuation:
        text = self.text[: self._length]
        ended = self._ended or self._length is not None
        if not self._layers:
            return Continuation(text, len(self._ids), ended, None)
        # A character that several tokens make up belongs to the last of them; to the others no character.
        ends = np.minimum.accumulate(np.array([*self._reached, len(text)])[::-1])[::-1][:-1]
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int32)
        count = min(int(np.searchsorted(starts, len(text))), len(self._residuals))
        encoding = Encoding(np.array(self._ids[:count], np.int32), starts[:count], ends[:count].astype(np.int32))
        statistics = np.array(self._statistics[:count], np.float32).reshape(-1, 2)
        values = np.array(self._residuals[:count], np.float32).reshape(-1, len(self._layers), self._width)
        written = WrittenTokens(encoding, values, statistics[:, 0], statistics[:, 1])
        return Continuation(text, len(self._ids), ended, written)


def _draw_tokens(logits: NDArray[Any], texts: Sequence[_Text], temperature: float, top_p: float) -> list[int]:
    """A token for each row of float32[rows, vocabulary], by each text's own random numbers."""
    if temperature == 0 or all(text.random is None for text in texts):
        return [int(row.argmax()) for row in logits]
    shares = np.exp((logits - logits.max(axis=1, keepdims=True)) / np.float32(temperature))
    return [
        int(row.argmax()) if text.random is None else _one_of(row, text.random.random(), top_p)
        for row, text in zip(shares, texts, strict=True)
    ]


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
