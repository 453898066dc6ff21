"""Repairs by a model that is asked in words, at an endpoint or in the editor, until a program passes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from risk_lsp.errors import RepairError, RiskError
from risk_lsp.repair.model_questions import (
    SYSTEM,
    RiskyLine,
    Situation,
    WorkerModel,
    feedback_prompt,
    joint_prompt,
    program_in,
    repair_prompt,
    without_blocks,
)
from risk_lsp.repair.tree import Cost, ProgramNode
from risk_lsp.repair.workbench import Proposal, Workbench, is_sound
from risk_lsp.risk.presentation import code_line_risks, riskiest_lines
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.document import LineIndex

_RISKY_LINES = 5
_CHARACTERS_PER_TOKEN = 3.5  # an estimate, where an endpoint does not count
_SMALLEST_ANSWER = 64
_HOSTED_TOKENS = 512  # of an answer: some seconds on a processor, in which the worker does nothing else
_UNREADABLE = 3  # answers without a program, one after the other, before it is given up


class ChatMessage(NamedTuple):
    """role: "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True)
class ChatRequest:
    """What a model is asked. max_tokens: of its answer."""

    messages: tuple[ChatMessage, ...]
    max_tokens: int
    temperature: float


@dataclass(frozen=True)
class ChatReply:
    """A model's answer, and the tokens that it read and wrote; None where that is not said."""

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Chat(Protocol):
    """A model that can be asked. Cancelling the task ends the request."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    async def complete(self, request: ChatRequest, on_text: Callable[[str], None] | None = None) -> ChatReply:
        """One answer; `on_text` gets it piece by piece. Raises RepairError, whose hint says what to do."""
        ...


class ChatProvider:
    """Asks `chat` for repairs until one passes. Without tests the first program that parses is all there is.

    feedback: "joint" for words and program in one answer, "same" for words first, or another model that gives them; a
    person's hint is part of every prompt. breadth: repairs of the given program before repairs of repairs.
    """

    def __init__(
        self,
        chat: Chat,
        *,
        feedback: Literal["joint", "same"] | Chat = "joint",
        temperature: float = 0.6,
        max_tokens: int = 2048,
        breadth: int = 3,
    ) -> None:
        self.name = chat.name
        self._chat = chat
        self._critic: Chat | None = None if feedback == "joint" else chat if feedback == "same" else feedback
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._breadth = breadth

    async def search(self, bench: Workbench) -> None:
        """Ask, run, and ask again about what failed, until a program passes or the budget ends."""
        unreadable = 0
        while not bench.is_over:
            repairs = [node for node in bench.tree.programs[1:] if node.verdict is not None and not node.verdict.passed]
            deeper = len(repairs) - self._breadth
            # The given program is asked about some times, then the newest repair that failed, and after a chain as long
            # as the breadth the given program again.
            is_anew = deeper < 0 or deeper % (self._breadth + 1) == self._breadth
            base = bench.root if is_anew else repairs[-1]
            node = await self._attempt(bench, base)
            if node is None:
                unreadable += 1
                if unreadable == _UNREADABLE:
                    raise RepairError(
                        f"{unreadable} answers of {self.name} in a row held no new program that parses",
                        "use a larger model, or one that follows instructions, or give a hint",
                    )
                continue
            unreadable = 0
            if node.verdict is None or node.verdict.passed:
                return

    async def _attempt(self, bench: Workbench, base: ProgramNode) -> ProgramNode | None:
        """One repair of `base`, run; None if the answer held no program, one that is known, or, without tests, one that
        cannot be offered."""
        situation = await self._situation(bench, base)
        parent: int = base.id
        if self._critic is not None:
            bench.show(f"asking {self._critic.name} what is wrong")
            reply, cost = await self._ask(bench, self._critic, feedback_prompt(situation))
            parent = (await bench.note(reply.text.strip(), self._critic.name, parent, cost)).id
            situation = situation._replace(feedback=reply.text.strip())
        bench.show(f"asking {self.name} for a repair")
        prompt = joint_prompt(situation) if self._critic is None else repair_prompt(situation)
        reply, cost = await self._ask(bench, self._chat, prompt)
        program = program_in(reply.text, bench.request.text)
        # Tests tell about any program, broken ones too; without them it has to be one that may be offered.
        if (
            program is None
            or bench.is_known(program)
            or (bench.execution is None and not is_sound(bench.request, program))
        ):
            await bench.note(reply.text.strip(), self.name, parent, cost)
            return None
        if self._critic is None and (words := without_blocks(reply.text)):
            parent = (await bench.note(words, self.name, parent, Cost())).id
        bench.show("running the tests")
        nodes = await bench.try_all([Proposal(program, self.name, cost)], parent, detailed=True)
        return nodes[0] if nodes else None

    async def _ask(self, bench: Workbench, chat: Chat, prompt: str) -> tuple[ChatReply, Cost]:
        messages = (ChatMessage("system", SYSTEM), ChatMessage("user", prompt))
        size = round(sum(len(message.content) for message in messages) / _CHARACTERS_PER_TOKEN)
        room = min(self._max_tokens, bench.tokens_left - size)
        if room < _SMALLEST_ANSWER:
            raise RepairError(
                f"a question of about {size} tokens leaves no room for an answer in a budget of {bench.tokens_left}",
                "allow more tokens, or move what is to be repaired into a smaller file",
            )
        started = time.monotonic()
        left = max(1.0, bench.request.budget.seconds - bench.spent.seconds)
        pieces: list[int] = []

        def count(piece: str) -> None:
            pieces.append(len(piece))
            bench.show(f"{chat.name} is writing ({sum(pieces)} characters)")

        try:
            reply = await asyncio.wait_for(chat.complete(ChatRequest(messages, room, self._temperature), count), left)
        except asyncio.TimeoutError:
            raise RepairError(
                f"{chat.name} did not answer within {left:.0f} s", "allow more time, or use a quicker model"
            ) from None
        read = size if reply.prompt_tokens is None else reply.prompt_tokens
        wrote = reply.completion_tokens
        if wrote is None:
            wrote = round(len(reply.text) / _CHARACTERS_PER_TOKEN)
        return reply, Cost(read, wrote, 0, time.monotonic() - started)

    async def _situation(self, bench: Workbench, base: ProgramNode) -> Situation:
        request = bench.request
        text = bench.tree.text_of(base)
        (risk,) = [await bench.risk()] if base.id == 0 else await bench.model.risks([text], request.language_id)
        lines = LineIndex(text)
        part = None
        if request.span is not None and base.id == 0:
            part = (
                lines.line_of(request.span.start) + 1,
                lines.line_of(max(request.span.start, request.span.end - 1)) + 1,
            )
        return Situation(
            request.name,
            request.language_id,
            text,
            bench.tree.task.tests,
            base.verdict.failure if base.verdict else "",
            risky_lines(risk, text, request.language_id),
            request.hint,
            part,
        )


def risky_lines(risk: SpanRisk, text: str, language_id: str) -> tuple[RiskyLine, ...]:
    """The few lines of a text that a question points at, in their order."""
    lines = LineIndex(text)
    probabilities = code_line_risks(risk, text, language_id)
    return tuple(
        RiskyLine(line + 1, lines.slice(lines.start(line), lines.content_end(line)).strip(), float(probabilities[line]))
        for line in sorted(riskiest_lines(probabilities, _RISKY_LINES))
    )


class HostedChat:
    """A Chat: the hosted model with the adapter in a folder, which was trained on the product's own questions.

    What the system says is part of the adapter's chat format. Answers are drawn by a seed for each question in turn.
    """

    def __init__(self, model: WorkerModel, adapter: Path) -> None:
        self.name = f"the hosted model with {adapter.name}"
        self._model = model
        self._adapter = str(adapter.absolute())
        self._asked = 0

    async def complete(self, request: ChatRequest, on_text: Callable[[str], None] | None = None) -> ChatReply:
        """One answer, whole."""
        self._asked += 1
        prompt = request.messages[-1].content
        tokens = min(request.max_tokens, _HOSTED_TOKENS)
        try:
            answer = await self._model.answer(
                self._adapter, prompt, max_tokens=tokens, temperature=request.temperature, seed=self._asked
            )
        except RiskError as error:
            raise RepairError(error.message, error.hint) from error
        reply = ChatReply(*answer)
        if on_text is not None:
            on_text(reply.text)
        return reply


Ask = Callable[[dict[str, Any]], Awaitable[Any]]


class EditorChat:
    """A Chat. `ask` sends {"messages", "maxTokens", "temperature"} and gives {"text", ...} or {"error"}."""

    def __init__(self, ask: Ask, name: str = "the editor's model") -> None:
        self.name = name
        self._ask = ask

    async def complete(self, request: ChatRequest, on_text: Callable[[str], None] | None = None) -> ChatReply:
        """One answer, whole; cancelling it cancels `ask`."""
        asked = {
            "messages": [message._asdict() for message in request.messages],
            "maxTokens": request.max_tokens,
            "temperature": request.temperature,
        }
        answer = await self._ask(asked)
        if not isinstance(answer, dict):
            raise RepairError("the editor gave no answer", "choose another model in the editor, or another provider")
        if isinstance(answer.get("error"), str):
            raise RepairError(
                f"the editor's model refused: {answer['error']}", "sign in to it in the editor, or use another provider"
            )
        if not isinstance(answer.get("text"), str):
            raise RepairError("the editor's answer holds no text", "update the editor's extension")
        if on_text is not None:
            on_text(answer["text"])
        return ChatReply(answer["text"], _count(answer.get("promptTokens")), _count(answer.get("completionTokens")))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
