"""Every stage of asking an endpoint with a small model at work behind it: the embedded default, in a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from risk_lsp.errors import RepairError
from risk_lsp.repair.chat import ChatMessage, ChatProvider, ChatRequest
from risk_lsp.repair.endpoint import EndpointChat, EndpointOptions
from risk_lsp.repair.model_questions import WorkerModel, program_in
from risk_lsp.repair.orchestration import repair
from risk_lsp.repair.tree import FeedbackNode, TreeStore
from risk_lsp.repair.workbench import Budget, RepairRequest, RepairResult, SearchProgress
from tests.repair.models import SUM
from tests.repair.served_model import Served, served_model

FEW = 24
MANY = 2000  # more than it writes in the time of any of these tests
LONG = "total = total + number\n" * 500  # takes the model a moment to read


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with served_model() as running:
        yield running


@pytest.fixture
async def at() -> AsyncIterator[Callable[..., EndpointChat]]:
    """Makes chats with what is served."""
    made: list[EndpointChat] = []

    def chat(served: Served, *, key: str | None = None, timeout: float = 20.0) -> EndpointChat:
        made.append(EndpointChat(EndpointOptions("default", served.url, key, timeout=timeout, retries=0)))
        return made[-1]

    yield chat
    for each in made:
        await each.close()


def question(text: str, tokens: int) -> ChatRequest:
    return ChatRequest((ChatMessage("user", text),), tokens, 0.0)


class Repairing:
    """One repair by an asked model, without tests, and its record."""

    def __init__(self, folder: Path, model: WorkerModel, chat: EndpointChat, **limits: float) -> None:
        self.store = TreeStore(folder / "tree.json")
        self.writing = asyncio.Event()
        self._model = model
        self._provider = ChatProvider(chat, max_tokens=int(limits.get("tokens", MANY)))
        self._budget = Budget(seconds=limits.get("seconds", 100.0))

    async def run(self) -> RepairResult:
        await self._model.risks([SUM], "python")  # loads the model, which is not what is timed
        request = RepairRequest(SUM, name="sums.py", budget=self._budget)
        return await repair(request, self._model, self._provider, store=self.store, on_progress=self._progress)

    def _progress(self, progress: SearchProgress) -> None:
        if "is writing" in progress.stage:
            self.writing.set()

    def sources(self) -> list[str]:
        """Who made the nodes of the record on disk."""
        tree = self.store.load()
        assert tree is not None
        return [node.source for node in tree.nodes]


class TestStreaming:
    async def test_pieces_come_while_the_model_writes(self, served: Served, at: Callable[..., EndpointChat]) -> None:
        """Before the model has written all, the first piece is there."""
        seen: list[int] = []

        def note(piece: str) -> None:
            if not seen:
                seen.append(served.requests()[-1].written)

        await at(served, key=served.key).complete(question(SUM, 10 * FEW), note)

        assert 1 <= seen[0] < 10 * FEW
        assert served.ended().state == "finished"

    async def test_the_pieces_are_the_answer_and_its_tokens_are_counted(
        self, served: Served, at: Callable[..., EndpointChat]
    ) -> None:
        pieces: list[str] = []

        reply = await at(served, key=served.key).complete(question(SUM, FEW), pieces.append)

        assert len(pieces) > 1
        assert "".join(pieces) == reply.text
        assert reply.completion_tokens == served.ended().written == FEW
        assert reply.prompt_tokens is not None
        assert 20 < reply.prompt_tokens < len(SUM)


class TestTimeOut:
    async def test_a_model_that_takes_too_long_to_begin(self, served: Served, at: Callable[..., EndpointChat]) -> None:
        before = len(served.requests())

        with pytest.raises(RepairError, match="did not answer in time") as caught:
            await at(served, key=served.key, timeout=0.02).complete(question(LONG, MANY))

        assert "use a quicker model" in caught.value.hint
        last = await asyncio.to_thread(served.ended, before)
        assert (last.state, last.written < MANY) == ("gone", True)

    async def test_a_model_that_writes_longer_than_the_repair_may_take(
        self, tmp_path: Path, model: WorkerModel, served: Served, at: Callable[..., EndpointChat]
    ) -> None:
        repairing = Repairing(tmp_path, model, at(served, key=served.key), seconds=1.5)

        with pytest.raises(RepairError, match=r"default did not answer within \d s") as caught:
            await repairing.run()

        assert caught.value.hint == "allow more time, or use a quicker model"
        last = served.ended()
        assert (last.state, repairing.sources()) == ("gone", ["given"])
        assert 0 < last.written < MANY


async def test_what_a_small_model_says_is_no_program_and_that_is_said(
    tmp_path: Path, model: WorkerModel, served: Served, at: Callable[..., EndpointChat]
) -> None:
    repairing = Repairing(tmp_path, model, at(served, key=served.key), tokens=64)

    with pytest.raises(RepairError, match="3 answers of default in a row held no new program that parses") as caught:
        await repairing.run()

    assert "use a larger model" in caught.value.hint
    tree = repairing.store.load()
    assert tree is not None
    answers = [node for node in tree.nodes if isinstance(node, FeedbackNode)]
    assert [(program_in(each.text, SUM), each.cost.completion_tokens) for each in answers] == [(None, 64)] * 3


async def test_cancelling_has_the_model_stop(
    tmp_path: Path, model: WorkerModel, served: Served, at: Callable[..., EndpointChat]
) -> None:
    repairing = Repairing(tmp_path, model, at(served, key=served.key))
    task = asyncio.create_task(repairing.run())
    await asyncio.wait_for(repairing.writing.wait(), 30)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    last = await asyncio.to_thread(served.ended)
    assert (last.state, repairing.sources()) == ("gone", ["given"])
    assert 0 < last.written < MANY


class TestGone:
    async def test_a_server_that_is_killed_while_its_model_writes(
        self, tmp_path: Path, model: WorkerModel, at: Callable[..., EndpointChat]
    ) -> None:
        with served_model() as doomed:
            chat = at(doomed, key=doomed.key)
            repairing = Repairing(tmp_path, model, chat)
            task = asyncio.create_task(repairing.run())
            await asyncio.wait_for(repairing.writing.wait(), 30)
            doomed.kill()

            with pytest.raises(RepairError, match="broke off") as caught:
                await task
            assert "is the server still running" in caught.value.hint
            assert repairing.sources() == ["given"]

            with pytest.raises(RepairError, match="no answer from") as caught:
                await repairing.run()
            assert "is the server running?" in caught.value.hint


class TestKey:
    async def test_without_the_key_nothing_is_written_and_it_is_said_where_it_goes(
        self, tmp_path: Path, model: WorkerModel, served: Served, at: Callable[..., EndpointChat]
    ) -> None:
        before = len(served.requests())
        repairing = Repairing(tmp_path, model, at(served))

        with pytest.raises(RepairError, match=r"refused: 401 .*a valid API key is required") as caught:
            await repairing.run()

        assert "OPENAI_API_KEY" in caught.value.hint
        assert len(served.requests()) == before
        assert repairing.sources() == ["given"]

    async def test_a_wrong_key_is_in_no_message(self, served: Served, at: Callable[..., EndpointChat]) -> None:
        with pytest.raises(RepairError, match="refused: 401") as caught:
            await at(served, key="sk-wrong").complete(question(SUM, FEW))

        assert "sk-wrong" not in f"{caught.value!r} {caught.value} {caught.value.hint}"
