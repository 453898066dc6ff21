"""A causal transformers model as a stack of decoder blocks: safe loading, and runs that stop where the taps end.

Texts grow in it token by token, from a cache of keys and values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from risk_lsp.errors import ModelError, first_line
from risk_lsp.model.cores import stop_if_unwanted
from risk_lsp.model.decoders.torch_weights import number_type, torch_device
from risk_lsp.model.host import WINDOWS_AT_ONCE, Run
from risk_lsp.model.sources import ModelFolder

_DEFAULT_CONTEXT = 2048

# With these what is kept of a token depends on how long the text became.
_ROTATIONS_BY_LENGTH = ("dynamic", "longrope")


class TransformersPast:
    """Keys and values of the first tokens of one text, in every block that ran."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self.cache = DynamicCache(config=config)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(each.nbytes for keys_values in self._kept_blocks() for each in keys_values)

    @property
    def length(self) -> int:
        """Tokens."""
        return int(self.cache.get_seq_length())

    def first(self, tokens: int) -> TransformersPast:
        """A copy for the first `tokens` tokens, which grows by itself."""
        cut = TransformersPast(self._config)
        for block, (keys, values) in enumerate(self._kept_blocks()):
            cut.cache.update(keys[..., :tokens, :], values[..., :tokens, :], block)
        return cut

    def _kept_blocks(self) -> list[tuple[Any, Any]]:
        """Keys and values [1, heads, tokens, width] of the blocks that ran, which are the first ones."""
        return [(layer.keys, layer.values) for layer in self.cache.layers if layer.is_initialized]


def can_be_gone_on_from(model: nn.Module) -> bool:
    """Whether all blocks keep the keys and values of every token, as they were when it was run.

    Sliding windows, states of recurrent blocks and rotations that follow the text's length cannot be cut back.
    """
    whole: Any = model.config
    config = whole.get_text_config()
    rotations = getattr(config, "rope_parameters", None) or {}
    if getattr(model, "_is_stateful", False) or rotations.get("rope_type") in _ROTATIONS_BY_LENGTH:
        return False
    layers = DynamicCache(config=config).layers
    return len(layers) > 0 and all(type(layer) is DynamicLayer for layer in layers)


# From int64[rows, tokens] and a cache: output and residual streams [rows, tokens, width], and the cache behind them.
GrowingRun: TypeAlias = "Callable[[NDArray[Any], Any], tuple[Tensor, dict[int, Tensor], Any]]"


class TransformersDecoding:
    """See Decoding in host.py. Rows that follow the same text run together; no text is padded."""

    def __init__(
        self, logits: Callable[[Tensor], Tensor], groups: Sequence[RowsOfOneText], layers: Sequence[int]
    ) -> None:
        self._logits_of = logits
        self._layers = layers
        self._places = [(group, 0) for group in groups]
        self.runs: list[Run] = []
        for group in groups if layers else ():
            residuals = {layer: each[0].numpy() for layer, each in group.residuals.items()}
            self.runs.append(Run(residuals, group.final[0]))
        self._take(groups, np.arange(len(groups)))

    def advance(self, rows: Sequence[int], token_ids: NDArray[Any]) -> None:
        """Go on with `rows`, each with one more token."""
        chosen = [self._places[row] for row in rows]
        groups = list(dict.fromkeys(group for group, _ in chosen))
        members = [[index for index, (group, _) in enumerate(chosen) if group is each] for each in groups]
        for group, own in zip(groups, members, strict=True):
            group.advance([chosen[index][1] for index in own], token_ids[own])
        order = np.argsort([index for own in members for index in own])
        together = [(group, place) for group, own in zip(groups, members, strict=True) for place in range(len(own))]
        self._places = [together[index] for index in order]
        self._take(groups, order)

    def _take(self, groups: Sequence[RowsOfOneText], order: NDArray[np.int64]) -> None:
        with torch.inference_mode():
            final = torch.cat([group.final[:, -1] for group in groups])
            self.logits = self._logits_of(final).cpu().numpy()[order]
        self.residuals = {
            layer: torch.cat([group.residuals[layer][:, -1] for group in groups]).numpy()[order]
            for layer in self._layers
        }


class RowsOfOneText:
    """Rows that follow one text: as many tokens in each. `final` and `residuals`: [rows, tokens, width], of the tokens
    that were run last.
    """

    def __init__(self, run: GrowingRun, sequence: NDArray[Any], cache: Any = None) -> None:
        self._run = run
        self.final, self.residuals, self._cache = run(sequence[None], cache)

    def advance(self, rows: Sequence[int], token_ids: NDArray[Any]) -> None:
        """Go on with `rows`, each with one more token."""
        with torch.inference_mode():
            self._cache.reorder_cache(torch.tensor(rows, device=self.final.device))
        self.final, self.residuals, self._cache = self._run(token_ids[:, None], self._cache)


_LOGITS_PER_CHUNK = 1 << 20  # 4 MiB of float32


def token_statistics(
    final: Tensor, targets: Tensor, logits: Callable[[Tensor], Tensor], vocabulary_size: int
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target and entropy of the distribution it was drawn from, in nats.

    `final` [rows, width] predicts `targets` int64[rows]; `logits` maps some rows to float32[rows, vocabulary]. Works in
    chunks of rows, so that memory does not grow with rows x vocabulary. Returns two float32[rows] on the CPU.
    """
    rows = max(1, _LOGITS_PER_CHUNK // vocabulary_size)
    log_probabilities = torch.empty(len(targets), dtype=torch.float32)
    entropies = torch.empty(len(targets), dtype=torch.float32)
    for first in range(0, len(targets), rows):
        part = slice(first, first + rows)
        distribution = torch.log_softmax(logits(final[part]), dim=-1)
        chosen = targets[part].to(distribution.device).unsqueeze(-1)
        log_probabilities[part] = distribution.gather(-1, chosen).squeeze(-1).cpu()
        entropies[part] = torch.special.entr(distribution.exp()).sum(dim=-1).cpu()
    return log_probabilities, entropies


class _TapsFilled(Exception):
    """Raised inside the forward pass when nothing above the current block is wanted."""


class TransformersHost:
    """The loaded model. Not for use from two threads at once."""

    windows_at_once = WINDOWS_AT_ONCE

    def __init__(self, model: Any, layer_count: int, device: torch.device) -> None:
        text_config = model.config.get_text_config()
        self._base: nn.Module = model.base_model
        self._model: nn.Module = model
        self._head: nn.Module | None = model.get_output_embeddings()
        lists = (each for each in self._base.modules() if isinstance(each, nn.ModuleList))
        blocks = next((each for each in lists if len(each) == text_config.num_hidden_layers), None)
        if blocks is None:
            name = type(self._base).__name__
            raise ModelError(f"no decoder blocks were found in {name}", "use a decoder-only causal model")
        self._blocks = blocks
        self._head_is_plain: bool | None = None
        self.has_head = self._head is not None
        self.can_go_on = can_be_gone_on_from(self._base)
        self.device = str(device)
        self.dtype = str(model.dtype).removeprefix("torch.")
        self.layer_count = layer_count
        self.top_layer = text_config.num_hidden_layers
        self.width = int(text_config.hidden_size)
        self.vocabulary_size = int(model.get_input_embeddings().weight.shape[0])
        self.context = int(getattr(text_config, "max_position_embeddings", None) or _DEFAULT_CONTEXT)

    @torch.inference_mode()
    def run(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int], *, to_end: bool) -> list[Run]:
        """Run int64[tokens] each, up to the highest of `layers`, or up to the final norm if `to_end`."""
        if not layers and not to_end:
            return [Run({}, None) for _ in sequences]
        residuals, final = self._forward(_pad(sequences), layers, to_end=to_end, use_cache=False)
        return [
            Run(
                {layer: residual[row, : len(sequence)].numpy() for layer, residual in residuals.items()},
                None if final is None else final[row, : len(sequence)],
            )
            for row, sequence in enumerate(sequences)
        ]

    def new_past(self) -> TransformersPast:
        """Room for what is kept of a run that starts at the first token."""
        return TransformersPast(self._base.config)

    @torch.inference_mode()
    def extend(
        self,
        sequences: Sequence[NDArray[Any]],
        pasts: Sequence[TransformersPast],
        layers: Sequence[int],
        *,
        to_end: bool,
    ) -> list[Run]:
        """Run the tokens that follow pasts, which grow by them; one text after the other, as lengths differ."""
        if not layers and not to_end:
            return [Run({}, None) for _ in sequences]
        runs = []
        for token_ids, past in zip(sequences, pasts, strict=True):
            found, final = self._forward(
                _pad([token_ids]), layers, to_end=to_end, use_cache=True, past_key_values=past.cache
            )
            residuals = {layer: each[0].numpy() for layer, each in found.items()}
            runs.append(Run(residuals, None if final is None else final[0]))
        return runs

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """Rows of `final` of two runs as those of one."""
        return torch.cat([first, second])

    def _forward(
        self, token_ids: Tensor, layers: Sequence[int], *, to_end: bool, **options: Any
    ) -> tuple[dict[int, Tensor], Tensor | None]:
        """Residual streams at `layers` and, `to_end`, the output: [sequences, tokens, width] each."""
        with _taps(self._blocks, layers, None if to_end else max(layers)) as residuals:
            try:
                output = self._base(input_ids=token_ids.to(self.device), **options)
                return residuals, output.last_hidden_state if to_end else None
            except _TapsFilled:
                return residuals, None

    def statistics(self, final: Tensor, targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Log-probability of each target and entropy of the distribution it was drawn from, in nats."""
        with torch.inference_mode():
            wanted = torch.from_numpy(targets.astype(np.int64))
            log_probabilities, entropies = token_statistics(final, wanted, self._logits, self.vocabulary_size)
        return log_probabilities.numpy(), entropies.numpy()

    def logits(self, final: Tensor) -> NDArray[Any]:
        """Next-token logits float32[rows, vocabulary] for rows of `final`."""
        with torch.inference_mode():
            return self._logits(final).cpu().numpy()

    def begin(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int] = ()) -> TransformersDecoding:
        """Run int64[tokens] each, at least one, such that more tokens can follow."""
        groups = [RowsOfOneText(self._growing(layers), sequence) for sequence in sequences]
        return TransformersDecoding(self._logits, groups, layers)

    def begin_behind(
        self, token_ids: NDArray[Any], past: TransformersPast, layers: Sequence[int]
    ) -> TransformersDecoding:
        """Run the tokens that follow `past`, which grows by them, such that more tokens can follow."""
        count = past.length + len(token_ids)
        group = RowsOfOneText(self._growing(layers), token_ids, past.cache)
        # What follows is added in place: `past` goes on with a copy.
        past.cache = past.first(count).cache
        return TransformersDecoding(self._logits, [group], layers)

    def _growing(self, layers: Sequence[int]) -> GrowingRun:
        """Runs [rows, tokens] behind a cache; gives the output, the residual streams at `layers`, and the cache."""

        def run(token_ids: NDArray[Any], cache: Any) -> tuple[Tensor, dict[int, Tensor], Any]:
            given = torch.from_numpy(token_ids.astype(np.int64)).to(self.device)
            with torch.inference_mode(), _taps(self._blocks, layers, None) as residuals:
                output = self._base(input_ids=given, past_key_values=cache, use_cache=True)
            cache = getattr(output, "past_key_values", None)
            if not hasattr(cache, "reorder_cache"):
                raise ModelError(
                    f"{type(self._base).__name__} keeps no keys and values that more tokens could follow",
                    "use a model of attention layers to write with",
                )
            return output.last_hidden_state, residuals, cache

        return run

    def _logits(self, final: Tensor) -> Tensor:
        if self._head is None:
            raise ModelError("token statistics need the whole model", "load it without a top layer")
        if self._head_is_plain is None:
            # Whether the model's own logits are what its head gives, with no scaling or soft cap behind it.
            assert self._head is not None
            token_ids = torch.arange(min(8, self.context), device=self.device).unsqueeze(0)
            own = self._model(input_ids=token_ids, use_cache=False).logits.float()
            ours = self._head(self._base(input_ids=token_ids, use_cache=False).last_hidden_state).float()
            self._head_is_plain = own.shape == ours.shape and torch.allclose(own, ours, rtol=1e-4, atol=1e-5)
        if not self._head_is_plain:
            raise ModelError(
                f"token statistics are not available for {type(self._model).__name__}, which rescales its logits",
                "use a probe that does without statistics",
            )
        rows: Tensor = self._head(final)
        return rows.float()


