"""What a person sees in Neovim: the heat map in both styles, in the dark and in the light; a repair. See `run`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.artefacts import keep
from tests.editors.likeliest import likeliest
from tests.editors.terminal import Terminal

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache/editors"
EXAMPLE = ROOT / "examples/interval_merging.py"
SUITES = {"0.12": "forky", "0.10": "trixie"}

NUMBER = r"[<>]?\d+(?:%|st|nd|rd|th)"
BAR = re.compile(rf"[▁▃▅▇] +{NUMBER}")
BACKGROUND = re.compile(r"48;2;\d+;\d+;\d+")
INIT = """
vim.o.swapfile = false
vim.o.termguicolors = true
vim.o.background = '{background}'
vim.o.statusline = "%f %m%=%{{v:lua.require'risk_lsp'.status()}} "
vim.o.laststatus = 2
require('risk_lsp').setup({{
  settings = {{
    threshold = {threshold}, maxDiagnostics = 3, debounce = 0.1, repairSeconds = 600, inlineCompletion = {writes},
  }},
  heatmap = {{ style = 'text' }},
}})
vim.keymap.set('i', '<C-f>', '<Plug>(risk-lsp-accept)')
vim.keymap.set('i', '<C-d>', '<Plug>(risk-lsp-dismiss)')
vim.keymap.set('i', '<C-g>', function() vim.lsp.inline_completion.get() end)
"""
FAULTY = '''def digit_sum(number):
    """The sum of the digits of a number.

    >>> digit_sum(345)
    12
    """
    total = 0
    while number > 0:
        total += number % 10
        number = number / 10
    return total
'''
FAULTY_LINE = 10
BEGUN = 'def mean(values):\n    """The mean of some numbers."""\n    return sum(values)\n'


def start(
    home: Path, file: Path, version: str, background: str, size: tuple[int, int] = (100, 40), writes: bool = False
) -> Terminal:
    """A Neovim with the plugin as a package, on a copy of a file."""
    package = home / ".local/share/nvim/site/pack/risk/start/risk-lsp"
    shutil.copytree(ROOT / "editors/neovim", package)
    threshold = likeliest(file).threshold
    settings = INIT.format(background=background, threshold=threshold, writes=str(writes).lower())
    (home / "init.lua").write_text(settings)
    shutil.copy(file, home)
    server = Path(os.environ["RISK_LSP"])
    environment = {
        "HOME": str(home),
        "PATH": f"{server.parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "OMP_NUM_THREADS": "1",
    }
    command = f"cd {home} && exec {CACHE}/nvim-{SUITES[version]}/nvim -u init.lua -i NONE {file.name}"
    return Terminal(CACHE / "tmux/tmux", home / "tmux", command, environment, size)


@pytest.fixture(
    scope="module",
    params=[("0.12", "dark"), ("0.12", "light"), ("0.10", "dark")],
    ids=lambda pair: "-".join(pair),
)
def neovim(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Terminal]]:
    version, background = request.param
    terminal = start(tmp_path_factory.mktemp("home"), EXAMPLE, version, background)
    yield f"neovim-{version}-{background}", terminal
    terminal.close()


def has_tints(terminal: Terminal) -> bool:
    """Whether some line with a bar has a background that the first line, which is no code, has not."""
    escaped = terminal.escaped_screen().split("\n")
    with_bar = [row for row, shown in zip(escaped, terminal.screen().split("\n"), strict=False) if BAR.search(shown)]
    return not {found for row in with_bar for found in BACKGROUND.findall(row)} <= set(BACKGROUND.findall(escaped[0]))


def test_the_heat_map_is_at_the_right_of_risky_lines(neovim: tuple[str, Terminal]) -> None:
    name, terminal = neovim
    terminal.wait_for("the heat map", lambda: BAR.search(terminal.screen()))
    terminal.wait_for_text(f"risk {NUMBER}")
    columns = {len(line.rstrip()) for line in terminal.screen().split("\n") if BAR.search(line)}
    assert max(columns) <= 100
    keep(terminal, f"{name}-text")

    terminal.type(":RiskHeatmap line")
    terminal.press("Enter")
    terminal.wait_for("tinted lines", lambda: has_tints(terminal))
    keep(terminal, f"{name}-line", "Neovim")

    terminal.type("Vjj")
    terminal.wait_for_text(f"risk {NUMBER}")
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
    terminal.wait_for_text(f"risk {NUMBER}")
    assert beginnings() == before


def test_a_repair_is_asked_about_shown_as_a_diff_and_applied(tmp_path: Path) -> None:
    file = tmp_path / "digits.py"
    file.write_text(FAULTY, encoding="utf-8")
    (tmp_path / "home").mkdir()
    terminal = start(tmp_path / "home", file, "0.12", "light", (100, 30))
    try:
        terminal.wait_for("the heat map", lambda: BAR.search(terminal.screen()))
        terminal.type(f":{FAULTY_LINE}RiskRepair")
        terminal.press("Enter")
        terminal.wait_for_text("1: Run")
        terminal.type("1")
        terminal.press("Enter")
        terminal.wait_for_text(r"\+ +number = number // 10")
        terminal.wait_for_text("1: Apply")
        keep(terminal, "neovim-repair", "Neovim")
        assert re.search("number = number / 10", terminal.screen())
        terminal.type("1")
        terminal.press("Enter")
        terminal.wait_for(
            "the repair", lambda: "number // 10" in terminal.screen() and "Apply" not in terminal.screen()
        )
        terminal.type(":w")
        terminal.press("Enter")
        repaired, written = FAULTY.replace("number / 10", "number // 10"), tmp_path / "home/digits.py"
        terminal.wait_for("the file", lambda: written.read_text(encoding="utf-8") == repaired)
    finally:
        terminal.close()


@pytest.mark.parametrize("version", SUITES)
def test_what_the_model_would_write_is_shown_with_its_number_then_dropped_or_accepted(
    tmp_path: Path, version: str
) -> None:
    file = tmp_path / "mean.py"
    file.write_text(BEGUN, encoding="utf-8")
    (tmp_path / "home").mkdir()
    terminal = start(tmp_path / "home", file, version, "light", (90, 14), writes=True)
    words = f"lines? worth a look, {NUMBER}"
    try:
        terminal.wait_for_text(f"risk {NUMBER}")
        terminal.type("GA / ")
        terminal.wait_for_text(words)
        keep(terminal, f"neovim-{version}-writing", "Neovim")
        terminal.press("C-d")
        terminal.wait_for("nothing to be left", lambda: not re.search(words, terminal.screen()))
        assert terminal.screen().split("\n")[2][:40].rstrip() == "    return sum(values) /"

        terminal.press("BSpace", "Space")
        terminal.wait_for_text(words)
        terminal.press("C-f")
        terminal.press("Escape")
        terminal.type(":w")
        terminal.press("Enter")
        written = tmp_path / "home/mean.py"
        terminal.wait_for("the file", lambda: re.search(r"sum\(values\) / \S", written.read_text(encoding="utf-8")))
        terminal.type("K")
        terminal.wait_for_text("Written by")
        keep(terminal, f"neovim-{version}-written")
    finally:
        terminal.close()


def test_neovim_shows_and_takes_what_the_model_would_write_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "mean.py"
    file.write_text(BEGUN, encoding="utf-8")
    (tmp_path / "home").mkdir()
    terminal = start(tmp_path / "home", file, "0.12", "light", (90, 14), writes=True)
    try:
        terminal.wait_for_text(f"risk {NUMBER}")
        terminal.type(":lua vim.lsp.inline_completion.enable()")
        terminal.press("Enter")
        terminal.type("GA / ")
        terminal.wait_for_text(r"sum\(values\) / \w")
        assert "worth a look" not in terminal.screen(), "the plugin shows none beside it"
        terminal.press("C-g")
        terminal.press("Escape")
        terminal.type(":w")
        terminal.press("Enter")
        written = tmp_path / "home/mean.py"
        terminal.wait_for("the file", lambda: re.search(r"sum\(values\) / \S", written.read_text(encoding="utf-8")))
        terminal.type("K")
        terminal.wait_for_text("Written by")
    finally:
        terminal.close()
