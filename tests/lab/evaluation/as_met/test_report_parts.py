"""How parts come together in one collection of figures, and in the report."""

from __future__ import annotations

from typing import Any

from risk_lsp.lab.evaluation.as_met.report_parts import parts_markdown, with_part

WELL_KEPT: dict[str, Any] = {
    "about": {"files": {"rich": 3, "python": 1_200}, "missing": ["flask"]},
    "columns": {
        "default": {
            "all": {"lines_above": [0.046, 0.04, 0.05]},
            "standard library": {"lines_above": [0.03, None, None]},
        },
        "precise": {"all": {"lines_above": [0.002, 0.001, 0.003]}},
    },
}


def column(name: str, about: int) -> dict[str, Any]:
    return {"about": {"programs": about}, "columns": {name: {"all": {}}}}


def test_a_bundle_that_is_measured_later_stands_beside_the_others() -> None:
    assert list(with_part(column("default", 3), column("precise", 3))["columns"]) == ["default", "precise"]


def test_figures_of_other_texts_are_dropped() -> None:
    assert list(with_part(column("default", 3), column("precise", 4))["columns"]) == ["precise"]


def test_a_section_has_one_column_a_bundle() -> None:
    text = "\n".join(parts_markdown({"well-kept": WELL_KEPT}))

    assert "| measure | default | precise |" in text
    assert "| share of lines at or above the threshold | .046 [.040, .050] | .002 [.001, .003] |" in text


def test_rows_that_are_not_shown_whole_are_shown_by_measure() -> None:
    assert "| standard library | .030 |  |" in "\n".join(parts_markdown({"well-kept": WELL_KEPT}))


def test_a_section_says_what_was_measured_and_what_was_not_there() -> None:
    assert "files: rich 3, python 1,200; missing: flask." in parts_markdown({"well-kept": WELL_KEPT})


def test_a_section_names_its_command_where_that_is_not_the_reports() -> None:
    made = {"well-kept": {**WELL_KEPT, "command": "risk-lsp evaluate out"}}

    assert any(line.startswith("Made by `risk-lsp evaluate out`. files:") for line in parts_markdown(made, "another"))
    assert not any("Made by" in line for line in parts_markdown(made, "risk-lsp evaluate out"))


def test_parts_that_were_not_measured_have_no_section() -> None:
    assert parts_markdown({}) == []
