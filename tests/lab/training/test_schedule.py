"""The learning rate rises, stays, and falls to nothing at the end of the budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.lab.training.train_model import rate_factor


@given(st.floats(0, 2))
def test_the_factor_is_a_share_of_the_peak(progress: float) -> None:
    assert 0 <= rate_factor(progress) <= 1


@pytest.mark.parametrize(
    ("progress", "factor"), [(0, 0), (0.01, 0.5), (0.02, 1), (0.5, 1), (0.65, 1), (0.825, 0.5), (1, 0), (1.1, 0)]
)
def test_warm_up_plateau_and_decay(progress: float, factor: float) -> None:
    assert rate_factor(progress) == pytest.approx(factor)
