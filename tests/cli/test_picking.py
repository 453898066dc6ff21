"""Which of several texts is taken, and what tests say of all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from risk_lsp.cli.writing_commands import PickBy, pick
from risk_lsp.probe.calibration import Calibration
from risk_lsp.repair.test_plan import find_tests
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import PartialRisk, WrittenText
from risk_lsp.text.document import Span

PROGRAM = "def double(number):\n    return \n\n\nassert double(4) == 8\n"
PLACE = PROGRAM.index("\n\n")


def written(text: str, hazard: float, log_probability: float) -> WrittenText:
    after = PROGRAM[:PLACE] + text + PROGRAM[PLACE:]
    span = Span(PLACE, PLACE + len(text))
    risks = RiskMap(
        len(after),
        np.array([span.start], np.int32),
        np.array([span.end], np.int32),
        np.array([hazard], np.float32),
        Calibration(theta=0.0, scale=1.0, power=1.0),
    )
    return WrittenText(text, PLACE, PartialRisk(risks, (span,)), log_probability, 3, True, "prompt")


TEXTS = [written("number + 2", 0.9, -0.1), written("number * 2", 0.1, -0.4), written("number + number", 0.5, -0.9)]


async def test_the_text_with_the_lowest_risk_is_taken() -> None:
    picked = await pick(TEXTS, PROGRAM, PLACE, "lowest-risk", None)

    assert picked.text.text == "number * 2"
    assert picked.passes is None and picked.at_random is None


async def test_the_text_with_the_likeliest_tokens_is_taken() -> None:
    assert (await pick(TEXTS, PROGRAM, PLACE, "likeliest", None)).text.text == "number + 2"


@pytest.mark.parametrize(("by", "passes"), [("lowest-risk", (True, True, False)), ("likeliest", (False, True, True))])
async def test_all_are_run_with_the_tests_the_picked_one_first(
    by: PickBy, passes: tuple[bool, ...], sandboxed: None, tmp_path: Path
) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM, encoding="utf-8")
    tests = find_tests(file, PROGRAM, workspace=tmp_path, command="python program.py")
    picked = await pick(TEXTS, PROGRAM, PLACE, by, tests)

    assert picked.passes == passes
    assert picked.at_random == pytest.approx(2 / 3)
