"""A team at work: simulated editors that type at human speed against one host, over real sockets.

    python -m benchmarks.team_load [--editors 50] [--minutes 1] [--threads 2] [--seed 0] [--json FILE]

The host has the built-in model. Each editor is what an editor's server is made of (its open documents, its analysis
after 0.7 quiet seconds, and its client of a host, with a key of its own) and has a program of 40 to 200 lines. Four
scenes follow one another:

- typing: bursts into a line, then some reading, as `benchmarks.soak` has it,
- greed: the same, while one more client always has eight texts of 400 lines scored,
- crowd: every editor has texts of 14 lines scored, one after the other, as fast as the host answers,
- restart: the host is killed while all type, and started again after eight seconds; until it is back, a stand-in for
  the local model answers, which costs next to nothing.

Prints Markdown, and exits with 1 unless no numbers are of an old text, none are lost, the greedy client makes the
median wait at most twice as long, the crowd's shares differ by at most 20 % from their mean, and every editor that
missed the host says so once and has its document scored by the host again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.bench.figures import percentile
from benchmarks.soak import FUNCTION, SECONDS_OF_READING, SECONDS_PER_KEY, TYPED
from risk_lsp.errors import RiskError, WorkerError
from risk_lsp.probe.manifest import default_bundle_path
from risk_lsp.risk.span_risk import PartialRisk, SpanRisk
from risk_lsp.server.documents.analysis import Analysis, Analyzer
from risk_lsp.server.documents.model_host import ModelHost
from risk_lsp.server.documents.open_documents import OpenDocuments
from risk_lsp.settings import Settings
from risk_lsp.team.admission import add_key
from risk_lsp.team.remote_worker import RemoteWorker
from risk_lsp.team.team_supervisor import HostLost
from risk_lsp.text.document import Document, Position, PositionEncoding, TextChange
from risk_lsp.worker.supervisor import WorkerState
from tests.team.hosts import RunningHost

_QUIET = Settings().debounce
_LINES_OF_A_FUNCTION = len(FUNCTION.splitlines())
_GREEDY_AT_A_TIME, _GREEDY_LINES = 8, 400
_CROWD_LINES, _CROWD_SECONDS = 14, 40.0
_SECONDS_TO_FINISH, _SECONDS_AWAY = 60.0, 8.0
_MOST_GREED, _MOST_UNFAIR = 2.0, 0.2


class SimulatedEditor:
    """One person at one program: the parts of an editor's server, without its protocol to the editor."""

    def __init__(self, number: int, url: str, key: str, folder: Path, chance: random.Random) -> None:
        self.uri = f"file:///project/program_{number}.py"
        self._chance = chance
        self._documents = OpenDocuments(PositionEncoding.UTF32)
        self._analyzer = Analyzer(self._documents, self._score, self._publish)

        async def own_key(address: str, file: str) -> str:
            return key

        local = (sys.executable, "-m", "tests.server.scripted_worker", str(folder))
        self._host = ModelHost(local, self._follow_model, own_key)
        self._settings = Settings(remote_host=url, disk_cache_megabytes=0)
        self._edited: dict[int, float] = {}  # when the last key of a version was struck
        self._version = 1
        self.waits: list[float] = []  # seconds from the last key to the numbers
        self.published = self.stale = self.lost_hosts = 0

    @property
    def document(self) -> Document:
        """The newest text."""
        document = self._documents.get(self.uri)
        assert document is not None
        return document

    @property
    def is_scored_by_the_host(self) -> bool:
        """Whether the numbers of the newest text are the host's."""
        outcome = self._analyzer.outcome(self.document)
        return isinstance(outcome, Analysis) and self._host.bundle_name == "default" and self._host.remark is None

    async def open(self) -> None:
        """Open the program, and wait for its first numbers."""
        count = self._chance.randint(40, 200) // _LINES_OF_A_FUNCTION
        text = "".join(FUNCTION.format(n=self._chance.randrange(10**6)) for _ in range(count))
        await self._host.apply(self._settings)
        self._documents.open(Document(self.uri, 1, text, "python"))
        self._analyzer.schedule(self.uri)
        await self._analyzer.of_newest(self.document)

    async def type_until(self, end: float) -> None:
        """Type a burst into a line, read, and so on."""
        chance = self._chance
        await asyncio.sleep(chance.uniform(0, 5))  # people do not begin together
        while time.monotonic() < end:
            line, pause = chance.randrange(self.document.lines.count), chance.uniform(*SECONDS_PER_KEY)
            for column, character in enumerate(f"{chance.choice(TYPED)}\n"):
                place = Position(line, column)
                self._version += 1
                self._documents.change(self.uri, self._version, [TextChange(place, place, character)])
                self._edited = {self._version: time.monotonic()}
                self._analyzer.schedule(self.uri, _QUIET)
                await asyncio.sleep(pause)
            await asyncio.sleep(chance.uniform(*SECONDS_OF_READING))

    async def finish(self) -> bool:
        """Whether the newest text has its numbers, at last."""
        with contextlib.suppress(asyncio.TimeoutError):
            outcome = await asyncio.wait_for(self._analyzer.of_newest(self.document), _SECONDS_TO_FINISH)
            return isinstance(outcome, Analysis)
        return False

    async def close(self) -> None:
        """Leave."""
        self._analyzer.forget_all()
        await self._host.stop()

    async def _score(self, document: Document, on_part: object) -> SpanRisk:
        def ignore(part: PartialRisk) -> None:
            """Only what is whole counts here."""

        return await self._host.score(document, lambda: 0, ignore)

    def _publish(self, analysis: Analysis) -> None:
        self.published += 1
        self.stale += analysis.document is not self.document or analysis.risks.text_length != len(self.document.text)
        struck = self._edited.pop(analysis.document.version, None)
        if struck is not None:
            self.waits.append(time.monotonic() - struck)

    def _follow_model(self, state: WorkerState, failure: WorkerError | None) -> None:
        if state is WorkerState.RESTARTING:
            self.lost_hosts += isinstance(failure, HostLost)
            self._analyzer.rescore_all()


