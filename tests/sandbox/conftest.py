"""A sandbox that is shared, and checked before and after every test that uses it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from risk_lsp.sandbox.isolation import Limits, SandboxError
from risk_lsp.sandbox.sandbox import Sandbox
from tests.sandbox.processes import descendants

# Generous in time, since the machine may be busy; tests of the clock set their own.
LIMITS = Limits(wall_seconds=10.0, cpu_seconds=5, memory=256 << 20, processes=8, disk=4 << 20, output=64 << 10)


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    with Sandbox(LIMITS) as sandbox:
        try:
            sandbox.run("")
        except SandboxError as error:
            pytest.skip(f"untrusted code cannot be run here: {error}")
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    """A sandbox that must work, and hold no more processes than before, after whatever a test did in it."""
    shared_sandbox.limits = LIMITS
    assert shared_sandbox.run("print('ready')").stdout == "ready\n"
    idle = len(descendants())
    yield shared_sandbox
    shared_sandbox.limits = LIMITS
    assert shared_sandbox.run("print('still there')").stdout == "still there\n"
    assert len(descendants()) == idle
