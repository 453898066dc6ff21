"""What models are asked for data. A change of any wording raises PROMPTS_VERSION."""

from __future__ import annotations

PROMPTS_VERSION = 1

COMPLETE_FUNCTION = (
    "Complete this Python program. Reply with the whole program, and nothing else, in one ```python block.\n\n"
    "```python\n{prompt}\n```\n"
)
WRITE_PROGRAM = (
    "Write a Python program. Reply with the program, and nothing else, in one ```python block.\n\n{prompt}\n"
)
WRITE_SCRIPT = (
    "Write a Python program that reads from standard input and writes to standard output. Reply with the program, and "
    "nothing else, in one ```python block.\n\n{prompt}\n"
)
MEND = (
    "This Python program does not do what was asked. Change as little as possible, keep comments, names and style as "
    "they are. Reply with the whole mended program, and nothing else, in one ```python block.\n\n"
    "What was asked:\n\n{asked}\n\nThe program:\n\n```python\n{program}\n```\n\n"
    "Its tests ended with:\n\n```\n{failure}\n```\n"
)
