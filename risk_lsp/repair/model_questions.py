"""What a repair asks of models: prompts for those that chat, questions to the hosted one; and why a number is high."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.risk.presentation import percent
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.document import Span
from risk_lsp.worker.messages import ScoredArrays

_FENCED = re.compile(r"```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_PYTHON = ("", "py", "python", "python3")


def python_blocks(answer: str) -> list[str]:
    """The fenced blocks of an answer that may be Python; the last one need not be closed."""
    return [block for language, block in _FENCED.findall(answer) if language.lower() in _PYTHON]


def without_blocks(answer: str) -> str:
    """The words around the fenced blocks."""
    return _FENCED.sub("", answer).strip()


PROMPTS_VERSION = 1  # a change of any wording raises it

SYSTEM = (
    "You repair programs. You change as little as possible, keep comments, names and style as they are, and never "
    "change what a function is for."
)
_PROGRAM = "This is {name}:\n\n```{language}\n{text}\n```\n"
_FAILURE = "\nRunning its tests ({command}) gave:\n\n```\n{failure}\n```\n"
_UNTESTED = "\nIt has no tests that can be run.\n"
_RISKS = "\nA calibrated model says how likely each of these lines has to be edited:\n\n{lines}\n"
_PART = "\nOnly lines {first} to {last} are to be changed.\n"
_HINT = "\nThe person who asks says: {hint}\n"
_FEEDBACK = "\nSomebody who read it says:\n\n{feedback}\n"
_ASK_FEEDBACK = (
    "\nExplain in at most five sentences what is wrong and where, with the value that shows it. Write no code, and do "
    "not repeat the program."
)
_ASK_REPAIR = "\nReply with the whole repaired program in one ```{language} block, and nothing behind it."
_ASK_JOINT = (
    "\nFirst say in at most three sentences what is wrong and where. Then give the whole repaired program in one "
    "```{language} block, and nothing behind it."
)


class RiskyLine(NamedTuple):
    """A line worth reading: its number from 1, its text, and how likely it has to be edited."""

    number: int
    text: str
    probability: float


class Situation(NamedTuple):
    """All that a model is told. lines: first and last, from 1, of the part to change. feedback: of somebody else."""

    name: str
    language_id: str
    text: str
    command: str
    failure: str
    risky: tuple[RiskyLine, ...]
    hint: str
    lines: tuple[int, int] | None = None
    feedback: str = ""


def feedback_prompt(situation: Situation) -> str:
    """Asks what is wrong; the answer goes into another prompt."""
    return _tell_situation(situation) + _ASK_FEEDBACK


def repair_prompt(situation: Situation) -> str:
    """Asks for the repaired program; the situation holds the feedback."""
    return _tell_situation(situation) + _ASK_REPAIR.format(language=situation.language_id)


def joint_prompt(situation: Situation) -> str:
    """Asks for an explanation and the repaired program in one answer."""
    return _tell_situation(situation) + _ASK_JOINT.format(language=situation.language_id)


def program_in(answer: str, before: str) -> str | None:
    """The last whole program in an answer, with the line ends of the text before; None if there is none."""
    programs = python_blocks(answer)
    if not programs:
        return None
    program = programs[-1].replace("\r\n", "\n").rstrip("\n")
    if not program.strip():
        return None
    if "\r\n" in before:
        program = program.replace("\n", "\r\n")
    ending = before[len(before.rstrip("\r\n")) :]
    return program + ending


def _tell_situation(situation: Situation) -> str:
    parts = [_PROGRAM.format(name=situation.name or "a file", language=situation.language_id, text=situation.text)]
    if situation.command:
        parts.append(_FAILURE.format(command=situation.command, failure=situation.failure or "a failure"))
    else:
        parts.append(_UNTESTED)
    if situation.risky:
        lines = "\n".join(f"line {line.number}, {percent(line.probability)}: {line.text}" for line in situation.risky)
        parts.append(_RISKS.format(lines=lines))
    if situation.lines is not None:
        parts.append(_PART.format(first=situation.lines[0], last=situation.lines[1]))
    if situation.hint:
        parts.append(_HINT.format(hint=situation.hint))
    if situation.feedback:
        parts.append(_FEEDBACK.format(feedback=situation.feedback))
    return "".join(parts)


_TEXTS_AT_ONCE = 32  # what waits behind a request, such as a keystroke's analysis, waits for so many texts


class Filling(NamedTuple):
    """A text that the model would write in a span's place, and its log-probability in nats."""

    text: str
    log_probability: float


class TokenAlternatives(NamedTuple):
    """A token of the text, the probability that the model gave it, and the tokens it expected there with their own."""

    span: Span
    probability: float
    expected: tuple[tuple[str, float], ...]


