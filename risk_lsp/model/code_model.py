"""A causal code model: a text in, cut into overlapping windows; what happens inside the model at each token out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError
from risk_lsp.model.host import Host, Run, load_host
from risk_lsp.model.sources import Adapter, ModelFolder, hash_weights, locate_model
from risk_lsp.model.tokenizer import Encoding, TextTokenizer, gguf_tokenizer, load_tokenizer
from risk_lsp.model.window_memory import WindowMemory, WindowRows
from risk_lsp.model.window_runs import Window, WindowReading, kept_statistics, plan_windows

if TYPE_CHECKING:
    from risk_lsp.model.decoders.vllm_host import VllmAddress

# Enough to keep the device busy, and every core of it until near the end; more costs memory.
_TOKENS_PER_CPU_BATCH = 8192
_TOKENS_PER_GPU_BATCH = 16384
# The programs that probes are fitted to are shorter: of 4,564, one was longer. An edit of a line in a 2,000-line file
# has the model run 780 tokens on average; with windows twice as long, 1,500.
_LONGEST_WINDOW = 1024
_ENDS = (
    *("<|endoftext|>", "</s>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<eos>", "<｜end▁of▁sentence｜>"),
    *("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>"),
    *("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>", "<file_sep>"),
)


@dataclass(frozen=True, eq=False)
class Activations:
    """The residual stream at the tapped layers, and on request the model's own uncertainty, per token.

    `values` is float32[n, len(layers), width]; layer k is the residual stream after k decoder blocks (0: the input of
    the first block), before any final norm. `log_probabilities[i]` is log p(token i | the tokens before it) and
    `entropies[i]` the entropy of that same distribution, both float32[n] in nats, or None when not asked for. The
    first token of a text has 0.0 in both if the model has nothing before it (no beginning-of-text token).
    """

    encoding: Encoding
    layers: tuple[int, ...]
    values: NDArray[np.float32]
    log_probabilities: NDArray[np.float32] | None = None
    entropies: NDArray[np.float32] | None = None

    @property
    def is_certain(self) -> NDArray[np.bool_]:
        """bool[n]: all are."""
        return np.ones(len(self.encoding), dtype=np.bool_)

    def rows(self, tokens: slice) -> Activations:
        """Those tokens alone, in arrays that share their memory with these."""
        encoding = Encoding(self.encoding.token_ids[tokens], self.encoding.starts[tokens], self.encoding.ends[tokens])
        log_probabilities = None if self.log_probabilities is None else self.log_probabilities[tokens]
        entropies = None if self.entropies is None else self.entropies[tokens]
        return Activations(encoding, self.layers, self.values[tokens], log_probabilities, entropies)

    def origin(self, tokens: slice) -> None:
        """Nothing tells these rows from others but their numbers."""

    def some(self, tokens: NDArray[np.integer]) -> Activations:
        """Those tokens alone, given by rising indices, in arrays of their own."""
        log_probabilities = None if self.log_probabilities is None else self.log_probabilities[tokens]
        entropies = None if self.entropies is None else self.entropies[tokens]
        return Activations(self.encoding.some(tokens), self.layers, self.values[tokens], log_probabilities, entropies)

    @classmethod
    def join(cls, parts: Sequence[Activations]) -> Activations:
        """The tokens of stretches of one text, in order, at the same layers and all with statistics or all without."""
        encodings = [part.encoding for part in parts]
        encoding = Encoding(
            np.concatenate([each.token_ids for each in encodings]),
            np.concatenate([each.starts for each in encodings]),
            np.concatenate([each.ends for each in encodings]),
        )
        log_probabilities = [part.log_probabilities for part in parts if part.log_probabilities is not None]
        entropies = [part.entropies for part in parts if part.entropies is not None]
        return cls(
            encoding,
            parts[0].layers,
            np.concatenate([part.values for part in parts]),
            np.concatenate(log_probabilities) if log_probabilities else None,
            np.concatenate(entropies) if entropies else None,
        )


def empty_activations(encoding: Encoding, layers: tuple[int, ...], width: int, *, statistics: bool) -> Activations:
    """Those of tokens of which nothing is known yet: 0 everywhere."""
    count = len(encoding)
    log_probabilities, entropies = (np.zeros(count, dtype=np.float32) if statistics else None for _ in range(2))
    values = np.zeros((count, len(layers), width), dtype=np.float32)
    return Activations(encoding, layers, values, log_probabilities, entropies)


class _Stretch(NamedTuple):
    """Neighbouring tokens [first, last) of a KnownText's `encoding`, and their rows.

    origin: what tells these tokens and all that stands before them in their window from all others; None if they were
    run, or are yet to be, as part of an unfinished window.
    """

    first: int
    last: int
    rows: WindowRows
    origin: Hashable


class KnownTokens:
    """Those tokens of a text of which rows are known: `encoding`; to float16.

    `is_certain`, bool[tokens], is off where the rows are those of the same tokens in an earlier version of the text.
    """

    def __init__(
        self, text: Encoding, layers: tuple[int, ...], width: int, windows: Sequence[Window], reading: WindowReading
    ) -> None:
        self._layers, self._width, self._statistics = layers, width, reading.statistics
        self._stretches: list[_Stretch] = []
        found: list[NDArray[np.intp]] = []
        certain: list[NDArray[np.bool_]] = []
        count = 0
        for window, key, known, outdated, read in zip(
            windows,
            reading.keys,
            reading.rows,
            reading.outdated,
            map(reading.is_read, range(len(windows))),
            strict=True,
        ):
            size = 0 if known is None else len(known.values)
            left = window.end - window.keep - size
            later = (
                None if outdated is None or not left else outdated.some(slice(-min(left, len(outdated.values)), None))
            )
            for rows, is_certain in ((known, True), (later, False)):
                if rows is None or not len(rows.values):
                    continue
                first = window.keep if is_certain else window.end - len(rows.values)
                found.append(np.arange(first, first + len(rows.values)))
                certain.append(np.full(len(rows.values), is_certain))
                self._stretches.append(_Stretch(count, count + len(rows.values), rows, key if read else None))
                count += len(rows.values)
        self.encoding = text if count == len(text) else text.some(np.concatenate([np.zeros(0, np.intp), *found]))
        self.is_certain = np.concatenate([np.zeros(0, np.bool_), *certain])
        self._firsts = [each.first for each in self._stretches]

    def rows(self, tokens: slice = slice(None)) -> Activations:
        """Those of some tokens, which are given from start to stop."""
        start, stop, _ = tokens.indices(len(self.encoding))
        found = empty_activations(
            self.encoding.some(np.arange(start, stop)), self._layers, self._width, statistics=self._statistics
        )
        for each in self._within(start, stop):
            first, last = max(start, each.first), min(stop, each.last)
            here, rows = (
                slice(first - start, last - start),
                each.rows.some(slice(first - each.first, last - each.first)),
            )
            found.values[here] = rows.values
            if found.log_probabilities is not None and found.entropies is not None:
                found.log_probabilities[here], found.entropies[here] = rows.log_probabilities, rows.entropies
        return found

    def origin(self, tokens: slice) -> Hashable:
        """What tells the rows of some tokens, given from start to stop, from all others; None if nothing does yet."""
        start, stop, _ = tokens.indices(len(self.encoding))
        stretches = self._within(start, stop)
        if any(each.origin is None for each in stretches):
            return None
        return tuple(
            (each.origin, max(start, each.first) - each.first, min(stop, each.last) - each.first) for each in stretches
        )

    def _within(self, start: int, stop: int) -> Sequence[_Stretch]:
        if start >= stop:
            return ()
        return self._stretches[bisect_right(self._firsts, start) - 1 : bisect_left(self._firsts, stop)]


class KnownText:
    """A text, given by its tokens, as far as it is known: `reading` reads what is missing."""

    def __init__(
        self, encoding: Encoding, layers: tuple[int, ...], width: int, windows: Sequence[Window], reading: WindowReading
    ) -> None:
        self.encoding = encoding
        self._layers, self._width = layers, width
        self._windows = windows
        self.reading = reading

    def read(self, on_part: Callable[[KnownTokens], None] = lambda _: None) -> KnownTokens:
        """Read what is missing. Where this is much, `on_part` sees the tokens that are known so far, a few times; the
        rows of those that are certain are those of the result.
        """
        self.reading.read(lambda: on_part(self.tokens()))
        return self.tokens()

    def tokens(self) -> KnownTokens:
        """Those that are known."""
        return KnownTokens(self.encoding, self._layers, self._width, self._windows, self.reading)


class _Piece(NamedTuple):
    """One window of one of the texts of a call."""

    text: int
    window: Window


class CodeModel:
    """A loaded model with its tokenizer. Not for use from two threads at once.

    `name` is the hub id, or the name of the folder or file; `revision` the hub commit, None for those two. `host` runs
    the decoder: on `device`, as torch names it, with weights in the number format `dtype`, such as "float32". `width`
    is that of the residual stream. The whole model has `layer_count` blocks (layers are 0 to this) and takes `context`
    tokens at once; `window` tokens are read at once, and a longer text is cut into windows. Both count a
    beginning-of-text token. `vocabulary_size` is the number of rows of the embedding table. `on_run` hears, while many
    texts are read, how many of their tokens have been, and how many there are.
    """

    def __init__(self, folder: ModelFolder, host: Host, tokenizer: TextTokenizer) -> None:
        self._folder = folder
        self.name, self.revision = folder.name, folder.revision
        self.host = host
        self.device, self.dtype = host.device, host.dtype
        self.width, self.layer_count, self.vocabulary_size = host.width, host.layer_count, host.vocabulary_size
        self.context = host.context
        self.window = min(host.context, _LONGEST_WINDOW)
        self.tokenizer = tokenizer
        self.on_run: Callable[[int, int], None] = lambda done, of: None

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        offline: bool = True,
        top_layer: int | None = None,
        threads: int | None = None,
    ) -> CodeModel:
        """Load a causal model from a folder, a GGUF file or by hub id; see `locate_model` for which is which.

        Only safetensors, GGUF and classes that transformers ships are loaded. Nothing is fetched unless `source` is a
        hub id and `offline` is off. `device` is "auto" or a torch device; `dtype` is "float32", "bfloat16", "float16"
        or "auto": bfloat16 where the device computes faster in it, else float16 for plain decoders on processors that
        compute in float32 with such weights, else float32. Small plain decoders run without torch where that is left
        open. With `top_layer` the blocks above it and the output head are not loaded, and token
        statistics are not available. `threads` sets how many cores the model may use. Raises ModelError.
        """
        folder = locate_model(source, revision=revision, offline=offline)
        tokenizer = load_tokenizer(folder.path, folder.name) if folder.gguf is None else gguf_tokenizer(folder.gguf)
        host = load_host(folder, device=device, dtype=dtype, top_layer=top_layer, threads=threads)
        return cls(folder, host, tokenizer)

    @classmethod
    def connect(
        cls,
        source: str | Path,
        layers: Sequence[int],
        vllm: VllmAddress,
        *,
        revision: str | None = None,
        offline: bool = True,
    ) -> CodeModel:
        """A model that a vLLM server runs, which gives `layers`. `source`, `revision`, `offline` are as for `load`.

        Tokenizer and settings are read here, and no weights. Raises ModelError.
        """
        from risk_lsp.model.decoders.vllm_host import VllmHost

        folder = locate_model(source, revision=revision, offline=offline)
        host = VllmHost(vllm, folder, layers)
        return cls(folder, host, load_tokenizer(folder.path, folder.name))

    def with_adapter(self, adapter: Adapter) -> CodeModel:
        """The whole model with an adapter on top, in memory of its own. Raises ModelError for one of another model."""
        adapter.require_base(self.weights_hash, self.name)
        host = load_host(self._folder, device=self.device, dtype=self.dtype, top_layer=None, adapter=adapter)
        return CodeModel(self._folder, host, self.tokenizer)

    @cached_property
    def weights_hash(self) -> str:
        """Hash of the GGUF file, or the safetensors files and config.json; reads them all the first time."""
        return hash_weights(self._folder.path)

    @property
    def tokenizer_hash(self) -> str:
        """Hash of tokenizer.json, or of the tokenizer in a GGUF file."""
        return self.tokenizer.fingerprint

    @cached_property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end what the model writes: those that its config names, and special ones by their usual names."""
        named = self._folder.config.get("eos_token_id")
        own = {token for token in (named if isinstance(named, list) else [named]) if isinstance(token, int)}
        return frozenset(own | {token for name in _ENDS if (token := self.tokenizer.token_id(name)) is not None})

    def encode(self, text: str) -> Encoding:
        """Tokens of `text` with the characters each stands for; no special tokens."""
        return self.tokenizer.encode(text)

    def read(
        self, encoding: Encoding, layers: Sequence[int], *, boundaries: Sequence[int] = (), statistics: bool = False
    ) -> Activations:
        """Run the model over one text; `boundaries` are the token indices at which statements start.

        Without `statistics` no block above the highest of `layers` runs, and no output head. Raises ModelError.
        """
        return self.read_many([encoding], layers, boundaries=[boundaries], statistics=statistics)[0]

    def read_many(
        self,
        encodings: Sequence[Encoding],
        layers: Sequence[int],
        *,
        boundaries: Sequence[Sequence[int]] | None = None,
        statistics: bool = False,
    ) -> list[Activations]:
        """Run the model over many texts, batching those of similar length. Same results as `read`, in the same order.

        All results are held in memory: texts x tokens x layers x width floats.
        """
        self._check(encodings, layers, statistics)
        results = [
            empty_activations(encoding, tuple(layers), self.width, statistics=statistics) for encoding in encodings
        ]
        pieces = [
            _Piece(index, window)
            for index, encoding in enumerate(encodings)
            for window in plan_windows(
                encoding.token_ids, self.window - len(self.tokenizer.prefix), boundaries[index] if boundaries else ()
            )
        ]
        tokens = _TOKENS_PER_CPU_BATCH if self.host.device == "cpu" else _TOKENS_PER_GPU_BATCH
        done, every = 0, sum(map(len, encodings))
        for batch in _batches(pieces, tokens):
            sequences = [self._sequence(piece, encodings) for piece in batch]
            runs = self.host.run(sequences, layers, to_end=statistics)
            for piece, sequence, run in zip(batch, sequences, runs, strict=True):
                self._store(results[piece.text], piece.window, sequence, run)
            done += sum(piece.window.end - piece.window.keep for piece in batch)
            self.on_run(done, every)
        return results

    def recall(
        self,
        encoding: Encoding,
        layers: Sequence[int],
        memory: WindowMemory,
        *,
        boundaries: Sequence[int] = (),
        statistics: bool = False,
        at: int = 0,
        until: int = 0,
    ) -> KnownText:
        """What `memory` holds of an earlier version of a text; what is missing can be read, to float16.

        boundaries, statistics: as for `read`. The surroundings of token `at` are read first; where an edit is read
        in steps, the first of them ends before token `until`. Raises ModelError.
        """
        self._check([encoding], layers, statistics)
        prefix = len(self.tokenizer.prefix)
        windows = plan_windows(encoding.token_ids, self.window - prefix, boundaries)
        sequences = [
            (self._sequence(_Piece(0, window), [encoding]), window.keep - window.start + prefix) for window in windows
        ]
        first = min(bisect_right(windows, at, key=lambda window: window.end), max(0, len(windows) - 1))
        reading = WindowReading(
            *(self.host, memory, tuple(layers), sequences),
            statistics=statistics,
            first=first,
            until=until - windows[first].start + prefix if windows else 0,
        )
        return KnownText(encoding, tuple(layers), self.width, windows, reading)

    def _check(self, encodings: Sequence[Encoding], layers: Sequence[int], statistics: bool) -> None:
        top = self.host.top_layer
        if wrong := [layer for layer in layers if not 0 <= layer <= top]:
            raise ModelError(f"layer {wrong[0]} of {self.name} is not there", f"the loaded layers are 0 to {top}")
        if statistics and not self.host.has_head:
            raise ModelError("token statistics need the whole model", "load it without a top layer")
        for encoding in encodings:
            if len(encoding) and int(encoding.token_ids.max()) >= self.vocabulary_size:
                raise ModelError(
                    f"the tokenizer of {self.name} has tokens its model does not know",
                    "tokenizer.json and the weights must belong to the same model",
                )

    def _sequence(self, piece: _Piece, encodings: Sequence[Encoding]) -> NDArray[np.int64]:
        """int64[tokens]: what the model expects before a text, and a window of it."""
        start, _, end = piece.window
        return np.concatenate([self.tokenizer.prefix, encodings[piece.text].token_ids[start:end]]).astype(np.int64)

    def _store(self, result: Activations, window: Window, sequence: NDArray[np.int64], run: Run) -> None:
        """Copy the kept rows of one piece into its text's result."""
        start, keep, end = window
        shift = len(self.tokenizer.prefix) - start
        for column, layer in enumerate(result.layers):
            result.values[keep:end, column] = run.residuals[layer][keep + shift : end + shift]
        if result.log_probabilities is not None and result.entropies is not None:
            result.log_probabilities[keep:end], result.entropies[keep:end] = kept_statistics(
                self.host, run.final, sequence, keep + shift
            )


def _batches(pieces: Sequence[_Piece], tokens: int) -> Iterator[list[_Piece]]:
    """Pieces in order of length, in batches of at most `tokens` (padding counted), or of one piece that is longer."""
    batch: list[_Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.window.end - piece.window.start):
        # Ascending order: the newest piece is the longest, which all others are padded to.
        if batch and (piece.window.end - piece.window.start) * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch
