"""What CodeModel asks of whatever runs a decoder, and which of these runs a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from risk_lsp.errors import ModelError, needs_extra
from risk_lsp.model.decoders.decoder_shape import decoder_shape

if TYPE_CHECKING:
    from risk_lsp.model.sources import ModelFolder


@dataclass(frozen=True)
class Run:
    """Outcome of one forward pass over one sequence.

    `residuals[k]` is the residual stream after k blocks, float32[tokens, width]; `final` the normalised output of the
    last block, as `Host.statistics` and `Host.logits` of the same host take it, None if the run stopped before it.
    """

    residuals: dict[int, NDArray[Any]]
    final: Any


class Decoding(Protocol):
    """Texts that grow token by token: a row each.

    `logits` is float32[rows, vocabulary], of what follows each row so far; `residuals[k]` float32[rows, width], of the
    last token of each row, at the layers that were asked for. `runs` are those of the texts that it began with, in
    order; there are none where no layers were asked for.
    """

    logits: NDArray[Any]

    @property
    def residuals(self) -> dict[int, NDArray[Any]]: ...

    @property
    def runs(self) -> Sequence[Run]: ...

    def advance(self, rows: Sequence[int], token_ids: NDArray[Any]) -> None:
        """Go on with `rows` alone, in this order, each with one more token; one that is named twice goes on twice."""
        ...


class Host(Protocol):
    """A loaded decoder. Not for use from two threads at once."""

    device: str  # as torch names it
    dtype: str  # of the weights, such as "float32"
    layer_count: int  # blocks of the whole model
    top_layer: int  # blocks that were loaded
    width: int
    vocabulary_size: int
    context: int  # tokens the model can take at once
    has_head: bool  # whether the final norm and the output head were loaded: `statistics` and `logits` need them

    def run(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int], *, to_end: bool) -> list[Run]:
        """Run int64[tokens] each, up to the highest of `layers`, or up to the final norm if `to_end`."""
        ...

    def statistics(self, final: Any, targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Log-probability of each target and entropy of the distribution it was drawn from, in nats.

        Row i of `final` predicts `targets[i]`. Works in chunks, so that memory does not grow with rows x vocabulary.
        Raises ModelError if the model does not allow it.
        """
        ...

    def logits(self, final: Any) -> NDArray[Any]:
        """Next-token logits float32[rows, vocabulary] for rows of `final`. Raises ModelError as `statistics` does."""
        ...

    def begin(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int] = ()) -> Decoding:
        """Run int64[tokens] each, at least one, such that more can follow. Raises ModelError as `logits` does."""
        ...


# Larger models gain more from torch's kernels than they lose by its start-up.
MOST_BYTES_OF_NUMPY = 100_000_000
_MOST_ANGLES_OF_NUMPY = 1 << 24  # one for each position and each coordinate of a head is computed beforehand


NO_HEAD = "predicts_no_tokens"  # true in the config.json of a model whose upper blocks were cut off


def load_host(
    folder: ModelFolder, *, device: str, dtype: str, top_layer: int | None, threads: int | None = None
) -> Host:
    """Load a checked model folder or GGUF file. `device` and `dtype` are as for CodeModel.load. Raises ModelError.

    A model that predicts no tokens is loaded without a head.
    """
    from risk_lsp.model.sources import read_weights, weight_files  # the server knows hosts, and reads no weights

    if top_layer is None and folder.config.get(NO_HEAD):
        top_layer = int(folder.config["num_hidden_layers"])
    shape = decoder_shape(folder.config)
    if (
        shape is not None
        and folder.gguf is None
        and device in ("auto", "cpu")
        and dtype in ("auto", "float32")
        and shape.context * shape.head_width <= _MOST_ANGLES_OF_NUMPY
        and sum(file.stat().st_size for file in weight_files(folder)) <= MOST_BYTES_OF_NUMPY
    ):
        from risk_lsp.model.decoders.numpy_host import NumpyHost

        return NumpyHost(shape, read_weights(folder), folder.name, top_layer, threads)
    try:
        if shape is not None:
            from risk_lsp.model.decoders.torch_host import load_torch_host

            return load_torch_host(folder, shape, device=device, dtype=dtype, top_layer=top_layer, threads=threads)
        if folder.gguf is not None:
            raise ModelError(f"the settings of {folder.path} do not fit each other", "download or convert it again")
        from risk_lsp.model.decoders.transformers_host import load_transformers_host
    except ModuleNotFoundError as error:
        raise needs_extra(folder.name, error) from error
    return load_transformers_host(folder, device=device, dtype=dtype, top_layer=top_layer, threads=threads)
