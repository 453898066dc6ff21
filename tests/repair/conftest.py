from __future__ import annotations

from pathlib import Path

import pytest

from risk_lsp.repair.model_questions import WorkerModel
from tests.repair.models import SUM, default_model


@pytest.fixture
def model() -> WorkerModel:
    return default_model()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with a package, whose module has a bug, doctests, and pytest tests."""
    root = tmp_path / "workspace"
    (root / "pkg").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "pkg" / "__init__.py").write_text("")
    (root / "pkg" / "sums.py").write_text(SUM)
    (root / "tests" / "test_sums.py").write_text(
        "from pkg.sums import add_all\n\n\ndef test_sum():\n    assert add_all([1, 2]) == 3\n"
    )
    (root / "tests" / "test_other.py").write_text("import json\n\n\ndef test_other():\n    assert json\n")
    return root
