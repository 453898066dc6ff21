"""Texts made to hurt: whatever is in them, they are answered, and the server goes on."""

from __future__ import annotations

import pytest

from tests.server.lsp_client import LspClient, server_command

URI = "file:///project/program.py"
TEXTS = {
    "brackets without end": "(" * 100_000 + "BUG",
    "blocks without end": "".join(" " * depth + "if x:\n" for depth in range(600)) + "BUG",
    "functions in functions": "".join("    " * depth + f"def f{depth}():\n" for depth in range(200)) + "BUG",
    "strings that never close": "'''" * 50_001 + "BUG",
    "an f-string in f-strings": "f'{" * 20_000 + "BUG",
    "attributes without end": "x" + ".y" * 50_000 + " BUG",
    "halves of characters": "\ud83d" * 1_000 + " BUG \ude00",
    "one hundred thousand lines": "\r" * 100_000 + "BUG",
    "zeros": "\0" * 10_000 + " BUG",
    "marks that combine": "e" + "\u0301" * 50_000 + " BUG",
    "many words to ignore": "# risk: ignore\n" * 5_000 + "BUG",
}


@pytest.fixture
async def client(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """A fresh server with the scripted worker."""
    connected = await LspClient.start(server_command(tmp_path_factory.mktemp("hostile")))
    yield connected
    await connected.kill()


async def test_a_text_made_to_hurt_is_answered_in_every_way(client: LspClient) -> None:
    options = {"debounce": 0.0, "inlayHints": True, "codeLens": True, "threshold": 0.0}
    await client.initialize("emacs30-eglot", initializationOptions=options)
    for version, text in enumerate(TEXTS.values(), start=1):
        if version == 1:
            client.open(URI, text)
        else:
            client.replace(URI, version, text)
        assert len((await client.request("riskLsp/lines", {"uri": URI}))["lines"]) >= 1
        document = {"textDocument": {"uri": URI}}
        everything = {"start": {"line": 0, "character": 0}, "end": {"line": 10**6, "character": 0}}
        await client.request("textDocument/inlayHint", {**document, "range": everything})
        await client.request("textDocument/codeLens", document)
        assert await client.hover(URI, line=10**6) is not None
    assert client.all_of("window/showMessage") == []
    assert await client.shut_down() == 0


async def test_a_message_nested_without_end_is_refused(client: LspClient) -> None:
    await client.initialize()
    client.send_bytes(b"[" * 1_000_000)
    answer = await client.message(lambda message: "error" in message)
    assert answer["error"]["code"] == -32700
    assert await client.hover("file:///nothing", line=0) is None


async def test_a_text_cannot_bring_links_or_markup_into_a_hover(client: LspClient) -> None:
    await client.initialize("vscode-1.139")
    client.open(URI, "def f(): x = '](command:evil)'; `BUG`; '<img/src=x>'\n")
    await client.request("riskLsp/lines", {"uri": URI})
    hover = await client.hover(URI, line=0)
    assert hover is not None
    value = hover["contents"]["value"]
    outside_of_code = "".join(value.replace("``", "`").split("`")[::2])
    assert "](" not in outside_of_code and "<img" not in outside_of_code


async def test_the_name_of_a_file_cannot_forge_a_status(client: LspClient) -> None:
    own = {"experimental": {"riskLsp": {"status": True}}}
    await client.initialize("emacs30-eglot", capabilities=own)
    client.open("file:///project/%0AReady.%1b[31m.js", "BUG", language_id="javascript")
    said = await client.message(
        lambda message: message.get("method") == "riskLsp/status" and "calibrated" in message["params"]["message"]
    )
    assert said["params"]["message"].isprintable()
