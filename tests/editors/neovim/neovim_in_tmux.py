"""What a person sees in Neovim: the heat map in both styles, in the dark and in the light. See `run`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.artefacts import keep
from tests.editors.terminal import Terminal

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache/editors"
EXAMPLE = ROOT / "examples/interval_merging.py"
SUITES = {"0.12": "forky", "0.10": "trixie"}

BAR = re.compile(r"[▁▃▅▇] +[<>]?\d+%")
INIT = """
vim.o.swapfile = false
vim.o.termguicolors = true
vim.o.background = '{background}'
vim.o.statusline = "%f %m%=%{{v:lua.require'risk_lsp'.status()}} "
vim.o.laststatus = 2
require('risk_lsp').setup({{ settings = {{ debounce = 0.1 }}, heatmap = {{ style = '{style}' }} }})
"""


@pytest.fixture(
    scope="module",
    params=[("0.12", "dark"), ("0.12", "light"), ("0.10", "dark")],
    ids=lambda pair: "-".join(pair),
)
def neovim(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Terminal]]:
    version, background = request.param
    home = tmp_path_factory.mktemp("home")
    package = home / ".local/share/nvim/site/pack/risk/start/risk-lsp"
    shutil.copytree(ROOT / "editors/neovim", package)
    (home / "init.lua").write_text(INIT.format(background=background, style="text"))
    shutil.copy(EXAMPLE, home)
    server = Path(os.environ["RISK_LSP"])
    environment = {
        "HOME": str(home),
        "PATH": f"{server.parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "OMP_NUM_THREADS": "1",
    }
    command = f"cd {home} && exec {CACHE}/nvim-{SUITES[version]}/nvim -u init.lua -i NONE interval_merging.py"
    terminal = Terminal(CACHE / "tmux/tmux", home / "tmux", command, environment, (100, 40))
    yield f"neovim-{version}-{background}", terminal
    terminal.close()


def test_the_heat_map_is_at_the_right_of_risky_lines(neovim: tuple[str, Terminal]) -> None:
    name, terminal = neovim
    terminal.wait_for("the heat map", lambda: BAR.search(terminal.screen()))
    terminal.wait_for_text(r"risk [<>]?\d+%")
    columns = {len(line.rstrip()) for line in terminal.screen().split("\n") if BAR.search(line)}
    assert max(columns) <= 100
    keep(terminal, f"{name}-text")

    terminal.type(":RiskHeatmap line")
    terminal.press("Enter")
    terminal.wait_for("tinted lines", lambda: "48;2" in terminal.escaped_screen().split("\n")[0] or None)
    keep(terminal, f"{name}-line", "Neovim")

    terminal.type("Vjj")
    terminal.wait_for_text(r"risk [<>]?\d+%")
    keep(terminal, f"{name}-selection")
    terminal.press("Escape")
    terminal.type("K")
    terminal.wait_for_text("(?i)document:")
    keep(terminal, f"{name}-hover")
    terminal.type("gg")  # and the hover goes


def test_the_text_does_not_move_while_typing(neovim: tuple[str, Terminal]) -> None:
    _, terminal = neovim
    terminal.wait_for("the heat map", lambda: BAR.search(terminal.screen()))
    before = [line[:4] for line in EXAMPLE.read_text("utf-8").split("\n")[:10]]

    def beginnings() -> list[str]:
        return [line[:4] for line in terminal.screen().split("\n")[:10]]

    terminal.wait_for("the text alone", lambda: beginnings() == before)
    terminal.type("ggOtmp = 1")
    terminal.wait_for("the new line", lambda: beginnings() == ["tmp ", *before[:9]])
    terminal.press("Escape")
    terminal.type("dd")
    terminal.wait_for("the old text", lambda: beginnings() == before)
    terminal.wait_for_text(r"risk [<>]?\d+%")
    assert beginnings() == before
