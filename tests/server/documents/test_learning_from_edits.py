"""What a real server remembers of generated lines that are accepted, and what it makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.personal.ledger import Kind, Ledger, acceptance, settled_regions, settlement
from risk_lsp.personal.line_fates import Fate
from tests.risk.repositories import Repository
from tests.server.documents.test_generated import FUNCTION
from tests.server.lsp_client import PATIENCE, LspClient
from tests.server.test_settings_in_force import reconfigure

URI = "file:///project/program.py"
KIND = Kind("sha256:scripted", "python")
START = {"line": 0, "character": 0}
LINES = len(FUNCTION.splitlines())
RISKY = "    y = BUG\n"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """The records of the server's user."""
    return Ledger(tmp_path / "data" / "personal")


async def paste(client: LspClient, text: str = FUNCTION, uri: str = URI, before: str = "import math\n") -> None:
    """Open a document, paste a text into it, and wait for its numbers."""
    client.open(uri, before)
    client.change(uri, 2, {"range": {"start": START, "end": START}, "text": text})
    await client.diagnostics(uri, 2)


async def start(client: LspClient, **options: Any) -> None:
    await client.initialize(initializationOptions={"debounce": 0.0, **options})


async def eventually(ledger: Ledger, count: int) -> list[dict[str, Any]]:
    """The records, once there are so many."""
    for _ in range(int(PATIENCE / 0.02)):
        if len(records := list(ledger.records())) >= count:
            return records
        await asyncio.sleep(0.02)
    raise AssertionError(f"{len(records)} records after {PATIENCE} seconds")


def line_at(line: int, text: str) -> dict[str, Any]:
    """A change that replaces one line."""
    return {"range": {"start": {"line": line, "character": 0}, "end": {"line": line + 1, "character": 0}}, "text": text}


async def test_an_accepted_region_is_remembered_without_its_code(client: LspClient, ledger: Ledger) -> None:
    await start(client)
    await paste(client, FUNCTION.replace("count == 0", "count == BUG"))
    (record,) = await eventually(ledger, 1)
    assert (record["event"], record["bundle"], record["language"]) == ("accepted", *KIND)
    assert len(record["lines"]) == len(record["tokens"]) == LINES
    assert [number > 0.5 for number in record["probabilities"]] == [line == 3 for line in range(LINES)]
    written = b"".join(path.read_bytes() for path in ledger.folder.iterdir())
    assert not any(word in written for word in (b"mean", b"count", b"program", b"values"))


async def test_what_became_of_each_line_is_settled_when_the_document_is_closed(
    client: LspClient, ledger: Ledger
) -> None:
    await start(client)
    await paste(client)
    client.change(URI, 3, line_at(3, "    if count < 1:\n"))
    client.change(URI, 4, line_at(1, ""))
    client.close(URI)
    await eventually(ledger, 2)
    (region,) = settled_regions(ledger.records())[KIND]
    assert "".join(region.fates) == "kdkekk"


async def test_layout_and_names_are_no_edits(client: LspClient, ledger: Ledger) -> None:
    await start(client)
    await paste(client)
    client.replace(URI, 3, "import math\n\n\n" + FUNCTION.replace("    ", "  ").replace("count", "how_many"))
    client.close(URI)
    await eventually(ledger, 2)
    (region,) = settled_regions(ledger.records())[KIND]
    assert "".join(region.fates) == "k" * LINES


async def test_lines_that_move_to_another_open_document_are_kept(client: LspClient, ledger: Ledger) -> None:
    await start(client)
    await paste(client)
    client.change(URI, 3, line_at(4, ""))
    client.open("file:///project/other.py", FUNCTION.splitlines()[4])
    client.close(URI)
    await eventually(ledger, 2)
    (region,) = settled_regions(ledger.records())[KIND]
    assert "".join(region.fates) == "k" * LINES


