"""Whether a text is like those that the probabilities were measured on."""

from __future__ import annotations

LANGUAGE = "python"
# Lines. Held-out programs have 37 on average and 184 at most; files of twelve of them, some 450 lines that are read
# part by part, are as far as the order of lines was measured (docs/probe-attempts.md).
LONGEST = 500
UNLIKE_ALL = 0.99  # of the held-out programs, this share was less unusual to the model


def reason_outside(language_id: str, line_count: int, novelty: float | None) -> str | None:
    """Why the numbers may not hold for a text, as one clause for people; None if nothing speaks against them."""
    if language_id != LANGUAGE:
        return f"the numbers were measured on Python programs, and the language of this one is {language_id}"
    if line_count > LONGEST:
        return f"the numbers were measured on short programs, and this one has {line_count:,} lines, over {LONGEST:,}"
    if novelty is not None and novelty >= UNLIKE_ALL:
        return "this program is unlike those that the numbers were measured on"
    return None
