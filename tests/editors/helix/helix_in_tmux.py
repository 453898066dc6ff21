"""Helix, a client that counts in utf-8, with the settings in editors/helix. `run` beside this file runs it."""

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

STRANGE = [
    'greeting = "🙂🙂"  # two emoji',
    '漢字 = "値段は五円"',
    'cafe\u0301 = "e\u0301e\u0301"',
    "def total(items):",
    '    family = "😀" + 漢字 * 2',
]
STRIPPED = [line.strip() for line in STRANGE]
ACTION = r"Request a repair|Explain the risk|Ignore this line"
# Of a text this short there may be a percentage, or only a rank.
MESSAGE = r"\d(% likely to need an edit|[a-z]{2} of \d+ lines? to read)"


def started(home: Path, settings: str, file: str = "") -> Terminal:
    """A Helix set up as its README says, but for the settings of risk-lsp and other servers."""
    folder = home / ".config/helix"
    folder.mkdir(parents=True)
    languages = (ROOT / "editors/helix/languages.toml").read_text()
    (folder / "languages.toml").write_text(languages.replace("threshold = 0.3", settings).replace('"ty", "ruff", ', ""))
    (folder / "config.toml").write_text((ROOT / "editors/helix/config.toml").read_text())
    server = Path(os.environ["RISK_LSP"])
    environment = {
        "HOME": str(home),
        "PATH": f"{server.parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "OMP_NUM_THREADS": "1",
    }
    terminal = Terminal(
        CACHE / "tmux/tmux", home / "tmux", f"cd {home} && exec {CACHE}/helix/hx {file}", environment, (100, 30)
    )
    terminal.wait_for_text("NOR")
    return terminal


@pytest.fixture(scope="module")
def helix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    terminal = started(tmp_path_factory.mktemp("home"), "threshold = 0\ndebounce = 0.05")
    yield terminal
    terminal.close()


def open_file(helix: Terminal, path: Path, text: str) -> None:
    """Open a new file with exactly this text."""
    path.write_bytes(text.encode())
    helix.press("Escape", "Escape")
    helix.type(f":open {path}")
    helix.press("Enter")
    helix.wait_for_text(path.name)


def wait_for_underlined(helix: Terminal, texts: list[str]) -> None:
    helix.wait_for(f"underlines below {texts}", lambda: helix.underlined() == texts or None)


def test_diagnostics_show_a_probability_behind_the_line(helix: Terminal, tmp_path: Path) -> None:
    open_file(helix, tmp_path / "plain.py", "def f(a):\n    return a + 1\n")
    helix.wait_for_text(rf"return a \+ 1 .*{MESSAGE}")


@pytest.mark.parametrize("line_break", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_the_underline_is_below_exactly_the_text_of_a_line(helix: Terminal, tmp_path: Path, line_break: str) -> None:
    open_file(helix, tmp_path / f"strange{len(line_break)}.py", line_break.join([*STRANGE, ""]))
    wait_for_underlined(helix, STRIPPED)
    keep(helix, f"helix-{len(line_break)}")


def test_a_diagnostic_covers_exactly_the_text_of_a_line_with_a_form_feed(helix: Terminal, tmp_path: Path) -> None:
    # Helix sends form feeds to the terminal, which garbles the screen: what it selects is read instead.
    open_file(helix, tmp_path / "form_feed.py", '\n\f  a = "🙂\fy" + "\u2028z"  \nb = 2\n')
    selected = tmp_path / "selected"
    helix.wait_for("diagnostics", lambda: "b = 2" in helix.underlined())
    helix.type("gg]d")
    helix.type(f":pipe-to cat > {selected}")
    helix.press("Enter")
    helix.wait_for("the selection", lambda: selected.exists() and selected.read_text())
    assert selected.read_bytes().decode() == 'a = "🙂\fy" + "\u2028z"'


def test_after_an_edit_the_diagnostics_are_those_of_the_new_text(helix: Terminal, tmp_path: Path) -> None:
    open_file(helix, tmp_path / "edited.py", 'a = 1\nb = "🙂"\nc = 3\n')
    wait_for_underlined(helix, ["a = 1", 'b = "🙂"', "c = 3"])
    helix.type("ggxd")
    helix.type("f🙂a漢")
    helix.press("Escape")
    wait_for_underlined(helix, ['b = "🙂漢"', "c = 3"])


def test_hover_shows_a_probability(helix: Terminal, tmp_path: Path) -> None:
    open_file(helix, tmp_path / "hover.py", "def area(width, height):\n    return width * height\n")
    helix.wait_for_text(rf"return width \* height .*{MESSAGE}")
    helix.type("gg")
    helix.type(" k")
    helix.wait_for_text(r"(?s)Function .?area")
    keep(helix, "helix-hover")
    helix.press("Escape")


def test_a_line_is_ignored_by_a_code_action(helix: Terminal, tmp_path: Path) -> None:
    open_file(helix, tmp_path / "ignored.py", "a = 1\nb = 2\n")
    wait_for_underlined(helix, ["a = 1", "b = 2"])
    helix.type("gg")
    helix.type(" a")
    helix.wait_for_text(r"Ignore this line \(remember\)")
    keep(helix, "helix-actions")
    # The menu opens with its first row selected, and each Tab goes one down.
    rows = [row for row in helix.screen().splitlines() if re.search(ACTION, row)]
    above = next(count for count, row in enumerate(rows) if "Ignore this line (remember)" in row)
    helix.press(*["Tab"] * above, "Enter")
    wait_for_underlined(helix, ["b = 2"])


def test_only_the_likeliest_lines_are_pointed_at(tmp_path: Path) -> None:
    example = ROOT / "examples/interval_merging.py"
    found = likeliest(example)
    shutil.copy(example, tmp_path)
    helix = started(tmp_path, f"threshold = {found.threshold}", f"+{min(found.lines)} interval_merging.py")
    try:
        helix.wait_for_text(MESSAGE)
        assert 1 <= len(helix.underlined()) <= 8
        keep(helix, "helix", "Helix")
    finally:
        helix.close()
