"""The figures that come with the default bundle are the same wherever they are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.lab.evaluation.probe_commands import BEGIN, END, figures_markdown

ROOT = Path(__file__).parents[3]
MANIFEST = json.loads((ROOT / "probe_weights/default/manifest.json").read_text("utf-8"))
REPORT = json.loads((ROOT / "docs/evaluation.json").read_text("utf-8"))
ESTIMATES = ("auc", "bss_raw", "ece_raw", "bss_platt", "ece_platt")


def test_the_readmes_table_is_made_of_the_manifests_figures() -> None:
    _, _, rest = (ROOT / "README.md").read_text("utf-8").partition(BEGIN)

    assert rest.partition(END)[0].strip() == figures_markdown(MANIFEST["figures"], MANIFEST["trained_on"])


def test_the_report_is_about_the_recipe_that_the_bundle_was_made_by() -> None:
    assert REPORT["recipe"] == MANIFEST["command"]


@pytest.mark.parametrize("level", MANIFEST["figures"]["levels"])
def test_the_manifests_figures_are_those_of_the_report(level: str) -> None:
    figures, reported = MANIFEST["figures"]["levels"][level], REPORT["shipped"][level]["techniques"]

    def told(found: dict[str, Any]) -> dict[str, float]:
        return {name: (found[name][0] if isinstance(found[name], list) else found[name]) for name in ESTIMATES}

    for technique in reported:
        # The last digit may differ between machines.
        assert told(figures[technique]) == pytest.approx(told(reported[technique]), abs=2e-4)


@pytest.mark.parametrize("level", ["line", "function", "program"])
def test_what_hover_quotes_counts_the_spans_that_were_measured(level: str) -> None:
    counted = sum(row["n"] for row in MANIFEST["reference"][level])

    assert 0 < counted <= MANIFEST["figures"]["levels"][level]["n"]
    assert counted == REPORT["shipped"][level]["spans"]
