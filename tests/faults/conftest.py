"""What tests of faults share: a client, how long to go on, and the figures in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import LspClient, server_command
from tests.server.person import default_server

Start = Callable[..., "Any"]
_figures = pytest.StashKey[list[str]]()


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether to run at full length."""
    return bool(request.config.getoption("--long"))


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Records what a test measured; it is printed after the last test."""
    figures = request.config.stash.setdefault(_figures, [])
    return lambda text: figures.append(f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the figures."""
    for text in config.stash.get(_figures, []):
        terminalreporter.write_line(text)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a server with options of `scripted_server`, and what `asyncio.create_subprocess_exec` takes."""
    clients: list[LspClient] = []

    async def start_one(client: type[LspClient] = LspClient, *, process: Any = None, **options: Any) -> LspClient:
        clients.append(await client.start(server_command(tmp_path, **options), **(process or {})))
        return clients[-1]

    yield start_one
    for client in clients:
        await client.kill()


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[LspClient]:
    """A client of a server with the embedded default."""
    client = await LspClient.start(default_server(tmp_path))
    yield client
    await client.kill()


def memory_of(process_id: int) -> float:
    """Resident memory in MB."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
