"""When documents are scored: debounced, newest wins, one run at a time per document."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from risk_lsp.errors import BadInput, RiskError, WorkerError
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import PartialRisk
from risk_lsp.server.documents.analysis import Analysis, Analyzer
from risk_lsp.server.documents.open_documents import OpenDocuments
from risk_lsp.text.document import Document, PositionEncoding, Span, TextChange
from tests.server.scripted_worker import by_rule

URI = "file:///a.py"
PART = PartialRisk(by_rule("x = 1  # BUG"), (Span(0, 5),))


class Desk:
    """An analyzer with a scorer that waits for the test, and what came out."""

    def __init__(self) -> None:
        self.documents = OpenDocuments(PositionEncoding.UTF16)
        self.published: list[int] = []
        self.published_parts: list[int] = []
        self.scored: list[int] = []
        self.errors: list[RiskError] = []
        self.running = 0
        self.parts: list[PartialRisk] = []  # what the scorer knows before it waits
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Event()
        self.analyzer = Analyzer(self.documents, self._score, self._publish)

    async def _score(self, document: Document, on_part: Callable[[PartialRisk], None]) -> RiskMap:
        self.scored.append(document.version)
        self.running += 1
        assert self.running == 1, "two runs at a time for one document"
        self.on_part = on_part
        for part in self.parts:
            on_part(part)
        self.started.set()
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        if self.errors:
            raise self.errors.pop(0)
        return by_rule(document.text)

    def _publish(self, analysis: Analysis) -> None:
        (self.published if analysis.is_whole else self.published_parts).append(analysis.document.version)

    def open(self, version: int = 1) -> Document:
        self.documents.open(Document(URI, version, "x = 1  # BUG", "python"))
        return self.newest()

    def edit(self, version: int, quiet: float = 0.0) -> Document:
        assert self.documents.change(URI, version, [TextChange(None, None, f"x = {version}")])
        self.analyzer.schedule(URI, quiet)
        return self.newest()

    def newest(self) -> Document:
        document = self.documents.get(URI)
        assert document is not None
        return document


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The layout of a text is parsed once the test sets this."""
    event = threading.Event()

    def slow_parse(*_: object, **__: object) -> list[Span]:
        assert event.wait(10)
        return []

    monkeypatch.setattr("risk_lsp.server.documents.analysis.code_line_spans", slow_parse)
    return event


async def test_edits_in_quick_succession_are_scored_once_as_they_are_in_the_end(desk: Desk) -> None:
    desk.open()
    for version in range(2, 30):
        desk.edit(version, quiet=0.02)
    last = desk.edit(30, quiet=0.02)
    while desk.analyzer.outcome(last) is None:
        await asyncio.sleep(0.005)
    assert desk.scored == desk.published == [30]


async def test_an_edit_that_brings_a_text_with_known_risks_is_not_scored(desk: Desk) -> None:
    desk.open()
    with desk.analyzer.expecting(URI, 10):
        brought = desk.edit(2)
        await asyncio.sleep(0.02)
        desk.analyzer.adopt(brought, by_rule(brought.text), None)
    await asyncio.sleep(0.02)

    assert (desk.scored, desk.published) == ([], [2])


async def test_an_edit_is_scored_once_nobody_expects_a_text_with_known_risks_any_more(desk: Desk) -> None:
    desk.open()
    with desk.analyzer.expecting(URI, 10):
        typed = desk.edit(2)

    assert isinstance(await asyncio.wait_for(desk.analyzer.in_its_time(typed), 5), Analysis)


async def test_a_result_for_an_old_version_is_dropped(desk: Desk) -> None:
    desk.gate.clear()
    first = desk.open()
    desk.analyzer.schedule(URI)
    await desk.started.wait()
    second = desk.edit(2)
    desk.gate.set()
    assert isinstance(await desk.analyzer.of_newest(second), Analysis)
    assert (desk.scored, desk.published) == ([1, 2], [2])
    assert desk.analyzer.outcome(first) is None


async def test_an_edit_ends_the_run_for_the_text_before_it(desk: Desk) -> None:
    desk.gate.clear()
    desk.analyzer.schedule(desk.open().uri)
    await desk.started.wait()
    desk.started.clear()

    last = desk.edit(2)
    await desk.started.wait()  # though nothing let the first run go on
    desk.gate.set()

    assert isinstance(await desk.analyzer.in_its_time(last), Analysis)
    assert (desk.scored, desk.published) == ([1, 2], [2])


async def test_who_waits_for_a_version_is_sent_away_by_an_edit(desk: Desk) -> None:
    desk.gate.clear()
    waiting = asyncio.create_task(desk.analyzer.of_newest(desk.open()))
    await desk.started.wait()
    desk.edit(2)
    assert await waiting is None


async def test_who_waits_for_a_document_is_sent_away_when_it_is_closed(desk: Desk) -> None:
    desk.gate.clear()
    waiting = asyncio.create_task(desk.analyzer.of_newest(desk.open()))
    await desk.started.wait()
    desk.documents.close(URI)
    desk.analyzer.forget(URI)
    assert await waiting is None
    assert desk.running == 0


