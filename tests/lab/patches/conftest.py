"""What a small build is told, and a sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.patches.building import write_inputs
from tests.sandbox.conftest import sandbox, shared_sandbox

__all__ = ["inputs", "sandbox", "shared_sandbox"]


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    """What a small build is told."""
    return write_inputs(tmp_path)
