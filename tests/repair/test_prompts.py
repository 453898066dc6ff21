"""What models are asked: pinned, for another wording makes other repairs."""

from __future__ import annotations

from hashlib import sha256

import pytest

from risk_lsp.repair.model_questions import (
    PROMPTS_VERSION,
    RiskyLine,
    Situation,
    feedback_prompt,
    joint_prompt,
    program_in,
    repair_prompt,
    without_blocks,
)

SITUATION = Situation(
    "a.py",
    "python",
    "def f(x):\n    return x + 1\n",
    "pytest -q",
    "f(1): got 2, expected 1",
    (RiskyLine(2, "return x + 1", 0.412),),
    "off by one?",
    (2, 2),
    "It adds one.",
)


def test_a_repair_is_asked_for_in_these_words() -> None:
    assert repair_prompt(SITUATION) == (
        "This is a.py:\n\n```python\ndef f(x):\n    return x + 1\n\n```\n"
        "\nRunning its tests (pytest -q) gave:\n\n```\nf(1): got 2, expected 1\n```\n"
        "\nA calibrated model says how likely each of these lines has to be edited:\n\nline 2, 41%: return x + 1\n"
        "\nOnly lines 2 to 2 are to be changed.\n"
        "\nThe person who asks says: off by one?\n"
        "\nSomebody who read it says:\n\nIt adds one.\n"
        "\nReply with the whole repaired program in one ```python block, and nothing behind it."
    )


def test_what_is_not_known_is_not_mentioned() -> None:
    bare = Situation("", "python", "x = 1\n", "", "", (), "")

    assert feedback_prompt(bare) == (
        "This is a file:\n\n```python\nx = 1\n\n```\n"
        "\nIt has no tests that can be run.\n"
        "\nExplain in at most five sentences what is wrong and where, with the value that shows it. Write no code, and "
        "do not repeat the program."
    )


def test_another_wording_is_another_version() -> None:
    words = "".join(prompt(SITUATION) for prompt in (feedback_prompt, repair_prompt, joint_prompt))

    assert (PROMPTS_VERSION, sha256(words.encode()).hexdigest()[:12]) == (1, "12fd1cec988f")


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("```python\nx = 2\n```", "x = 2\n"),
        ("Words.\n```py\nx = 2\n```\nMore words.", "x = 2\n"),
        ("```\nx = 1\n```\nbetter:\n```python\nx = 2\n```", "x = 2\n"),
        ("```python\nx = 2", "x = 2\n"),
        ("x = 2", None),
        ("```python\n\n```", None),
        ("```json\n{}\n```", None),
    ],
)
def test_the_last_program_of_an_answer_counts(answer: str, program: str | None) -> None:
    assert program_in(answer, "x = 1\n") == program


def test_a_program_keeps_the_line_ends_of_the_file() -> None:
    assert program_in("```python\na = 1\nb = 2\n```", "a = 0\r\nb = 0") == "a = 1\r\nb = 2"


def test_words_are_what_stands_around_the_program() -> None:
    assert without_blocks("It is wrong.\n```python\nx = 2\n```\n") == "It is wrong."
