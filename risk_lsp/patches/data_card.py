"""The data card of a set of patches, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

_INTRODUCTION = """\
# Minimal patches of model-written programs

Every record is one program that a language model wrote (docs/probe.md, "labelled programs"). A failing program's label
is what a minimal patch touches: with the patch the program passes its problem's tests, and with any one of its hunks
left out it does not. Comments, docstrings and what the model was given are never touched. docs/patches.md says how
patches are found and what the fields mean.

Labels say what *one* small fix touches, with the problem's tests as the judge: another fix may be as good, a fault that
no test meets is not marked, and a patch that was found is an upper bound on the smallest one. A patch that touches more
than {cap} of the lines is kept but gives no label.
"""


def data_card(
    statistics: dict[str, Any],
    records: Iterable[dict[str, Any]],
    problem_licences: dict[str, str],
    sample_licences: dict[str, str],
) -> str:
    """The card: what the set is, its figures, and where its programs and problems come from."""
    parts = [_INTRODUCTION.format(cap=_percent(statistics["max_share"])), _totals(statistics)]
    parts += _asked(statistics["asked"])
    rows = {"all": statistics["without_syntax_errors"], **statistics["by_benchmark"]}
    parts += ["## By benchmark\n", "Failing programs that parse.\n", _figures_table("benchmark", rows)]
    parts += ["## By model\n", _figures_table("model", statistics["by_model"])]
    parts += ["## Coverage, if larger patches gave no label\n", _coverage_table(statistics["coverage_by_share"])]
    parts += ["## Problems\n", _table(("benchmark", "licence"), sorted(problem_licences.items()))]
    origins = Counter(str(record["origin"]).partition(":")[0] or "not given" for record in records)
    rows_of_origins = [(name, f"{count:,}", sample_licences.get(name, "")) for name, count in origins.most_common()]
    parts += ["## Where the programs come from\n", _table(("origin", "programs", "licence"), rows_of_origins)]
    return "\n".join(parts)


def _totals(statistics: dict[str, Any]) -> str:
    return (
        f"{statistics['programs']:,} programs: {statistics['passing']:,} pass, {statistics['failing']:,} fail, of "
        f"which {statistics['syntax_errors']:,} do not parse. The search ran {statistics['runs']:,} variants in "
        f"{statistics['seconds'] / 3600:.1f} hours of one worker.\n"
    )


def _asked(asked: dict[str, Any]) -> list[str]:
    if not asked["programs"]:
        return []
    return [
        f"For {asked['programs']:,} failing programs a language model was asked for fixes too "
        f"({', '.join(asked['models'])}): {asked['answers']:,} answers, {asked['prompt_tokens']:,} tokens read and "
        f"{asked['completion_tokens']:,} written. What it answered counts only where tests passed with it.\n"
    ]


def _figures_table(name: str, rows: dict[str, dict[str, Any]]) -> str:
    head = (name, "failing", "patched", "coverage", "lines touched", "tokens touched", "hunks")
    return (
        _table(
            head,
            [
                (
                    key,
                    f"{figures['failing']:,}",
                    f"{figures['patched']:,}",
                    _percent(figures["coverage"]),
                    _percent(figures["median_share_of_lines"]),
                    _percent(figures["median_share_of_tokens"]),
                    "" if figures["median_hunks"] is None else f"{figures['median_hunks']:g}",
                )
                for key, figures in rows.items()
            ],
        )
        + "\nLines and tokens touched, and hunks: medians over the patched programs, of what the model wrote.\n"
    )


def _coverage_table(rows: dict[str, dict[str, Any]]) -> str:
    return _table(
        ("lines touched at most", "coverage", "median of lines touched"),
        [
            (_percent(float(cap)), _percent(figures["coverage"]), _percent(figures["median_share_of_lines"]))
            for cap, figures in rows.items()
        ],
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}%"
