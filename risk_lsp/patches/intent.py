"""What was asked, put in front of a program: the way the labelled programs show a task to a model."""

from __future__ import annotations


def with_intent(program: str, prompt: str) -> tuple[str, int]:
    """The program with what was asked as its module docstring, and how many characters that put in front.

    A program that already says what was asked (its prompt's longest line is in it) stays as it is.
    """
    lines = [line.strip() for line in prompt.splitlines() if line.strip()]
    if not lines or max(lines, key=len) in program:
        return program, 0
    header = '"""' + prompt.replace("\\", "\\\\").replace('"""', "'''") + '\n"""\n'
    return header + program, len(header)