def _pad(sequences: Sequence[NDArray[Any]]) -> Tensor:
    """int64[sequences, tokens], padded on the right: attention is causal, so padding cannot reach what is before it."""
    token_ids = np.zeros((len(sequences), max(map(len, sequences), default=0)), dtype=np.int64)
    for row, sequence in zip(token_ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(token_ids)


@contextmanager
def _taps(blocks: nn.ModuleList, layers: Sequence[int], last: int | None) -> Iterator[dict[int, Tensor]]:
    """Fill a dictionary with the residual streams at `layers` during a forward pass; stop it after layer `last`, or
    before any layer once nobody waits for it."""
    residuals: dict[int, Tensor] = {}

    def record(layer: int, hidden: Tensor) -> None:
        if layer in layers:
            residuals[layer] = hidden.detach().to("cpu", torch.float32, copy=True)
        if layer == last:
            raise _TapsFilled

    def before_first(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        record(0, args[0] if args else kwargs["hidden_states"])

    def after(layer: int, _module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        record(layer, output[0] if isinstance(output, tuple) else output)

    wanted = sorted({*layers, *([] if last is None else [last])})
    handles = [
        blocks[0].register_forward_pre_hook(before_first, with_kwargs=True)
        if layer == 0
        else blocks[layer - 1].register_forward_hook(partial(after, layer))
        for layer in wanted
    ]
    handles += [block.register_forward_pre_hook(lambda *_: stop_if_unwanted()) for block in blocks]
    try:
        yield residuals
    finally:
        for handle in handles:
            handle.remove()


def load_transformers_host(
    folder: ModelFolder, *, device: str, dtype: str, top_layer: int | None, threads: int | None
) -> TransformersHost:
    """Load a checked model folder: native classes and safetensors only, nothing from the network.

    With `top_layer` only the blocks below it are loaded, and no output head. Raises ModelError.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    place = torch_device(device)
    kind = number_type(dtype, place)
    config, layer_count = _load_config(folder)
    if top_layer is not None:
        _keep_blocks(config.get_text_config(), layer_count, top_layer, folder.name)
    model_class = _model_class(config, folder.name, whole=top_layer is None)
    with _quiet():
        try:
            model, loading = model_class.from_pretrained(
                folder.path,
                config=config,
                dtype=kind,
                # Named here so that a config cannot ask for an attention kernel from the hub.
                attn_implementation="sdpa" if model_class._supports_sdpa else "eager",
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        except Exception as error:  # transformers and safetensors raise many types for a damaged folder
            raise ModelError(
                f"the model {folder.name} cannot be loaded: {first_line(error)}", "check or download its files again"
            ) from error
    if missing := sorted(loading["missing_keys"]):
        # transformers would fill these with random numbers and a warning.
        raise ModelError(
            f"the weights of {folder.name} lack {len(missing)} tensors, such as {missing[0]}",
            "config.json and the weights must belong to the same model",
        )
    return TransformersHost(model.to(place).eval(), layer_count, place)


def _load_config(folder: ModelFolder) -> tuple[Any, int]:
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    model_type = folder.config.get("model_type")
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        if "auto_map" in folder.config:
            raise ModelError(
                f"{folder.name} needs code that comes with the model, and such code is never run",
                "use a model that transformers supports by itself",
            )
        raise ModelError(
            f"{folder.name} is of the unknown type {model_type!r}", "use a causal model that transformers supports"
        )
    try:
        config = AutoConfig.from_pretrained(folder.path, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # config classes validate with errors of their own
        raise ModelError(
            f"config.json of {folder.name} is not valid: {first_line(error)}", "save or download it again"
        ) from error
    return config, int(config.get_text_config().num_hidden_layers)


def _keep_blocks(config: Any, layer_count: int, top_layer: int, name: str) -> None:
    """Shorten a config to the blocks below `top_layer` (at least one, whose input is layer 0)."""
    if not 0 <= top_layer <= layer_count:
        raise ModelError(f"{name} has no layer {top_layer}", f"its layers are 0 to {layer_count}")
    kept = max(top_layer, 1)
    per_layer = {key: value for key, value in vars(config).items() if isinstance(value, list)}
    config.num_hidden_layers = kept
    for key, value in per_layer.items():
        if len(value) == layer_count:
            setattr(config, key, value[:kept])


def _model_class(config: Any, name: str, *, whole: bool) -> Any:
    from transformers.models.auto import modeling_auto

    if type(config) not in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ModelError(f"{name} ({config.model_type}) is not a causal language model", "use a decoder-only model")
    mapping = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING if whole else modeling_auto.MODEL_MAPPING
    return mapping[type(config)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers' progress bars and loading report."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
