"""A bundle's column: passages are read together, with the same scores as alone, and one sees how far that is."""

from __future__ import annotations

import numpy as np
import pytest

from risk_lsp.lab.evaluation.as_met import columns
from risk_lsp.lab.evaluation.as_met.columns import BundleColumn, passage_of
from risk_lsp.risk.engine import Engine

PASSAGES = [passage_of(f"def f{number}(x):\n    return x + {number}\n" * (number + 1)) for number in range(5)]


@pytest.fixture
def column(engine: Engine) -> BundleColumn:
    return BundleColumn(engine)


@pytest.mark.parametrize("room", [1, 100, 10_000])
def test_passages_have_the_scores_that_they_have_alone(
    column: BundleColumn, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "_CHARACTERS_AT_ONCE", room)
    together = column.answers(PASSAGES)

    for passage, answer in zip(PASSAGES, together, strict=True):
        (alone,) = column.answers([passage])
        np.testing.assert_allclose(answer.lines, alone.lines, rtol=1e-4)
        assert answer.whole == pytest.approx(alone.whole, rel=1e-4)


def test_it_says_how_many_texts_are_read(column: BundleColumn, capsys: pytest.CaptureFixture[str]) -> None:
    column.answers(PASSAGES)

    assert f"5 of 5 texts read by {column.name}" in capsys.readouterr().err


def test_nothing_is_read_of_nothing(column: BundleColumn) -> None:
    assert column.answers([]) == []
