"""What is written about accepted regions: no code, only added to, bounded, and safe with several writers."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from risk_lsp.errors import RiskError
from risk_lsp.personal.ledger import Kind, Ledger, acceptance, settled_regions, settlement
from risk_lsp.personal.line_fates import Fate

KIND = Kind("bundle", "python")
WRITER = """
import sys
from pathlib import Path
from risk_lsp.personal.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(200):
    ledger.append({"writer": sys.argv[2], "number": number, "padding": "x" * 500})
"""


def test_records_come_back_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "personal")
    for number in range(3):
        ledger.append({"number": number})
    assert [record["number"] for record in ledger.records()] == [0, 1, 2]


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "personal")
    ledger.append({})
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (ledger.folder, ledger.folder / "regions.jsonl")]
    assert modes == [0o700, 0o600]


def test_two_programs_may_write_at_once(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found = [(record["writer"], record["number"]) for record in Ledger(tmp_path).records()]
    assert [number for writer, number in found if writer == "a"] == list(range(200))
    assert len(found) == 400


def test_the_oldest_records_go_when_there_are_too_many(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, bytes_at_most=1_000)
    for number in range(500):
        ledger.append({"number": number})
    found = [record["number"] for record in ledger.records()]
    assert found == list(range(found[0], 500)) and found[0] > 0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2_100


def test_a_record_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append({"number": 1})
    with (tmp_path / "regions.jsonl").open("a") as file:
        file.write('{"number": 2, "li')
    ledger.append({"number": 3})
    assert [record["number"] for record in ledger.records()] == [1, 3]


@pytest.mark.parametrize("damage", [b"\xff\xfe\n", b"[1]\n", b"[" * 100_000 + b"\n", b'{"number": 1e999999}x\n'])
def test_damaged_records_are_left_out(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "regions.jsonl").write_bytes(damage)
    assert list(Ledger(tmp_path).records()) == []


def test_a_reset_forgets_everything_but_that_it_is_off(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "personal")
    ledger.append({})
    before = ledger.hasher()("x = 1")
    ledger.turn(on=False)
    ledger.reset()
    assert ledger.is_off and list(ledger.records()) == [] and ledger.hasher()("x = 1") != before


def test_hashes_of_one_folder_say_nothing_in_another(tmp_path: Path) -> None:
    one, other = Ledger(tmp_path / "a"), Ledger(tmp_path / "b")
    assert one.hasher()("x = 1") == Ledger(tmp_path / "a").hasher()("x = 1") != other.hasher()("x = 1")


@pytest.mark.skipif(os.getuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RiskError, match=f"{tmp_path}/personal cannot be written"):
        Ledger(tmp_path / "personal").append({})


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "personal").write_text("")
    with pytest.raises(RiskError, match="personal cannot be written"):
        Ledger(tmp_path / "personal").append({})


def test_a_region_comes_back_with_its_numbers_and_fates() -> None:
    records = [
        acceptance("r", 100.4, KIND, ["a1", "b2"], [3, 4], [0.25, 0.5]),
        settlement("r", 200.0, "close", [Fate.KEPT, Fate.DELETED]),
    ]
    (region,) = settled_regions(json.loads(json.dumps(records)))[KIND]
    assert region.settled_at == 200 and np.array_equal(region.probabilities, [0.25, 0.5])
    assert region.edited.tolist() == [False, True]


def test_a_region_that_two_servers_recorded_counts_once() -> None:
    one = acceptance("r", 100, KIND, ["a1"], [3], [0.25])
    records = [one, one, settlement("r", 200, "close", [Fate.KEPT]), settlement("r", 300, "time", [Fate.EDITED])]
    (region,) = settled_regions(records)[KIND]
    assert region.fates == (Fate.KEPT,)


@pytest.mark.parametrize(
    "change",
    [{"probabilities": [2.0]}, {"probabilities": "x"}, {"format": 9}, {"bundle": None}, {"probabilities": [True]}],
)
def test_an_acceptance_that_makes_no_sense_is_left_out(change: dict[str, object]) -> None:
    accepted = {**acceptance("r", 100, KIND, ["a1"], [3], [0.25]), **change}
    assert settled_regions([accepted, settlement("r", 200, "close", [Fate.KEPT])]) == {}


@pytest.mark.parametrize("change", [{"fates": "x"}, {"fates": "kk"}, {"fates": None}, {"at": "now"}, {"region": 3}])
def test_a_settlement_that_makes_no_sense_is_left_out(change: dict[str, object]) -> None:
    settled = {**settlement("r", 200, "close", [Fate.KEPT]), **change}
    assert settled_regions([acceptance("r", 100, KIND, ["a1"], [3], [0.25]), settled]) == {}