async def test_a_region_that_is_taken_back_as_a_whole_teaches_nothing(client: LspClient, ledger: Ledger) -> None:
    await start(client)
    await paste(client)
    client.replace(URI, 3, "import math\n")
    client.close(URI)
    await eventually(ledger, 2)
    assert settled_regions(ledger.records()) == {}


async def test_a_region_that_a_person_unmarks_is_not_settled(client: LspClient, ledger: Ledger) -> None:
    await start(client)
    await paste(client)
    await eventually(ledger, 1)
    await client.execute("riskLsp.unmarkGenerated", URI, {"start": START, "end": {"line": LINES, "character": 0}})
    client.close(URI)
    await client.shut_down()
    assert [record["event"] for record in ledger.records()] == ["accepted"]


async def test_the_end_of_the_session_settles_what_is_open(client: LspClient, ledger: Ledger) -> None:
    await start(client)
    await paste(client)
    await client.shut_down()
    (region,) = settled_regions(ledger.records())[KIND]
    assert len(region.fates) == LINES


async def test_a_commit_settles_what_is_in_it(client: LspClient, ledger: Ledger, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.commit(a="import math\n")
    path = repository.folder / "a.py"
    await start(client)
    await paste(client, uri=path.as_uri())
    await eventually(ledger, 1)
    repository.commit(a=FUNCTION + "import math\n")
    client.notify("textDocument/didSave", {"textDocument": {"uri": path.as_uri()}})
    _, settled = await eventually(ledger, 2)
    assert (settled["reason"], settled["fates"]) == ("commit", "k" * LINES)


@pytest.mark.parametrize("options", [{"learnFromEdits": False}, {"trusted": False}])
async def test_nothing_is_remembered_where_the_settings_forbid_it(
    client: LspClient, ledger: Ledger, options: dict[str, Any]
) -> None:
    await start(client, **options)
    await paste(client)
    await client.shut_down()
    assert list(ledger.records()) == []


async def test_nothing_is_remembered_when_a_person_has_turned_it_off(client: LspClient, ledger: Ledger) -> None:
    ledger.turn(on=False)
    await start(client)
    await paste(client)
    await client.shut_down()
    assert list(ledger.records()) == []


async def test_a_workspace_cannot_turn_it(client: LspClient, ledger: Ledger) -> None:
    await start(client)
    seen = await reconfigure(client, {"learnFromEdits": False})
    told = await client.notification("window/showMessage", seen)
    assert "learnFromEdits: false is refused, because a workspace may not set it" in told["message"]
    await paste(client)
    await eventually(ledger, 1)


def teach(ledger: Ledger, fate: Fate) -> None:
    """Records of 600 lines, each as likely to be edited as RISKY, all with one fate."""
    for number in range(60):
        ledger.append(acceptance(f"{number}", 1e9, KIND, ["0f"] * 10, [5] * 10, [0.632] * 10))
        ledger.append(settlement(f"{number}", 4_000_000_000, "close", [fate] * 10))


async def test_hover_tells_what_others_have_where_that_differs(client: LspClient, ledger: Ledger) -> None:
    teach(ledger, Fate.KEPT)
    await start(client)
    client.open(URI, f"def f(x):\n{RISKY}")
    await client.diagnostics(URI, 1)
    hover = await client.hover(URI, 1)
    assert hover is not None
    own = hover["contents"]["value"]
    assert "In your last 600 generated lines: " in own and " where others have 63%." in own
    assert "Of lines scored 60-65%" in own, "what everybody's number has meant"


async def test_the_odds_stay_within_the_limits_whatever_was_taught(client: LspClient, ledger: Ledger) -> None:
    teach(ledger, Fate.KEPT)
    await start(client)
    client.open(URI, f"def f(x):\n{RISKY}")
    await client.diagnostics(URI, 1)
    numbers = (await client.request("riskLsp/lines", {"uri": URI}))["lines"]
    odds = numbers[1] / (1 - numbers[1])
    assert odds == pytest.approx((0.6321 / 0.3679) / 4, rel=0.02)
