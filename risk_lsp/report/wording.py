"""What commands say on a stream: the words of reports, what can be shown there, and how far a long command is."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from risk_lsp import __version__
from risk_lsp.probe.manifest import Manifest
from risk_lsp.report.check import CheckResult, FileReport, LineRisk
from risk_lsp.risk.presentation import Standing

_TAB = 4


def wants_color(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the stream is a terminal, and its owner did not ask for no colour (NO_COLOR, or TERM=dumb)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def shows_unicode(stream: TextIO) -> bool:
    """Whether every character can be written to the stream."""
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def write_all(stream: TextIO, text: str) -> None:
    """Write the text; characters that the stream's encoding lacks are escaped, not refused."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def printable(code: str) -> str:
    """The code with tabs as spaces and every other control or invisible formatting character as its code in brackets.

    A file could otherwise move the cursor, change colours or turn the direction of writing, and so show other code than
    it holds.
    """
    shown = []
    for character in code.expandtabs(_TAB):
        is_hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        shown.append(f"<{ord(character):02X}>" if is_hidden else character)
    return "".join(shown)


def words_of(report: FileReport, line: LineRisk) -> list[str]:
    """The pieces of the line that carry most of its probability, as they can be shown."""
    return [printable(report.text[word.start : word.end]) for word in line.words]


def reasons(report: FileReport, line: LineRisk) -> str:
    """Where the probability comes from, and what such a number has meant; empty if neither is known."""
    words = " ".join(f"`{word}`" for word in words_of(report, line))
    return "; ".join(part for part in (f"most of it from {words}" if words else "", line.reference) if part)


def code_of(report: FileReport, line: LineRisk) -> str:
    """The line without the white space around it, as it can be shown."""
    return printable(report.text[line.span.start : line.span.end])


def count_of(number: int, thing: str) -> str:
    """ "1 line", "2 lines" """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def above(result: CheckResult) -> str:
    """How many findings there are: "3 lines above 30%", or "3 lines to read first" where nothing gives percentages."""
    count = sum(len(report.findings) for report in result.reports)
    named = [line for report in result.reports for line in (*report.worth_reading, *report.findings)]
    if not named or any(line.standing.gives != "order" for line in named):
        return f"{count_of(count, 'line')} above {result.threshold:.0%}"
    return f"{count_of(count, 'line')} to read first" if count else "no line stands out"


def caveat(report: FileReport, standing: Standing) -> str:
    """What is to be said beside an order: why it is no percentage; empty for a percentage."""
    if report.outside is not None:
        return f"Outside the calibrated range: {report.outside}"
    return f"No percentage: {standing.why}" if standing.why is not None else ""


NAME = "risk-lsp"


@dataclass(frozen=True)
class Tool:
    """The program's version, and the bundle's name and the hashes of its parts."""

    bundle: str
    probe_hash: str
    weights_hash: str
    version: str = __version__


def tool_of(manifest: Manifest) -> Tool:
    """This version of the program with the bundle of the manifest."""
    return Tool(manifest.name, manifest.probe_hash, manifest.host.weights_hash)


_SECONDS_IN_A_LOG = 20.0


@dataclass(frozen=True)
class ShownProgress:
    """`show` is called with how many things are done, `say` with a line of text that is to stay readable."""

    show: Callable[[int], None]
    say: Callable[[str], None]


@contextmanager
def shown_progress(stream: TextIO, things: str, total: int, already: int = 0) -> Iterator[ShownProgress]:
    """Show on `stream` how many of `total` things are done, and how long the others will take.

    `already` is how many an earlier run did: they say nothing about the time.
    """
    console = Console(file=stream)
    if console.is_terminal:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn(things), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(things, total=total, completed=already)
            yield ShownProgress(lambda done: bar.update(task, completed=done), lambda text: console.print(Text(text)))
        return
    started = last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _SECONDS_IN_A_LOG and done != total:
            return
        last = now
        each = (now - started) / max(done - already, 1)
        left = timedelta(seconds=round(each * (total - done)))
        say(f"{done:,} of {total:,} {things}, {each:.2f} s each, {left} left")

    def say(text: str) -> None:
        stream.write(f"{text}\n")
        stream.flush()

    yield ShownProgress(show, say)


class Reading:
    """Says on a stream which files a model reads, and how far it is with them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._what = "files"

    def begin(self, paths: Sequence[Path], before: int, of: int) -> None:
        """The model reads these files now; it is done with `before` of all."""
        if paths:
            names = printable(paths[0].name) + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "")
            self._what = f"{names}, file {before + 1:,} of {of:,}"
            self.ran(0, 0)

    def ran(self, done: int, of: int) -> None:
        """It has read `done` tokens of these files, of those that are known to be in them."""
        self._say(f"reading {self._what}" + (f": {done:,} of {of:,} tokens" if of else ""))


@contextmanager
def shown_reading(stream: TextIO) -> Iterator[Reading]:
    """Show on a terminal what is read, as long as it is; in a log, say so every twenty seconds."""
    if Console(file=stream).is_terminal:
        with shown_stage(stream) as say:
            yield Reading(say)
        return
    last = time.monotonic()

    def write(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_IN_A_LOG:
            last = time.monotonic()
            stream.write(f"{text}\n")
            stream.flush()

    yield Reading(write)


@contextmanager
def shown_stage(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what a command is at, in the words it is given; show nothing in a log."""
    with Console(file=stream).status("") as status:
        yield lambda words: status.update(Text(words))
