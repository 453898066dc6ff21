"""How far a long command is, in a log and on a terminal."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest

from risk_lsp.report.wording import shown_progress, shown_reading


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_one_line_when_all_is_done_soon() -> None:
    log = io.StringIO()
    with shown_progress(log, "programs", 3) as progress:
        for done in (1, 2, 3):
            progress.show(done)

    assert re.fullmatch(r"3 of 3 programs, 0\.\d\d s each, 0:00:00 left\n", log.getvalue())


def test_what_an_earlier_run_did_does_not_shorten_the_time_that_is_left() -> None:
    log = io.StringIO()
    with shown_progress(log, "programs", 3, already=2) as progress:
        progress.show(2)
        time.sleep(0.1)
        progress.show(3)

    assert re.fullmatch(r"3 of 3 programs, 0\.[1-9]\d s each, 0:00:00 left\n", log.getvalue())


def test_a_terminal_gets_a_bar_that_counts() -> None:
    terminal = Terminal()
    with shown_progress(terminal, "programs", 3) as progress:
        progress.show(3)

    assert "3/3 programs" in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", terminal.getvalue())


def test_what_is_said_on_the_way_stands_on_a_line_of_its_own_as_it_is() -> None:
    for stream in (io.StringIO(), Terminal()):
        with shown_progress(stream, "programs", 2) as progress:
            progress.show(1)
            progress.say("no more [fixes] are asked for")

        lines = re.split(r"\n|\r\x1b\[2K", stream.getvalue())
        assert "no more [fixes] are asked for" in lines


def test_a_terminal_shows_which_file_is_read_and_how_far() -> None:
    terminal = Terminal()
    with shown_reading(terminal) as reading:
        reading.begin([Path("folder/a.py"), Path("b.py")], 2, 9)
        reading.ran(512, 4_096)
        time.sleep(0.2)  # the terminal is written some times a second

    assert "reading a.py and 1 more, file 3 of 9: 512 of 4,096 tokens" in terminal.getvalue()


def test_a_log_hears_of_reading_after_a_while_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with shown_reading(log) as reading:
        reading.begin([Path("a.py")], 0, 1)
        reading.ran(1, 3)
        now = 21.0
        reading.ran(2, 3)

    assert log.getvalue() == "reading a.py, file 1 of 1: 2 of 3 tokens\n"
