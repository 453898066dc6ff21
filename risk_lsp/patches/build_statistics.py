"""What a data set of patches holds: coverage, and how much of a program its patch touches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from statistics import median, quantiles
from typing import Any

# Shares of lines at which the table of coverage is read.
_CAPS = (0.1, 0.2, 0.25, 0.33, 0.5, 0.67, 0.75, 1.0)


def statistics_of(records: Iterable[dict[str, Any]], max_share: float) -> dict[str, Any]:
    """Figures over all failing programs, without those that do not parse, and by benchmark and by model.

    Coverage is the share of failing programs with a label; shares of lines and tokens are medians over those.
    "coverage_by_share" says how many programs have a patch that touches no more than a share of their lines.
    """
    known = list(records)
    failing = [record for record in known if not record["passed"]]
    parsing = [record for record in failing if not record["syntax_error"]]
    return {
        "programs": len(known),
        "passing": len(known) - len(failing),
        "failing": len(failing),
        "syntax_errors": len(failing) - len(parsing),
        "max_share": max_share,
        "all_failing": _figures(failing),
        "without_syntax_errors": _figures(parsing),
        "by_benchmark": _by(parsing, lambda record: str(record["benchmark"])),
        "by_model": _by(parsing, lambda record: str(record["model"])),
        "coverage_by_share": {str(cap): _covered(parsing, cap) for cap in _CAPS},
        "seconds": round(sum(record.get("seconds", 0) for record in failing), 1),
        "runs": sum(record.get("runs", 0) for record in failing),
        "asked": _asked([record["answered"] for record in failing if "answered" in record]),
    }


def _asked(asked: list[dict[str, Any]]) -> dict[str, Any]:
    """Of how many programs a language model was asked, which models that were, and what it took."""
    names = ("answers", "prompt_tokens", "completion_tokens")
    models = sorted({str(each["model"]) for each in asked})
    return {"programs": len(asked), "models": models, **{name: sum(each[name] for each in asked) for name in names}}


def _figures(records: list[dict[str, Any]]) -> dict[str, Any]:
    patched = [record["patch"] for record in records if record["edited"] is not None]
    lines = [patch["lines_touched"] / max(patch["lines"], 1) for patch in patched]
    tokens = [patch["tokens_touched"] / max(patch["tokens"], 1) for patch in patched]
    return {
        "failing": len(records),
        "patched": len(patched),
        "coverage": _rounded(len(patched) / len(records)) if records else None,
        "median_share_of_lines": _rounded(median(lines)) if lines else None,
        "quartiles_share_of_lines": [_rounded(value) for value in quantiles(lines, n=4)] if len(lines) > 1 else None,
        "median_share_of_tokens": _rounded(median(tokens)) if tokens else None,
        "median_hunks": median(len(patch["hunks"]) for patch in patched) if patched else None,
        "sources": dict(Counter(patch["source"] for patch in patched).most_common()),
    }


def _by(records: list[dict[str, Any]], key: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        parts[key(record)].append(record)
    return {name: _figures(parts[name]) for name in sorted(parts, key=lambda name: (-len(parts[name]), name))}


def _covered(records: list[dict[str, Any]], cap: float) -> dict[str, Any]:
    shares = [
        record["patch"]["lines_touched"] / max(record["patch"]["lines"], 1) for record in records if "patch" in record
    ]
    within = [share for share in shares if share <= cap]
    return {
        "coverage": _rounded(len(within) / len(records)) if records else None,
        "median_share_of_lines": _rounded(median(within)) if within else None,
    }


def _rounded(value: float) -> float:
    return round(value, 4)
