"""What a watched run of failing tests showed: which lines ran in what failed, and what was expected.

Lines are weighed as in spectrum-based fault localisation (Ochiai: Abreu, Zoeteweij and van Gemund, 2006).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from risk_lsp.repair.watching import MARK


@dataclass(frozen=True)
class Evidence:
    """Lines are those of the program, from 0.

    suspicion: by line, from 0 to 1; a line without an entry did not run in anything that failed. error_lines: where
    exceptions came from, the innermost last. failures: (name of the exception, what was said,
    and where in the program it came from).
    """

    suspicion: dict[int, float]
    error_lines: tuple[int, ...]
    failures: tuple[tuple[str, str], ...]


NO_EVIDENCE = Evidence({}, (), ())


def read_evidence(stdout: str) -> Evidence:
    """What a watched run printed as evidence; NO_EVIDENCE where there is none."""
    report = stdout.rpartition(MARK)[2].partition("\n")[0]
    if MARK not in stdout:
        return NO_EVIDENCE
    try:
        failed, passed, failures = json.loads(report)
        return Evidence(
            _ochiai([set(map(int, lines)) for lines in failed], [set(map(int, lines)) for lines in passed]),
            tuple(int(line) - 1 for _, _, lines in failures for line in lines[-2:]),
            tuple((str(name), _placed(str(said), [int(line) for line in lines])) for name, said, lines in failures),
        )
    except (ValueError, TypeError):
        return NO_EVIDENCE


def _placed(said: str, lines: list[int]) -> str:
    """What was said, with the program's lines of the traceback, innermost last, unless it names the line itself."""
    if not lines or f"line {lines[-1]})" in said:
        return said
    places = " -> ".join(str(line) for line in lines[-3:])
    return f"{said} (from line {places})".strip()


def _ochiai(failed: list[set[int]], passed: list[set[int]]) -> dict[int, float]:
    """failed(line) / sqrt(all failed x runs of the line)."""
    weights = {}
    for line in set().union(*failed):
        in_failed = sum(line in lines for lines in failed)
        in_passed = sum(line in lines for lines in passed)
        weights[line - 1] = in_failed / math.sqrt(len(failed) * (in_failed + in_passed))
    return weights
