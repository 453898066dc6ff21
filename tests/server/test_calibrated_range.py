"""When the numbers may not hold for a document."""

from __future__ import annotations

import numpy as np
import pytest

from risk_lsp.probe.calibration import Calibration
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.server.calibrated_range import LONGEST, reason_outside
from risk_lsp.text.document import Document
from tests.server.lsp_client import LspClient


def reason(text: str = "a = 1\n", language_id: str = "python", novelty: float | None = None) -> str | None:
    none, nothing = np.zeros(0, np.int32), np.zeros(0, np.float32)
    calibration = Calibration(theta=0.0, scale=1.0, power=1.0)
    risks = RiskMap(len(text), none, none, nothing, calibration, novelty=novelty)
    return reason_outside(Document("file:///a", 1, text, language_id), risks)


@pytest.mark.parametrize("novelty", [None, 0.5, 0.98])
def test_nothing_speaks_against_a_short_python_program_that_is_not_novel(novelty: float | None) -> None:
    assert reason(novelty=novelty) is None


def test_another_language_is_outside() -> None:
    assert "this document's language is rust" in (reason(language_id="rust") or "")


def test_a_long_document_is_outside() -> None:
    assert reason("\n" * (LONGEST - 1)) is None
    assert "has 1,001 lines, more than 1,000" in (reason("\n" * LONGEST) or "")


def test_a_text_unlike_all_that_was_measured_is_outside() -> None:
    assert reason(novelty=0.99) == "this document is unlike the programs that the numbers were measured on"


async def test_the_hover_and_the_lines_say_so(client: LspClient) -> None:
    await client.initialize("emacs30-eglot")
    client.open("file:///a.rs", "let a = 1;  // BUG\n", language_id="rust")
    await client.diagnostics("file:///a.rs", 1)
    hover = await client.hover("file:///a.rs", line=0)
    assert hover is not None
    why = "the numbers were measured on Python programs, and this document's language is rust"
    assert hover["contents"]["value"].endswith(f"\nOutside its calibrated range: {why}.")
    assert (await client.request("riskLsp/lines", {"uri": "file:///a.rs"}))["outside"] == why
