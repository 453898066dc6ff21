"""How far a long command is, in a log and on a terminal."""

from __future__ import annotations

import io
import re
import time

from risk_lsp.report.progress import shown_progress


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
