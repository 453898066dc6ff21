"""Safe loading of a causal transformers model: native classes and safetensors only, nothing from the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from risk_lsp.errors import ModelError, first_line
from risk_lsp.model.decoders.torch_weights import number_type, torch_device
from risk_lsp.model.decoders.transformers_host import TransformersHost
from risk_lsp.model.sources import ModelFolder


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