@dataclass
class LoadFigures:
    """What was seen. Times are seconds from the last key of a burst to its numbers, the quiet time included."""

    editors: int
    minutes: float
    threads: int
    typing: list[float] = field(default_factory=list)
    greed: list[float] = field(default_factory=list)
    published: int = 0
    stale: int = 0
    lost: int = 0
    greedy_answers: int = 0
    crowd: dict[str, int] = field(default_factory=dict)
    messages: list[int] = field(default_factory=list)
    not_scored_again: int = 0
    seconds_until_scored_again: float = 0.0

    @property
    def unfairness(self) -> float:
        """By how much the share of one editor differs from the mean, at most."""
        mean = sum(self.crowd.values()) / len(self.crowd)
        return max(abs(count - mean) for count in self.crowd.values()) / mean

    @property
    def is_good(self) -> bool:
        """Whether every bar is met."""
        within = percentile(self.greed, 0.5) <= _MOST_GREED * percentile(self.typing, 0.5)
        nothing_wrong = self.stale == self.lost == self.not_scored_again == 0
        return nothing_wrong and within and self.unfairness <= _MOST_UNFAIR and max(self.messages) == 1

    def table(self) -> str:
        """The figures in Markdown."""
        rows = [
            ("edit to numbers, median and p99", _times(self.typing)),
            ("with a greedy client, median and p99", _times(self.greed)),
            ("numbers shown, of an old text, lost", f"{self.published:,}, {self.stale}, {self.lost}"),
            ("texts of 400 lines that the greedy client got", f"{self.greedy_answers}"),
            (
                "crowd: texts for each editor, least and most",
                f"{min(self.crowd.values())}, {max(self.crowd.values())} ({self.unfairness:.0%} from the mean)",
            ),
            ("restart: messages to each editor", f"{min(self.messages)} to {max(self.messages)}"),
            (
                "restart: documents not scored again, seconds until all were",
                f"{self.not_scored_again}, {self.seconds_until_scored_again:.0f}",
            ),
        ]
        return "| what | figure |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows)


def _times(waits: list[float]) -> str:
    return f"{percentile(waits, 0.5):.2f} s, {percentile(waits, 0.99):.2f} s ({len(waits)} bursts)"


