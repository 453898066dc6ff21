"""`risk-lsp personal`, as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.personal.ledger import Kind, Ledger, acceptance, settlement
from risk_lsp.personal.line_fates import Fate


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The records of a person who keeps nearly everything: 40 regions of ten lines with a probability of 30%."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    made = Ledger(tmp_path / "risk-lsp" / "personal")
    for number in range(40):
        name = f"{number}"
        made.append(acceptance(name, 1e9, Kind("sha256:ab", "python"), ["0f"] * 10, [5] * 10, [0.3] * 10))
        made.append(settlement(name, 4e9, "close", [Fate.EDITED, Fate.DELETED, *[Fate.KEPT] * 8]))
    return made


def test_show_tells_how_many_lines_there_are_and_what_they_make_of_the_numbers(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["personal", "show"]) == 0
    out = capsys.readouterr().out
    assert "python: 400 lines of 40 regions (320 kept, 40 edited, 40 deleted)" in out
    assert "% where others have 30%" in out and "30% where others have 30%" not in out


def test_show_says_where_nothing_was_learnt_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert main(["personal", "show"]) == 0
    assert "Nothing is settled yet" in capsys.readouterr().out


def test_show_as_json_has_the_factor_of_the_odds(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["personal", "show", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accepted"] == 40 and found["off"] is False
    assert found["levels"][0]["lines"] == {"kept": 320, "edited": 40, "deleted": 40}
    assert 0.25 <= found["levels"][0]["odds"] < 1


def test_export_prints_every_record(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["personal", "export"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == list(ledger.records())


def test_reset_forgets_everything(ledger: Ledger) -> None:
    assert main(["personal", "reset"]) == 0
    assert list(ledger.records()) == []


@pytest.mark.parametrize(("word", "is_off"), [("off", True), ("on", False)])
def test_off_and_on_hold_for_every_editor(ledger: Ledger, word: str, is_off: bool) -> None:
    ledger.turn(on=is_off)
    assert main(["personal", word]) == 0
    assert ledger.is_off is is_off
