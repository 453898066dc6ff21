"""The figures of a bundle as the Markdown table of the README, kept between two markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from risk_lsp.errors import BadInput

BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"
_COLUMNS = ("BSS raw", "ECE raw", "AUC (95% interval)", "BSS Platt", "ECE Platt", "AUC within failing programs")


def figures_markdown(figures: dict[str, Any]) -> str:
    """One row per level and technique, and a sentence on what was measured."""
    rows = ["| level | technique | " + " | ".join(_COLUMNS) + " |", "|---|---|" + "---|" * len(_COLUMNS)]
    for level, found in figures["levels"].items():
        rows += [
            f"| {level} | {technique} | " + " | ".join(_cells(found[technique])) + " |"
            for technique in ("probe", "token probability")
        ]
    line = figures["levels"]["line"]
    about = (
        f"{figures['programs']:,} programs of {line['problems']} problems that neither the model nor the probe saw"
        f" ({', '.join(figures['benchmarks'])}); {line['n']:,} lines, {line['base_rate']:.0%} of them edited."
        f" In {_percent(line['probe']['hits_at_3'])} of the failing programs"
        " an edited line is among the three likeliest."
    )
    return "\n".join([*rows, "", about])


def update_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers in the file at `path`."""
    whole = path.read_text("utf-8") if path.is_file() else ""
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BadInput(f"{path} has no place for the figures", f"put {BEGIN} and {END} where the table belongs")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _cells(found: dict[str, Any]) -> list[str]:
    low, high = found["auc_interval"]
    return [
        _shown(found["bss_raw"], 2),
        _shown(found["ece_raw"]),
        f"{_shown(found['auc'])} ({_shown(low)}-{_shown(high)})",
        _shown(found["bss_platt"]),
        _shown(found["ece_platt"]),
        _shown(found["within_failing_auc"]) if "within_failing_auc" in found else "",
    ]


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.0%}"


def _shown(value: float | None, digits: int = 3) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"
