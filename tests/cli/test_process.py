"""What only a real process shows: start-up time, imports, signals, closed pipes, terminals."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import FIXTURES

RISK_LSP = [sys.executable, "-m", "risk_lsp"]
PROGRAM = FIXTURES / "small_bugs" / "binary_search.py"
PROGRAMS = 1000  # so many that nobody is done before a signal arrives


def test_help_is_there_within_three_tenths_of_a_second() -> None:
    assert min(_seconds([*RISK_LSP, "--help"]) for _ in range(5)) < 0.3


def test_help_imports_nothing_heavy() -> None:
    script = "import sys; from risk_lsp.cli import build_parser; build_parser().format_help(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "transformers", "numpy", "rich", "lsprotocol"}.isdisjoint(modules)


def test_a_reader_that_has_seen_enough_is_no_error(tiny_bundle: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.py"
    long.write_text("x = 1\n" * 3000)
    more_than_a_pipe_holds = ["--format", "json", "--top", "3000"]
    command = [*RISK_LSP, "check", str(long), *more_than_a_pipe_holds, "--bundle", str(tiny_bundle), "--threads", "1"]
    # Python ignores what an unbuffered stream could not write, so this has to be the usual, buffered one.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_an_interrupted_score_leaves_whole_lines_and_can_be_resumed(tiny_bundle: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    text = PROGRAM.read_text()
    source.write_text("".join(json.dumps({"id": each, "text": text}) + "\n" for each in range(PROGRAMS)))
    command = [*RISK_LSP, "score", str(source), str(target), "--bundle", str(tiny_bundle), "--threads", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=_interruptible) as process:
        _wait_for_lines(target, process)
        process.send_signal(signal.SIGINT)
        process.wait()
    assert process.returncode == 130
    before = target.read_text().splitlines()
    assert 0 < len(before) < PROGRAMS and all(json.loads(line) for line in before)
    subprocess.run(command, check=True, stderr=subprocess.PIPE)
    after = target.read_text().splitlines()
    assert after[: len(before)] == before
    assert [json.loads(line)["id"] for line in after] == list(range(PROGRAMS))


def test_an_interrupt_ends_a_check_at_once_in_the_middle_of_a_file(tiny_bundle: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.py"
    long.write_text("x = [\n" + "    1234,\n" * 15_000 + "]\n")
    terminal, end = pty.openpty()
    command = [*RISK_LSP, "check", str(long), "--no-cache", "--bundle", str(tiny_bundle), "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, preexec_fn=_interruptible) as process:
        os.close(end)
        shown = b""
        while b" tokens" not in shown:
            shown += os.read(terminal, 4096)  # an error once the process has ended
        before = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait()
    os.close(terminal)
    assert process.returncode == 130 and time.monotonic() - before < 10


def _interruptible() -> None:
    """Where tests run in the background of a script, interrupts are ignored, and children would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _seconds(command: list[str]) -> float:
    before = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - before


def _wait_for_lines(target: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the first batch is in the file; there is no event to wait for but the file itself."""
    deadline = time.monotonic() + 60
    while not (target.exists() and target.stat().st_size):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
