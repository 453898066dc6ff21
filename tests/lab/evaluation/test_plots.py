from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.reliability import plot_reliability, reliability_table


def test_a_diagram_is_a_png_large_enough_to_read(tmp_path: Path) -> None:
    rows = reliability_table([0.1, 0.4, 0.8], [0, 1, 1])
    plot_reliability({"raw": rows, "Platt": rows[:2]}, tmp_path / "lines.png", title="Lines")

    content = (tmp_path / "lines.png").read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    assert content.startswith(b"\x89PNG") and width >= 600 and height >= 600


def test_a_curve_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing to plot"):
        plot_reliability({"raw": []}, tmp_path / "empty.png", title="Lines")


def test_measuring_needs_no_matplotlib() -> None:
    modules = "from risk_lsp.lab.evaluation import pass_rates, reliability"
    code = f"import sys; {modules}; sys.exit('matplotlib' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
