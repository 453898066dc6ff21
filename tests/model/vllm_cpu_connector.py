"""A connector for a vLLM without a GPU, loaded by it: the one that vLLM has copies by pinned memory and CUDA streams.

Everything but the copy is vLLM's own: `kv_connector_module_path` of its --kv-transfer-config names this module.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from vllm.distributed.kv_transfer.kv_connector.v1.example_hidden_states_connector import ExampleHiddenStatesConnector


class _Copied:
    """In the place of the event that tells when a copy from the GPU is there."""

    def query(self) -> bool:
        return True


class CpuHiddenStatesConnector(ExampleHiddenStatesConnector):  # type: ignore[misc]
    """Writes the hidden states of a finished request from memory, and then lets go of the file's lock."""

    def _submit_async_write(self, pending: Any) -> None:
        assert self._kv_cache is not None
        slots = torch.arange(len(pending.token_ids))
        blocks = torch.tensor(pending.block_ids)[slots // self._block_size]
        states = self._kv_cache[blocks, :, slots % self._block_size].contiguous()
        Path(pending.filename).parent.mkdir(parents=True, exist_ok=True)
        lock = self._lock_fds.pop(pending.req_id, None)
        try:
            save_file({"hidden_states": states, "token_ids": pending.token_ids.clone()}, pending.filename)
        finally:
            if lock is not None:
                os.close(lock)
        self._req_copy_events[pending.req_id] = _Copied()
