"""A server over real stdio with a worker whose risks are known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.lsp_client import LspClient, server_command
from tests.server.person import Person


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[LspClient]:
    """A client of a fresh server, before `initialize`. The scripted worker leaves its notes in `tmp_path`."""
    connected = await LspClient.start(server_command(tmp_path))
    yield connected
    await connected.kill()


@pytest.fixture
async def person(sandboxed: None, tmp_path: Path) -> AsyncIterator[Person]:
    """A person at a client of a fresh server, before `initialize`."""
    connected = await Person.start(server_command(tmp_path))
    assert isinstance(connected, Person)
    yield connected
    await connected.kill()
