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
        f" In {line['probe']['hits_at_3']:.0%} of the failing programs an edited line is among the three likeliest."
    )
    return "\n".join([*rows, "", about])


def update_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers in the file at `path`."""
    whole = path.read_text("utf-8")
    if BEGIN not in whole or END not in whole:
        raise BadInput(f"{path} has no place for the figures", f"put {BEGIN} and {END} where the table belongs")
    before, rest = whole.split(BEGIN, 1)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def _cells(found: dict[str, Any]) -> list[str]:
    low, high = found["auc_interval"]
    within = found.get("within_failing_auc")
    return [
        f"{found['bss_raw']:.2f}",
        f"{found['ece_raw']:.3f}",
        f"{found['auc']:.3f} ({low:.3f}-{high:.3f})",
        f"{found['bss_platt']:.3f}",
        f"{found['ece_platt']:.3f}",
        "" if within is None else f"{within:.3f}",
    ]