async def load(editors: int, minutes: float, threads: int, seed: int) -> LoadFigures:
    """All four scenes."""
    figures = LoadFigures(editors, minutes, threads)
    options = (
        "--threads",
        str(threads),
        "--most-requests-per-minute",
        "100000",
        "--most-tokens-per-minute",
        "10000000",
    )
    with tempfile.TemporaryDirectory(prefix="team-load-") as name:
        folder = Path(name)
        host = RunningHost(folder, default_bundle_path(), *options)
        keys = {f"editor-{number}": add_key(folder / "keys", f"editor-{number}") for number in range(editors)}
        await asyncio.sleep(2.0)  # the host looks at its keys once a second
        host.wait_until_ready()
        people = [
            SimulatedEditor(number, host.url, key, folder, random.Random(f"{seed} {number}"))
            for number, key in enumerate(keys.values())
        ]
        try:
            await asyncio.gather(*(person.open() for person in people))
            await _typing(people, minutes, figures, figures.typing)
            greedy = [
                asyncio.ensure_future(_be_greedy(host.url, host.keys["anna"], figures))
                for _ in range(_GREEDY_AT_A_TIME)
            ]
            await _typing(people, minutes, figures, figures.greed)
            for each in greedy:
                each.cancel()
            await asyncio.gather(*greedy, return_exceptions=True)
            figures.crowd = await _crowd(host.url, keys)
            host = await _restart(people, host, options, figures)
        finally:
            await asyncio.gather(*(person.close() for person in people))
            host.process.kill()
            host.process.wait()
    return figures


async def _typing(people: list[SimulatedEditor], minutes: float, figures: LoadFigures, waits: list[float]) -> None:
    """Have all type; adds what was seen to the figures, and what each burst waited to `waits`."""
    for person in people:
        person.waits.clear()
        person.published = person.stale = 0
    end = time.monotonic() + 60 * minutes
    await asyncio.gather(*(person.type_until(end) for person in people))
    have_numbers = await asyncio.gather(*(person.finish() for person in people))
    figures.lost += have_numbers.count(False)
    for person in people:
        figures.published += person.published
        figures.stale += person.stale
        waits += person.waits


async def _be_greedy(url: str, key: str, figures: LoadFigures) -> None:
    """Have one long text after the other scored, none like one before it."""
    worker = RemoteWorker(url, key)
    try:
        while True:
            functions = (
                FUNCTION.format(n=random.randrange(10**9)) for _ in range(_GREEDY_LINES // _LINES_OF_A_FUNCTION)
            )
            with contextlib.suppress(RiskError):
                await worker.score("".join(functions), "python", 0)
                figures.greedy_answers += 1
    finally:
        await worker.close()


async def _crowd(url: str, keys: dict[str, str]) -> dict[str, int]:
    """How many texts each of the people had scored who all want as many as they can get."""
    served: Counter[str] = Counter()
    end = time.monotonic() + _CROWD_SECONDS

    async def ask(name: str, key: str) -> None:
        worker = RemoteWorker(url, key)
        number = 0
        while time.monotonic() < end:
            number += 1
            functions = [FUNCTION.format(n=f"{number}{place}") for place in range(_CROWD_LINES // _LINES_OF_A_FUNCTION)]
            await worker.score("".join(functions), "python", 0)
            served[name] += time.monotonic() < end
        await worker.close()

    await asyncio.gather(*(ask(name, key) for name, key in keys.items()))
    return {name: served[name] for name in keys}


async def _restart(
    people: list[SimulatedEditor], host: RunningHost, options: tuple[str, ...], figures: LoadFigures
) -> RunningHost:
    """Kill the host while all type, start it again, and see whose document it scores."""
    for person in people:
        person.lost_hosts = 0
    typing = asyncio.gather(*(person.type_until(time.monotonic() + 30) for person in people))
    await asyncio.sleep(5)
    host.stop(signal.SIGKILL)
    await asyncio.sleep(_SECONDS_AWAY)
    began = time.monotonic()
    listen = f"127.0.0.1:{host.port}"
    again = await asyncio.to_thread(RunningHost, host.folder, default_bundle_path(), *options, listen=listen)
    await typing
    while not all(person.is_scored_by_the_host for person in people):
        if time.monotonic() - began > 2 * _SECONDS_TO_FINISH:
            break
        await asyncio.sleep(0.1)
    figures.seconds_until_scored_again = time.monotonic() - began
    figures.not_scored_again = sum(not person.is_scored_by_the_host for person in people)
    figures.messages = [person.lost_hosts for person in people]
    return again


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--editors", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=1.0, help="of typing, without and with a greedy client")
    parser.add_argument("--threads", type=int, default=2, help="of the host's model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = asyncio.run(load(options.editors, options.minutes, options.threads, options.seed))
    about = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{about}; {options.editors} editors, {options.threads} threads\n\n{figures.table()}")
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(figures)) + "\n", encoding="utf-8")
    return 0 if figures.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
