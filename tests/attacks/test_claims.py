"""Every claim of SECURITY.md names a test, and the test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.attacks.__main__ import named_in_security, names_in

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "| test |" not in line]
NAMED = named_in_security()


def test_every_row_names_one_test() -> None:
    assert len(ROWS) == len(NAMED) > 40


@pytest.mark.parametrize("section", re.split(r"\n### ", TEXT)[1:], ids=lambda section: section.split("\n")[0])
def test_every_section_makes_claims(section: str) -> None:
    assert "| it cannot | test |" in section


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_of_a_claim_exists(file: str, name: str) -> None:
    assert name.startswith("test_"), "pytest runs it"
    assert name in names_in(file)