async def test_a_question_does_not_wait_for_the_quiet_period(desk: Desk) -> None:
    desk.open()
    document = desk.edit(2, quiet=3600)
    assert isinstance(await desk.analyzer.of_newest(document), Analysis)


async def test_several_questions_share_one_run(desk: Desk) -> None:
    document = desk.open()
    outcomes = await asyncio.gather(*(desk.analyzer.of_newest(document) for _ in range(5)))
    assert all(outcome is outcomes[0] for outcome in outcomes)
    assert desk.scored == [1]


async def test_a_refused_text_is_not_tried_again_until_it_is_edited(desk: Desk) -> None:
    refusal = BadInput("no")
    desk.errors = [refusal]
    document = desk.open()
    assert await desk.analyzer.of_newest(document) is refusal
    desk.analyzer.schedule(URI)
    assert await desk.analyzer.of_newest(document) is refusal
    assert isinstance(await desk.analyzer.of_newest(desk.edit(2)), Analysis)
    assert desk.scored == [1, 2]


async def test_after_the_worker_is_back_everything_is_scored_again(desk: Desk) -> None:
    document = desk.open()
    await desk.analyzer.of_newest(document)
    desk.analyzer.rescore_all()
    assert desk.analyzer.outcome(document) is None
    assert isinstance(await desk.analyzer.of_newest(document), Analysis)
    assert desk.published == [1, 1]


async def test_a_text_that_ends_the_worker_is_tried_twice_and_forgiven_on_request(desk: Desk) -> None:
    desk.errors = [WorkerError("gone"), WorkerError("gone")]
    waiting = asyncio.create_task(desk.analyzer.of_newest(desk.open()))
    while desk.errors:
        await asyncio.sleep(0)
        desk.analyzer.rescore_all()
    outcome = await waiting
    assert isinstance(outcome, RiskError) and not isinstance(outcome, WorkerError)
    desk.analyzer.rescore_all()
    assert await desk.analyzer.of_newest(desk.newest()) is outcome
    desk.analyzer.rescore_all(forgive=True)
    assert isinstance(await desk.analyzer.of_newest(desk.newest()), Analysis)


async def test_an_unexpected_exception_is_an_outcome_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Document, _on_part: object) -> None:
        raise ZeroDivisionError("the user's text")

    monkeypatch.setattr(desk.analyzer, "_score", broken)
    outcome = await desk.analyzer.of_newest(desk.open())
    assert isinstance(outcome, RiskError)
    assert "the user's text" not in str(outcome)


async def test_a_part_is_published_before_the_whole(desk: Desk) -> None:
    desk.gate.clear()
    document = desk.open()
    whole = asyncio.create_task(desk.analyzer.of_newest(document))
    await desk.started.wait()
    for known in (1, 2):
        desk.on_part(PART)
        while len(desk.published_parts) < known:
            await asyncio.sleep(0.001)
    desk.gate.set()
    assert isinstance(await whole, Analysis)
    assert (desk.published_parts, desk.published) == ([1, 1], [1])


async def test_parts_that_come_while_the_layout_is_parsed_wait_for_it_and_the_newest_is_shown(
    desk: Desk, parsed: threading.Event
) -> None:
    desk.gate.clear()
    desk.parts = [PART, PartialRisk(PART.risks, (Span(0, 9),))]
    document = desk.open()
    desk.analyzer.schedule(document.uri)
    await desk.started.wait()

    assert desk.published_parts == []
    parsed.set()
    content = await desk.analyzer.in_its_time(document)

    assert isinstance(content, Analysis) and content.known == (Span(0, 9),)
    assert desk.published_parts == [1]


async def test_a_part_that_waited_for_the_layout_is_not_shown_when_the_whole_is_known(
    desk: Desk, parsed: threading.Event
) -> None:
    desk.parts = [PART]
    whole = asyncio.create_task(desk.analyzer.of_newest(desk.open()))
    await desk.started.wait()
    await asyncio.sleep(0.01)
    parsed.set()

    assert isinstance(await whole, Analysis)
    assert (desk.published_parts, desk.published) == ([], [1])


async def test_a_part_of_an_older_text_is_dropped(desk: Desk) -> None:
    desk.gate.clear()
    desk.analyzer.schedule(desk.open().uri)
    await desk.started.wait()
    late = desk.on_part
    desk.edit(2, quiet=3600)
    late(PART)
    assert desk.published_parts == []
    assert desk.analyzer.partial(desk.newest()) is None


async def test_a_part_is_no_outcome_and_is_gone_with_its_run(desk: Desk) -> None:
    desk.gate.clear()
    desk.parts = [PART]
    document = desk.open()
    hasty = asyncio.create_task(desk.analyzer.of_newest(document))
    await desk.started.wait()
    content = await desk.analyzer.in_its_time(document)
    assert content is desk.analyzer.partial(document) is not None
    assert desk.analyzer.outcome(document) is None and not hasty.done()
    desk.gate.set()
    outcome = await hasty
    assert isinstance(outcome, Analysis) and outcome.is_whole
    assert desk.analyzer.partial(document) is None
