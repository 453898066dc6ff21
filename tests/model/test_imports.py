"""What the language server imports of models and workers costs it neither torch nor transformers."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = ["model.sources", "model.tokenizer", "worker.messages", "worker.supervisor", "risk.engine_worker"]


@pytest.mark.parametrize("module", LIGHT)
def test_the_module_imports_no_model_library(module: str) -> None:
    program = f"""
import sys
sys.path[:] = {sys.path!r}
import risk_lsp.{module}
print(*(name for name in ("torch", "transformers", "tokenizers", "huggingface_hub") if name in sys.modules))
"""

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout.split() == []
