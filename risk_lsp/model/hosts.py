"""Which host runs a model: numpy small plain decoders, torch larger ones, and transformers everything else."""

from __future__ import annotations

from risk_lsp.errors import ModelError, needs_extra
from risk_lsp.model.decoder_shape import decoder_shape
from risk_lsp.model.host import Host
from risk_lsp.model.sources import ModelFolder
from risk_lsp.model.weights import read_weights, weight_files

# Larger models gain more from torch's kernels than they lose by its start-up.
MOST_BYTES_OF_NUMPY = 100_000_000
_LONGEST_CONTEXT_OF_NUMPY = 1 << 17  # a row of angles for each position is computed beforehand


def load_host(
    folder: ModelFolder, *, device: str, dtype: str, top_layer: int | None, threads: int | None = None
) -> Host:
    """Load a checked model folder or GGUF file. `device` and `dtype` are as for CodeModel.load. Raises ModelError."""
    shape = decoder_shape(folder.config)
    if (
        shape is not None
        and folder.gguf is None
        and device in ("auto", "cpu")
        and dtype in ("auto", "float32")
        and shape.context <= _LONGEST_CONTEXT_OF_NUMPY
        and sum(file.stat().st_size for file in weight_files(folder)) <= MOST_BYTES_OF_NUMPY
    ):
        from risk_lsp.model.numpy_host import NumpyHost

        return NumpyHost(shape, read_weights(folder), folder.name, top_layer, threads)
    try:
        if shape is not None:
            from risk_lsp.model.torch_host import load_torch_host

            return load_torch_host(folder, shape, device=device, dtype=dtype, top_layer=top_layer, threads=threads)
        if folder.gguf is not None:
            raise ModelError(f"the settings of {folder.path} do not fit each other", "download or convert it again")
        from risk_lsp.model.transformers_host import load_transformers_host
    except ModuleNotFoundError as error:
        raise needs_extra(folder.name, error) from error
    return load_transformers_host(folder, device=device, dtype=dtype, top_layer=top_layer, threads=threads)
