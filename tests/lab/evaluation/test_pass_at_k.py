"""pass@k against its definition: every way to choose k of the samples."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.pass_rates import pass_at_k


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.data())
def test_it_is_the_share_of_choices_in_which_something_passes(samples: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(samples)))

    choices = list(combinations(samples, k))

    assert pass_at_k(len(samples), sum(samples), k)[0] == pytest.approx(sum(map(any, choices)) / len(choices))


@pytest.mark.parametrize(
    ("samples", "passing", "k", "expected"),
    [(10, 3, 1, 0.3), (10, 0, 5, 0.0), (10, 10, 5, 1.0), (10, 9, 2, 1.0), (5, 2, 5, 1.0), (4, 1, 2, 0.5)],
)
def test_closed_forms(samples: int, passing: int, k: int, expected: float) -> None:
    assert pass_at_k(samples, passing, k)[0] == pytest.approx(expected)


def test_many_samples_do_not_overflow() -> None:
    assert pass_at_k(100_000, 1, 50_000)[0] == pytest.approx(0.5)


def test_problems_may_have_different_numbers_of_samples() -> None:
    assert np.allclose(pass_at_k([4, 2], [1, 1], 2), [0.5, 1.0])


@pytest.mark.parametrize(("samples", "passing", "k"), [(3, 1, 4), (3, 4, 1), (3, -1, 1), (3, 1, 0)])
def test_what_makes_no_sense_is_refused(samples: int, passing: int, k: int) -> None:
    with pytest.raises(BadInput):
        pass_at_k(samples, passing, k)
