"""One host for the tests that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.team.hosts import RunningHost, running_host


@pytest.fixture(scope="session")
def host(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host with short limits and a small model."""
    options = ("--most-characters", "20000", "--threads", "1")
    with running_host(tmp_path_factory.mktemp("host"), tiny_bundle, *options) as running:
        yield running


@pytest.fixture
def anna(host: RunningHost) -> Iterator[httpx2.Client]:
    """A client with Anna's key."""
    with host.client("anna") as client:
        yield client


@pytest.fixture
def ben(host: RunningHost) -> Iterator[httpx2.Client]:
    """A client with Ben's key."""
    with host.client("ben") as client:
        yield client
