"""The whole line over stdio: the embedded model, its probe, diagnostics and hover."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.lsp_client import LspClient

URI = "file:///project/program.py"
TEXT = '''def largest(numbers):
    """The largest of some numbers."""
    best = 0
    for number in numbers:
        if number < best:
            best = number
    return best
'''
DOCSTRING = 1  # its line, which is never pointed at
_SERVE = "import sys; from risk_lsp.server.app import *; sys.exit(run_stdio(ServerOptions()))"


@pytest.fixture
async def client() -> AsyncIterator[LspClient]:
    connected = await LspClient.start([sys.executable, "-c", _SERVE])
    yield connected
    await connected.kill()


async def test_a_program_is_scored_shown_and_explained(client: LspClient) -> None:
    await client.initialize("emacs30-eglot", initializationOptions={"threshold": 0.0, "maxDiagnostics": 100})
    client.open(URI, TEXT)
    diagnostics = await client.diagnostics(URI, 1)
    answer = await client.request("riskLsp/lines", {"uri": URI})
    assert len(answer["lines"]) == 8 and answer["lines"][7] is None
    shown = {each["range"]["start"]["line"]: each["data"]["probability"] for each in diagnostics}
    code = {line: p for line, p in enumerate(answer["lines"][:7]) if line != DOCSTRING}
    assert shown == {line: pytest.approx(p, abs=1e-4) for line, p in code.items()}
    hover = await client.hover(URI, line=4)
    assert hover is not None
    assert "% chance of an edit comes from " in hover["contents"]["value"]
    assert "Function largest: " in hover["contents"]["value"]
    assert await client.shut_down() == 0


async def test_server_and_worker_stay_small_with_a_program_of_two_thousand_lines(client: LspClient) -> None:
    await client.initialize("emacs30-eglot", initializationOptions={"threshold": 0.0})
    client.open(URI, TEXT * 286)
    await client.request("riskLsp/lines", {"uri": URI})
    server = client.process.pid
    (worker,) = Path(f"/proc/{server}/task/{server}/children").read_text(encoding="ascii").split()
    peaks = _peak_megabytes(server), _peak_megabytes(int(worker))
    assert peaks[0] < 100 and peaks[1] < 400, f"{peaks} MB"


async def test_in_a_long_program_lines_near_the_last_edit_are_shown_before_all_are_known(client: LspClient) -> None:
    await client.initialize("emacs30-eglot", initializationOptions={"threshold": 0.0})
    client.open(URI, "x = 1\n" * 4000)
    place = {"line": 3000, "character": 0}
    client.change(URI, 2, {"range": {"start": place, "end": place}, "text": "y = 2\n"})
    first = {each["range"]["start"]["line"] for each in await client.diagnostics(URI, 2)}
    await client.request("riskLsp/lines", {"uri": URI})
    published = client.all_of("textDocument/publishDiagnostics")
    versions = [each["version"] for each in published]
    assert versions == sorted(versions), "none is of a text that is gone"
    assert first and all(2500 <= line <= 3500 for line in first), "of those that are known, the likeliest"
    assert len(published) > 1


async def test_where_torch_runs_the_model_an_edited_line_is_shown_before_the_rest_of_its_surroundings(
    client: LspClient,
) -> None:
    options = {"threshold": 0.0, "maxDiagnostics": 1000, "dtype": "float16"}
    await client.initialize("emacs30-eglot", initializationOptions=options)
    client.open(URI, TEXT * 40)
    await client.request("riskLsp/lines", {"uri": URI})
    place = {"line": 7 * 20 + 5, "character": 21}  # behind `best = number`
    client.change(URI, 2, {"range": {"start": place, "end": place}, "text": " - 1"})
    first = {each["range"]["start"]["line"]: each["data"]["probability"] for each in await client.diagnostics(URI, 2)}
    whole = (await client.request("riskLsp/lines", {"uri": URI}))["lines"]
    versions = [each["version"] for each in client.all_of("textDocument/publishDiagnostics")]
    assert versions.count(2) > 1
    assert first[place["line"]] == pytest.approx(whole[place["line"]], abs=0.02)


def _peak_megabytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("VmHWM"))
