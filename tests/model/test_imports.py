"""What the language server imports from this room costs it neither torch nor transformers."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = ["encoding", "windows", "activations", "fingerprints", "sources", "tokenizer"]
SERVED = ["worker_protocol", "worker_process", "supervisor", "worker"]


@pytest.mark.parametrize("module", [*LIGHT, *SERVED])
def test_the_module_imports_no_model_library(module: str) -> None:
    program = f"""
import sys
sys.path[:] = {sys.path!r}
import risk_lsp.model.{module}
print(*(name for name in ("torch", "transformers", "tokenizers", "huggingface_hub") if name in sys.modules))
"""

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout.split() == []
