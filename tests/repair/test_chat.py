"""Repairs by a model that is asked in words: the editor's own, through its callback, and a real endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.errors import RepairError
from risk_lsp.repair.chat import ChatMessage, ChatProvider, ChatRequest, EditorChat
from risk_lsp.repair.endpoint import EndpointChat, EndpointOptions
from risk_lsp.repair.model_questions import WorkerModel
from risk_lsp.repair.orchestration import CAVEAT, CAVEAT_NOT_LOWER, repair
from risk_lsp.repair.test_plan import TestPlan, find_tests
from risk_lsp.repair.tree import FeedbackNode, TreeStore
from risk_lsp.repair.workbench import Budget, RepairRequest, RepairResult
from risk_lsp.risk.engine import Engine
from tests.repair import chat_server as ways
from tests.repair.chat_server import ChatServer, chat_server
from tests.repair.models import FIXED_SUM, SUM

QUESTION = ChatRequest((ChatMessage("user", "Hello?"),), 100, 0.0)
RIGHT = f"It starts at 1.\n```python\n{FIXED_SUM}```\n"
ODDER = SUM.replace("return total", "return total if not numbers else numbers[0] - total")
BROKEN = "```python\ndef add_all(numbers:\n    return 0\n```\n"
WRONG = f"It adds too little.\n```python\n{SUM.replace('+=', '-=')}```\n"


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with chat_server(Engine.load(threads=1)) as running:
        yield running


@pytest.fixture
def endpoint(server: ChatServer) -> ChatServer:
    server.ways.clear()
    server.asked.clear()
    server.keys.clear()
    for event in (server.arrived, server.left, server.release):
        event.clear()
    return server


def chat_at(server: ChatServer, **options: Any) -> EndpointChat:
    return EndpointChat(EndpointOptions("default", server.url, "sk-secret", retries=0, **options))


def doctests(folder: Path) -> TestPlan:
    path = folder / "sums.py"
    path.write_text(SUM)
    plan = find_tests(path, SUM)
    assert plan is not None
    return plan


class TestEndpoint:
    async def test_an_answer_comes_in_pieces_and_its_tokens_are_counted(self, endpoint: ChatServer) -> None:
        endpoint.ways = [ways.write("Hel", "lo", "!")]
        pieces: list[str] = []

        reply = await chat_at(endpoint).complete(QUESTION, pieces.append)

        assert pieces == ["Hel", "lo", "!"]
        assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("Hello!", 40, 10)

    async def test_the_key_goes_to_the_endpoint_and_into_no_message(self, endpoint: ChatServer) -> None:
        endpoint.ways = [ways.refuse]

        with pytest.raises(RepairError, match="no such model") as caught:
            await chat_at(endpoint).complete(QUESTION)

        assert endpoint.keys == ["Bearer sk-secret"]
        assert "sk-secret" not in f"{caught.value!r} {caught.value} {EndpointOptions('m', None, 'sk-secret')!r}"

    async def test_silence_ends_with_a_time_out(self, endpoint: ChatServer) -> None:
        endpoint.ways = [ways.hang]

        with pytest.raises(RepairError, match="did not answer in time") as caught:
            await chat_at(endpoint, timeout=0.3).complete(QUESTION)
        assert "use a quicker model" in caught.value.hint

    async def test_an_endpoint_that_is_busy_is_asked_again(self, endpoint: ChatServer) -> None:
        endpoint.ways = [ways.be_busy, ways.write("Hello!")]

        reply = await EndpointChat(EndpointOptions("default", endpoint.url, retries=1)).complete(QUESTION)

        assert (reply.text, len(endpoint.asked)) == ("Hello!", 2)

    async def test_one_that_stays_busy_is_given_up(self, endpoint: ChatServer) -> None:
        endpoint.ways = [ways.be_busy, ways.be_busy]

        with pytest.raises(RepairError, match="refused: 503") as caught:
            await EndpointChat(EndpointOptions("default", endpoint.url, retries=1)).complete(QUESTION)
        assert "ask again later" in caught.value.hint

    @pytest.mark.parametrize("way", [ways.break_off, ways.write_garbage])
    async def test_an_answer_that_cannot_be_read_is_an_error_with_a_way_out(
        self, endpoint: ChatServer, way: ways.Handle
    ) -> None:
        endpoint.ways = [way]

        with pytest.raises(RepairError) as caught:
            await chat_at(endpoint).complete(QUESTION)

        assert caught.value.hint

    async def test_an_empty_answer_is_an_error(self, endpoint: ChatServer) -> None:
        endpoint.ways = [ways.write()]

        with pytest.raises(RepairError, match="without a text"):
            await chat_at(endpoint).complete(QUESTION)

    async def test_cancelling_closes_the_connection(self, endpoint: ChatServer) -> None:
        endpoint.ways = [ways.hang_after_a_piece]
        begun = asyncio.Event()

        task = asyncio.create_task(chat_at(endpoint).complete(QUESTION, lambda piece: begun.set()))
        await asyncio.wait_for(begun.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert await asyncio.to_thread(endpoint.left.wait, 20)

    async def test_a_server_that_is_gone_is_named(self) -> None:
        with chat_server(Engine.load(threads=1)) as server:
            url = server.url

        with pytest.raises(RepairError, match="no answer from") as caught:
            await EndpointChat(EndpointOptions("default", url, retries=0)).complete(QUESTION)
        assert "is the server running?" in caught.value.hint

    def test_a_service_needs_a_key(self) -> None:
        with pytest.raises(RepairError, match="no key") as caught:
            EndpointChat(EndpointOptions("gpt", None, None))
        assert "OPENAI_API_KEY" in caught.value.hint


@pytest.mark.usefixtures("sandboxed")
class TestRepairs:
    async def repaired(self, folder: Path, model: WorkerModel, provider: ChatProvider, **options: Any) -> RepairResult:
        request = RepairRequest(SUM, name="sums.py", **options)
        store = TreeStore(folder / "tree.json")
        return await repair(request, model, provider, tests=doctests(folder), store=store)

    async def test_the_embedded_default_behind_an_endpoint_goes_through_every_stage(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer
    ) -> None:
        provider = ChatProvider(chat_at(endpoint), feedback="same")

        result = await self.repaired(tmp_path, model, provider, budget=Budget(tokens=3000, executions=3))

        kinds = [type(node).__name__ for node in result.tree.nodes[:3]]
        assert kinds == ["ProgramNode", "FeedbackNode", "ProgramNode"]
        assert result.cost.tokens > 0
        assert result.status in ("repaired", "not found")

    async def test_the_question_holds_the_failure_the_risks_and_the_hint(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer
    ) -> None:
        endpoint.ways = [ways.write(RIGHT)]

        await self.repaired(tmp_path, model, ChatProvider(chat_at(endpoint)), hint="look at the start")

        question = endpoint.asked[0]["messages"][-1]["content"]
        assert "add_all([1, 2]): got 4, expected 3" in question
        assert "The person who asks says: look at the start" in question
        assert "%: total = 1" in question

    async def test_a_repair_that_fails_is_repaired_in_its_turn(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer
    ) -> None:
        endpoint.ways = [ways.write(WRONG), ways.write(RIGHT)]

        result = await self.repaired(tmp_path, model, ChatProvider(chat_at(endpoint), breadth=1))

        assert (result.status, result.offers[0].text) == ("repaired", FIXED_SUM)
        assert "total -= number" in endpoint.asked[1]["messages"][-1]["content"]

    async def test_a_repair_is_cut_down_to_what_the_tests_need(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer
    ) -> None:
        chatty = FIXED_SUM.replace("    return total", "    # that is all\n    return total")
        endpoint.ways = [ways.write(f"```python\n{chatty}```")]

        result = await self.repaired(tmp_path, model, ChatProvider(chat_at(endpoint)))

        assert result.offers[0].text == FIXED_SUM

    async def test_feedback_may_come_from_another_model(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer
    ) -> None:
        async def critic(asked: dict[str, Any]) -> dict[str, Any]:
            return {"text": "The total starts at 1."}

        endpoint.ways = [ways.write(RIGHT)]
        provider = ChatProvider(chat_at(endpoint), feedback=EditorChat(critic, "a critic"))

        result = await self.repaired(tmp_path, model, provider)

        (words,) = [node for node in result.tree.nodes if isinstance(node, FeedbackNode)]
        assert (words.text, words.source) == ("The total starts at 1.", "a critic")
        assert "Somebody who read it says:\n\nThe total starts at 1." in endpoint.asked[0]["messages"][-1]["content"]

    async def test_answers_without_a_program_end_it_with_advice(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer
    ) -> None:
        endpoint.ways = [ways.write("I would rather not.") for _ in range(3)]

        with pytest.raises(RepairError, match="3 answers") as caught:
            await self.repaired(tmp_path, model, ChatProvider(chat_at(endpoint)))
        assert caught.value.hint

    async def test_a_program_that_does_not_parse_is_no_repair(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer
    ) -> None:
        endpoint.ways = [ways.write(BROKEN), ways.write(RIGHT)]

        result = await self.repaired(tmp_path, model, ChatProvider(chat_at(endpoint)))

        assert [offer.text for offer in result.offers] == [FIXED_SUM]
        assert "SyntaxError" in [node.verdict.reason for node in result.tree.programs if node.verdict]

    async def test_the_budget_of_tokens_holds(self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer) -> None:
        wrong = [SUM.replace("= 1", f"= {start}") for start in range(2, 50)]
        endpoint.ways = [ways.write(f"```python\n{program}```") for program in wrong]

        with pytest.raises(RepairError, match="no room for an answer"):
            await self.repaired(tmp_path, model, ChatProvider(chat_at(endpoint)), budget=Budget(tokens=700))
        assert len(endpoint.asked) < 15

    async def test_the_same_answer_over_and_over_ends_it(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer
    ) -> None:
        endpoint.ways = [ways.write(WRONG) for _ in range(4)]

        with pytest.raises(RepairError, match="no new program"):
            await self.repaired(tmp_path, model, ChatProvider(chat_at(endpoint)))

        assert len(endpoint.asked) == 4

    async def test_the_server_dies_and_the_record_stays(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer
    ) -> None:
        endpoint.ways = [ways.write(WRONG), ways.break_off]

        with pytest.raises(RepairError):
            await self.repaired(tmp_path, model, ChatProvider(chat_at(endpoint)))

        tree = TreeStore(tmp_path / "tree.json").load()
        assert tree is not None
        assert [node.source for node in tree.programs] == ["given", "default"]
        assert (tmp_path / "sums.py").read_text() == SUM

    async def test_a_repair_goes_on_from_where_the_server_died(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer
    ) -> None:
        endpoint.ways = [ways.write(WRONG), ways.break_off, ways.write(RIGHT)]
        provider = ChatProvider(chat_at(endpoint), breadth=1)
        with pytest.raises(RepairError):
            await self.repaired(tmp_path, model, provider)

        result = await self.repaired(tmp_path, model, provider)

        assert result.status == "repaired"
        assert [node.verdict.passed for node in result.tree.programs if node.verdict] == [False, False, True]
        assert "total -= number" in endpoint.asked[-1]["messages"][-1]["content"]

    @pytest.mark.parametrize("way", [ways.break_off, ways.write_garbage, ways.refuse])
    @pytest.mark.parametrize("answers", range(4), ids=["feedback", "repair", "second feedback", "second repair"])
    async def test_an_endpoint_that_fails_at_any_stage_leaves_what_was_there(
        self, tmp_path: Path, model: WorkerModel, endpoint: ChatServer, answers: int, way: ways.Handle
    ) -> None:
        given = [ways.write("It adds too little."), ways.write(WRONG), ways.write("Worse."), ways.write(RIGHT)]
        endpoint.ways = [*given[:answers], way]

        with pytest.raises(RepairError) as caught:
            await self.repaired(tmp_path, model, ChatProvider(chat_at(endpoint), feedback="same", breadth=1))

        assert caught.value.hint
        tree = TreeStore(tmp_path / "tree.json").load()
        assert tree is not None
        kinds = ["ProgramNode", "FeedbackNode", "ProgramNode", "FeedbackNode"]
        assert [type(node).__name__ for node in tree.nodes] == kinds[: answers + 1]
        assert (tmp_path / "sums.py").read_text() == SUM


class TestWithoutTests:
    async def repaired(self, model: WorkerModel, endpoint: ChatServer, *answers: str) -> RepairResult:
        endpoint.ways = [ways.write(answer) for answer in answers]
        return await repair(RepairRequest(SUM), model, ChatProvider(chat_at(endpoint)))

    async def test_a_program_that_does_not_parse_is_not_offered(self, model: WorkerModel, endpoint: ChatServer) -> None:
        result = await self.repaired(model, endpoint, BROKEN, RIGHT)

        assert (result.status, [offer.text for offer in result.offers]) == ("suggested", [FIXED_SUM])

    async def test_the_caveat_says_whether_the_risk_is_lower(self, model: WorkerModel, endpoint: ChatServer) -> None:
        said = {}
        for given, answer in ((ODDER, SUM), (SUM, ODDER)):
            endpoint.ways = [ways.write(f"```python\n{answer}```")]
            result = await repair(RepairRequest(given), model, ChatProvider(chat_at(endpoint)))
            said[result.offers[0].risk_after < result.offers[0].risk_before] = result.message.partition(";")[0]

        assert said == {True: CAVEAT, False: CAVEAT_NOT_LOWER}


class TestEditor:
    async def test_the_editor_is_asked_in_json(self) -> None:
        asked: list[dict[str, Any]] = []

        async def ask(request: dict[str, Any]) -> dict[str, Any]:
            asked.append(request)
            return {"text": "Hello!", "promptTokens": 3}

        reply = await EditorChat(ask).complete(QUESTION)

        assert asked == [{"messages": [{"role": "user", "content": "Hello?"}], "maxTokens": 100, "temperature": 0.0}]
        assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("Hello!", 3, None)

    @pytest.mark.parametrize("answer", [None, {}, {"error": "not signed in"}, {"text": 3}, []])
    async def test_no_answer_is_an_error_that_says_what_to_do(self, answer: Any) -> None:
        async def ask(request: dict[str, Any]) -> Any:
            return answer

        with pytest.raises(RepairError) as caught:
            await EditorChat(ask).complete(QUESTION)
        assert caught.value.hint
