"""What models are asked, and how their answers are read. A change of any wording raises PROMPTS_VERSION."""

from __future__ import annotations

import re
from typing import NamedTuple

from risk_lsp.risk.presentation import percent

_FENCED = re.compile(r"```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_PYTHON = ("", "py", "python", "python3")


def python_blocks(answer: str) -> list[str]:
    """The fenced blocks of an answer that may be Python; the last one need not be closed."""
    return [block for language, block in _FENCED.findall(answer) if language.lower() in _PYTHON]


def without_blocks(answer: str) -> str:
    """The words around the fenced blocks."""
    return _FENCED.sub("", answer).strip()


PROMPTS_VERSION = 1

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
    return _told(situation) + _ASK_FEEDBACK


def repair_prompt(situation: Situation) -> str:
    """Asks for the repaired program; the situation holds the feedback."""
    return _told(situation) + _ASK_REPAIR.format(language=situation.language_id)


def joint_prompt(situation: Situation) -> str:
    """Asks for an explanation and the repaired program in one answer."""
    return _told(situation) + _ASK_JOINT.format(language=situation.language_id)


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


def _told(situation: Situation) -> str:
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