class WorkerModel:
    """The model that the worker hosts; `ask` is the supervisor's method of that name.

    All methods raise WorkerError if the worker goes away, and can be cancelled.
    """

    def __init__(self, ask: Callable[[str, dict[str, Any]], Awaitable[ScoredArrays]]) -> None:
        self._ask = ask

    async def risks(self, texts: Sequence[str], language_id: str) -> list[SpanRisk]:
        """The risks of each text, some texts at a time."""
        found: list[SpanRisk] = []
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            part = list(texts[first : first + _TEXTS_AT_ONCE])
            reply = await self._ask("risks", {"texts": part, "language_id": language_id})
            for number, header in enumerate(reply.header["risks"]):
                prefix = f"{number}."
                own = {
                    name.removeprefix(prefix): array for name, array in reply.arrays.items() if name.startswith(prefix)
                }
                found.append(RiskMap.from_arrays(header, own))
        return found

    async def infills(self, text: str, spans: Sequence[Span], *, count: int, max_tokens: int) -> list[list[Filling]]:
        """For each span, up to `count` texts in its place; none from a model that cannot fill in. Asks span by span."""
        found: list[list[Filling]] = []
        for span in spans:
            asked = {"text": text, "spans": [list(span)], "count": count, "max_tokens": max_tokens}
            reply = await self._ask("infill", asked)
            found += [[Filling(str(fill), float(nats)) for fill, nats in fills] for fills in reply.header["infills"]]
        return found

    async def alternatives(self, text: str, language_id: str, span: Span, top: int) -> list[TokenAlternatives]:
        """The tokens of a span, each with the `top` likeliest tokens in its place."""
        asked = {"text": text, "language_id": language_id, "span": list(span), "top": top}
        reply = await self._ask("alternatives", asked)
        return [
            TokenAlternatives(Span(start, end), probability, tuple((word, share) for word, share in expected))
            for start, end, probability, expected in reply.header["alternatives"]
        ]

    async def answer(
        self, adapter: str, prompt: str, *, max_tokens: int, temperature: float, seed: int
    ) -> tuple[str, int, int]:
        """What the hosted model says with the adapter of a folder, and the tokens that it read and wrote."""
        chosen = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        reply = await self._ask("chat", {"adapter": adapter, "prompt": prompt, **chosen})
        return reply.header["text"], reply.header["prompt_tokens"], reply.header["completion_tokens"]

    async def preferences(self, text: str, variants: Sequence[str]) -> NDArray[np.float64]:
        """For each variant, log p(its first token that differs) - log p(the text's token there) in nats,
        float64[variants].
        """
        reply = await self._ask("preferences", {"text": text, "variants": list(variants)})
        return np.asarray(reply.arrays.get("preferences", np.zeros(len(variants))), dtype=np.float64)


_TOKENS = 5
_EXPECTED = 3


@dataclass(frozen=True)
class TokenReason:
    """A token behind a number.

    probability: that the token has to be edited. share: of the sum of the probabilities of the span's tokens. seen: the
    probability that the model gave the token after what stands before it; None if it does not say. expected: what the
    model expected instead, with the probability of each.
    """

    span: Span
    text: str
    probability: float
    share: float
    seen: float | None
    expected: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Explanation:
    """The probability of a span, and the tokens that carry most of it, the likeliest to be edited first."""

    span: Span
    probability: float
    tokens: tuple[TokenReason, ...]


async def explain(model: WorkerModel, text: str, language_id: str, span: Span) -> Explanation:
    """Explain the number of a span. Raises as the model does."""
    (risk,) = await model.risks([text], language_id)
    expected = {each.span: each for each in await model.alternatives(text, language_id, span, _EXPECTED + 1)}
    inside = np.flatnonzero((risk.starts < span.end) & (risk.ends > span.start))
    probabilities = risk.token_probabilities(inside)
    total = float(probabilities.sum())
    reasons: list[TokenReason] = []
    for index in np.argsort(-probabilities, kind="stable"):
        token = Span(int(risk.starts[inside[index]]), int(risk.ends[inside[index]]))
        word = text[token.start : token.end]
        # A token of white space alone has no text to point at; tokens that share a character are named once.
        if word.strip() and total > 0 and all(reason.span != token for reason in reasons):
            probability = float(probabilities[index])
            found = expected.get(token)
            others = () if found is None else tuple(each for each in found.expected if each[0].strip() != word.strip())
            seen = None if found is None else found.probability
            reasons.append(TokenReason(token, word, probability, probability / total, seen, others[:_EXPECTED]))
        if len(reasons) == _TOKENS:
            break
    return Explanation(span, risk.probability(span.start, span.end), tuple(reasons))
