"""What tests print, cut down to what a model or a person needs: the end of it, without paths of the sandbox."""

from __future__ import annotations

import re

_LONGEST = 2_000
_LONGEST_LINE = 300
_SANDBOX_PATHS = re.compile(r"/tmp/tmp\w+/|/workspace/")
_NOISE = re.compile(r"^(=+|-+|_+|\s*)$|^\s*\^+\s*$|^(FAILED|ERROR) ")


def trimmed(output: str, longest: int = _LONGEST) -> str:
    """The last characters of an output, on whole lines, rules and blank lines left out, long lines cut."""
    kept: list[str] = []
    size = 0
    for line in reversed(_SANDBOX_PATHS.sub("", output).splitlines()):
        short = line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} ..."
        if _NOISE.match(short):
            continue
        size += len(short) + 1
        if size > longest:
            kept.append("...")
            break
        kept.append(short)
    return "\n".join(reversed(kept))
