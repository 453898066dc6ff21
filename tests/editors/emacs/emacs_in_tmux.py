"""What a person sees in Emacs, set up as its README says. `run` beside this file runs it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.artefacts import keep
from tests.editors.likeliest import likeliest
from tests.editors.terminal import Terminal

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache/editors"

INIT = """
(menu-bar-mode -1)
(setq inhibit-startup-screen t native-comp-jit-compilation nil)
(load "{package}")
(setq risk-lsp-settings '(:threshold {threshold} :maxDiagnostics 3))
(risk-lsp-setup)
(add-hook 'python-base-mode-hook #'eglot-ensure)
"""


@pytest.fixture
def emacs(tmp_path: Path) -> Iterator[Terminal]:
    example = ROOT / "examples/interval_merging.py"
    found = likeliest(example)
    init = tmp_path / "init.el"
    package = ROOT / "editors/emacs/risk-lsp.el"
    init.write_text(INIT.format(package=package, threshold=found.threshold), encoding="utf-8")
    shutil.copy(example, tmp_path)
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(os.environ['RISK_LSP']).parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "OMP_NUM_THREADS": "1",
    }
    command = f"cd {tmp_path} && exec {CACHE}/emacs/emacs -nw -Q -l {init} +{min(found.lines)} interval_merging.py"
    terminal = Terminal(CACHE / "tmux/tmux", tmp_path / "tmux", command, environment, (100, 40))
    yield terminal
    terminal.close()


def test_risky_lines_are_underlined_and_the_echo_area_tells_why(emacs: Terminal) -> None:
    lines = emacs.wait_for("underlines", emacs.underlined)
    assert all(line == line.strip() for line in lines)
    emacs.press("M-x")
    emacs.type("flymake-goto-next-error")
    emacs.press("Enter")
    emacs.wait_for_text(r"\d(% likely to need an edit|[a-z]{2} of \d+ lines? to read)")
    keep(emacs, "emacs", "Emacs")
