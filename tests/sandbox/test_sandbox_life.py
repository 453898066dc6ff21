"""Servers: their start, their death, and the ways of running with less isolation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from risk_lsp.sandbox import isolation as sandbox_command
from risk_lsp.sandbox.isolation import Limits, SandboxError
from risk_lsp.sandbox.sandbox import Job, Sandbox
from tests.sandbox.processes import descendants, wait_for_end

LIMITS = Limits(wall_seconds=10.0, memory=256 << 20, processes=8)
QUICK = Limits(wall_seconds=0.7, memory=256 << 20, processes=8)


def test_closing_ends_every_process(sandbox: Sandbox) -> None:
    before = descendants()
    with Sandbox(LIMITS) as other:
        list(other.run_many([Job("")] * 4, workers=2))
        assert len(descendants()) > len(before)

    assert descendants() == before


def test_a_server_killed_in_the_middle_of_a_run_is_replaced(sandbox: Sandbox) -> None:
    before = descendants()

    def jobs() -> Iterator[Job]:
        yield Job("while True: pass")
        # Asked for only once the first one runs.
        for pid in descendants() - before:
            with suppress(ProcessLookupError):  # it ended together with one that was killed before
                os.kill(pid, signal.SIGKILL)
        yield Job("print('next')")

    with Sandbox(LIMITS) as other:
        outcomes = dict(other.run_many(jobs(), workers=2))
    assert (outcomes[0].status, outcomes[1].stdout) == ("killed", "next\n")


def test_the_sandbox_ends_when_its_owner_is_killed(sandbox: Sandbox) -> None:
    owner_program = """
from risk_lsp.sandbox.sandbox import Sandbox
sandbox = Sandbox()
sandbox.run("")
print("started", flush=True)
sandbox.run("while True: pass")
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", owner_program], stdout=subprocess.PIPE, cwd=root) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        inside = descendants(owner.pid)
        owner.kill()
    assert inside
    assert all(wait_for_end(pid) for pid in inside)


def test_without_bubblewrap_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with (
        Sandbox(LIMITS) as sandbox,
        pytest.raises(SandboxError, match=r"bubblewrap \(bwrap\) is not installed.*apt-get"),
    ):
        sandbox.run("print('never')")


def test_a_bubblewrap_that_does_not_work_is_told_with_its_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with Sandbox(LIMITS) as sandbox, pytest.raises(SandboxError, match="No permissions to create new namespace"):
        sandbox.run("print('never')")


class TestServerPerProgram:
    """Where the system forbids namespaces inside bubblewrap's own, each program gets a bubblewrap to itself."""

    @pytest.fixture
    def lone(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
        command = sandbox_command.isolated_command

        def without_capability(user: int, preload: tuple[str, ...], view: sandbox_command.View) -> list[str]:
            words = command(user, preload, view)
            place = words.index("CAP_SYS_ADMIN")
            return words[: place - 1] + words[place + 1 :]

        monkeypatch.setattr(sandbox_command, "isolated_command", without_capability)
        return Sandbox(LIMITS)

    def test_nothing_passes_from_one_program_to_the_next(self, lone: Sandbox) -> None:
        lone.run("open('/tmp/left', 'w').write('left')")

        assert lone.run("import os; print('left' in os.listdir('/tmp'))").stdout == "False\n"

    def test_nothing_is_left_running(self, lone: Sandbox) -> None:
        before = descendants()
        lone.run("import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1e6)")

        assert descendants() == before

    def test_a_program_that_kills_its_server_harms_only_itself(self, lone: Sandbox) -> None:
        assert lone.run("import os; os.kill(os.getppid(), 9)").status == "killed"
        assert lone.run("print('next')").stdout == "next\n"


class TestWeak:
    """The fallback without bubblewrap, which has to be asked for."""

    @pytest.fixture
    def weak(self, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
        monkeypatch.setenv("PATH", "/nonexistent")
        sandbox = Sandbox(QUICK, weak=True)
        try:
            sandbox.run("")
        except SandboxError as error:
            pytest.skip(f"an unprivileged user cannot run this Python: {error}")
        return sandbox

    def test_programs_run(self, weak: Sandbox) -> None:
        assert weak.run("print(input())", "text").stdout == "text\n"

    def test_root_is_not_what_programs_run_as(self, weak: Sandbox) -> None:
        assert weak.run("import os; print(os.getuid() == 0)").stdout == "False\n"

    def test_the_wall_clock_holds(self, weak: Sandbox) -> None:
        assert weak.run("while True: pass").status == "timeout"

    def test_memory_is_limited(self, weak: Sandbox) -> None:
        assert weak.run("x = bytearray(1 << 40)").status == "memory"

    def test_output_is_limited(self, weak: Sandbox) -> None:
        assert weak.run("while True: print('x' * 1000)").status == "output_limit"

    def test_children_end_with_the_program(self, weak: Sandbox) -> None:
        before = descendants()
        weak.run("import os, time\nif os.fork() == 0: time.sleep(1e6)")

        assert descendants() == before

    def test_the_working_folder_is_fresh_and_removed(self, weak: Sandbox) -> None:
        folder = weak.run("import os; print(os.getcwd(), os.listdir('.'))").stdout.split()

        assert folder[1] == "[]"
        assert not os.path.exists(folder[0])


def test_starting_is_quick(sandbox: Sandbox) -> None:
    started = time.monotonic()
    with Sandbox(LIMITS) as other:
        other.run("")

    assert time.monotonic() - started < 5
