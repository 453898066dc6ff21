"""Which host runs a model: numpy for small plain decoders, transformers for everything else."""

from __future__ import annotations

from risk_lsp.model.host import Host
from risk_lsp.model.numpy_shape import decoder_shape
from risk_lsp.model.sources import ModelFolder, needs_extra


def load_host(
    folder: ModelFolder, *, device: str, dtype: str, top_layer: int | None, threads: int | None = None
) -> Host:
    """Load a checked model folder. `device` and `dtype` are as for CodeModel.load. Raises ModelError."""
    if device in ("auto", "cpu") and dtype in ("auto", "float32"):
        shape = decoder_shape(folder)
        if shape is not None:
            from risk_lsp.model.numpy_host import NumpyHost
            from risk_lsp.model.weights import read_weights

            return NumpyHost(shape, read_weights(folder), folder.name, top_layer, threads)
    try:
        from risk_lsp.model.transformers_host import load_transformers_host
    except ModuleNotFoundError as error:
        raise needs_extra(folder.name, error) from error
    return load_transformers_host(folder, device=device, dtype=dtype, top_layer=top_layer, threads=threads)
