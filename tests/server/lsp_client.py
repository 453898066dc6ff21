"""A thin language client: raw JSON-RPC over a server's stdio, every message kept."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from risk_lsp.server.wire.connection import frame

_ROOT = Path(__file__).parents[2]
CAPABILITIES = _ROOT / "tests" / "fixtures" / "client_capabilities"
PATIENCE = 60.0  # seconds until a test gives up on the server


class ResponseError(Exception):
    """The server answered a request with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class LspClient:
    """One server process and the client's side of the protocol."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self.received: list[dict[str, Any]] = []
        self.configuration: Any = None  # what workspace/configuration is answered with
        self.configuration_of: dict[str, Any] = {}  # and for these folders, by their URI
        self._arrived = asyncio.Condition()
        self._next_id = 0
        self._reader = asyncio.create_task(self._read_all())

    @classmethod
    async def start(cls, command: Sequence[str], stderr: int | IO[bytes] | None = None, **options: Any) -> LspClient:
        """Start a server."""
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=stderr, limit=1 << 24, **{"cwd": _ROOT, **options}
            )
        )

    @property
    def requests_sent(self) -> int:
        """How many requests this client has sent; their ids count from 1."""
        return self._next_id

    async def initialize(self, dump: str = "vscode-1.139", *, pull: bool = False, **params: Any) -> dict[str, Any]:
        """Shake hands as the named client would; returns the server's capabilities.

        Unless it is to `pull`, the client does not say that it could: the server then publishes diagnostics.
        """
        said = json.loads((CAPABILITIES / f"{dump}.json").read_text(encoding="utf-8"))
        if not pull:
            said["capabilities"]["textDocument"].pop("diagnostic", None)
        result = await self.request("initialize", {"processId": None, "rootUri": None, **said, **params})
        self.notify("initialized", {})
        capabilities = result["capabilities"]
        assert isinstance(capabilities, dict)
        return capabilities

    async def request(self, method: str, params: Any = None) -> Any:
        """The result of a request. Raises ResponseError."""
        return await self.result_of(self.send_request(method, params))

    def send_request(self, method: str, params: Any = None) -> int:
        """Send a request without waiting; `result_of` its id gives the answer."""
        self._next_id += 1
        self.send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params})
        return self._next_id

    async def result_of(self, message_id: int) -> Any:
        """The result of the request with this id. Raises ResponseError."""
        answer = await self.message(lambda message: message.get("id") == message_id and "method" not in message)
        if "error" in answer:
            raise ResponseError(answer["error"])
        return answer["result"]

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def send(self, message: Any) -> None:
        """Send one message as JSON."""
        self.send_bytes(json.dumps(message).encode())

    def send_together(self, *messages: Any) -> None:
        """Send messages in one piece, so that they arrive together if they are short."""
        self._stdin.write(b"".join(map(frame, messages)))

    def send_bytes(self, body: bytes, header: str = "Content-Length") -> None:
        """Send any body."""
        self._stdin.write(f"{header}: {len(body)}\r\n\r\n".encode() + body)

    async def message(self, matches: Callable[[dict[str, Any]], bool], after: int = 0) -> dict[str, Any]:
        """The first message, from index `after` of all received ones on, that matches; waits for it."""

        def found() -> dict[str, Any] | None:
            return next((message for message in self.received[after:] if matches(message)), None)

        async with self._arrived:
            await asyncio.wait_for(self._arrived.wait_for(lambda: found() is not None), PATIENCE)
        message = found()
        assert message is not None
        return message

    async def notification(self, method: str, after: int = 0) -> Any:
        """The params of the first notification or request of the method; waits for it."""
        return (await self.message(lambda message: message.get("method") == method, after)).get("params")

    def all_of(self, method: str) -> list[Any]:
        """The params of everything of this method received so far."""
        return [message.get("params") for message in self.received if message.get("method") == method]

    # Documents

    def open(self, uri: str, text: str, version: int = 1, language_id: str = "python") -> None:
        """Open a document."""
        document = {"uri": uri, "languageId": language_id, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, uri: str, version: int, *changes: dict[str, Any]) -> None:
        """Edit a document; each change is as in the protocol."""
        identifier = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": list(changes)})

    def replace(self, uri: str, version: int, text: str) -> None:
        """Replace a document's whole text."""
        self.change(uri, version, {"text": text})

    def close(self, uri: str) -> None:
        """Close a document."""
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    async def diagnostics(self, uri: str, version: int | None, after: int = 0) -> list[dict[str, Any]]:
        """The diagnostics published for a version of a document; waits for them."""

        def matches(message: dict[str, Any]) -> bool:
            if message.get("method") != "textDocument/publishDiagnostics":
                return False
            return (message["params"]["uri"], message["params"].get("version")) == (uri, version)

        published = (await self.message(matches, after))["params"]["diagnostics"]
        assert isinstance(published, list)
        return published

    async def hover(self, uri: str, line: int, character: int = 0) -> dict[str, Any] | None:
        """The hover at a position."""
        position = {"line": line, "character": character}
        result = await self.request("textDocument/hover", {"textDocument": {"uri": uri}, "position": position})
        assert result is None or isinstance(result, dict)
        return result

    async def execute(self, command: str, *arguments: Any) -> Any:
        """The result of a command."""
        return await self.request("workspace/executeCommand", {"command": command, "arguments": list(arguments)})

    # The end

    async def shut_down(self) -> int:
        """Leave in good order; returns the server's exit status."""
        await self.request("shutdown")
        self.notify("exit")
        return await self.ended()

    def hang_up(self) -> None:
        """Close the server's standard input."""
        self._stdin.close()

    def stop_reading(self) -> None:
        """Close the end from which the server's messages are read."""
        self._stdout._transport.close()  # type: ignore[attr-defined]

    async def ended(self) -> int:
        """The exit status, once the server has ended."""
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    async def kill(self) -> None:
        """End the server, whatever it does."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reader

    async def _read_all(self) -> None:
        while header := await self._stdout.readline():
            name, _, length = header.partition(b":")
            assert name == b"Content-Length", header
            while await self._stdout.readline() != b"\r\n":
                pass
            message = json.loads(await self._stdout.readexactly(int(length)))
            async with self._arrived:
                self.received.append(message)
                self._arrived.notify_all()
            if "method" in message and "id" in message:
                self.answer(message)

    def answer(self, request: dict[str, Any]) -> None:
        """Answer a request of the server's."""
        result = None
        if request["method"] == "workspace/configuration":
            scopes = [item.get("scopeUri") for item in request["params"]["items"]]
            result = [self.configuration_of.get(scope, self.configuration) for scope in scopes]
        self.send({"jsonrpc": "2.0", "id": request["id"], "result": result})


def server_command(folder: Path, **options: Any) -> list[str]:
    """How to start the server with the scripted worker, which leaves its notes in the folder."""
    return [sys.executable, "-m", "tests.server.scripted_server", str(folder), json.dumps(options)]
