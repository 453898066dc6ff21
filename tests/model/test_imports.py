"""What the language server imports of models and workers costs it neither torch nor transformers."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = ["activations", "sources", "tokenizer"]
SERVED = ["messages", "process", "supervisor", "child"]


@pytest.mark.parametrize("module", [*(f"model.{name}" for name in LIGHT), *(f"worker.{name}" for name in SERVED)])
def test_the_module_imports_no_model_library(module: str) -> None:
    program = f"""
import sys
sys.path[:] = {sys.path!r}
import risk_lsp.{module}
print(*(name for name in ("torch", "transformers", "tokenizers", "huggingface_hub") if name in sys.modules))
"""

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout.split() == []
