"""What the probe sees of a token."""

from __future__ import annotations

import numpy as np
import pytest

from risk_lsp.errors import ModelError
from risk_lsp.model.code_model import Activations
from risk_lsp.model.tokenizer import Encoding
from risk_lsp.probe.token_hazards import feature_count, token_features


def activations(*, statistics: bool = True, value: float = 1.0) -> Activations:
    """Two tokens at two layers of width three, numbered from `value` on."""
    places = np.arange(2, dtype=np.int32)
    return Activations(
        Encoding(places, places, places + 1),
        (1, 2),
        np.arange(12, dtype=np.float32).reshape(2, 2, 3) + value,
        np.array([0.0, -2.0], dtype=np.float32) if statistics else None,
        np.array([0.0, 0.5], dtype=np.float32) if statistics else None,
    )


def test_the_layers_stand_side_by_side_then_surprisal_entropy_and_their_difference() -> None:
    features = token_features(activations(), statistics=True)

    assert features.dtype == np.float32
    assert features.tolist() == [[1, 2, 3, 4, 5, 6, 0, 0, 0], [7, 8, 9, 10, 11, 12, 2, 0.5, 1.5]]


def test_without_statistics_only_the_layers_are_seen() -> None:
    assert token_features(activations(), statistics=False).tolist() == [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]


@pytest.mark.parametrize("statistics", [True, False])
def test_the_count_is_the_number_of_columns(statistics: bool) -> None:
    features = token_features(activations(), statistics=statistics)

    assert features.shape == (2, feature_count(2, 3, statistics=statistics))


def test_statistics_that_were_not_read_are_asked_for() -> None:
    with pytest.raises(ModelError, match="token statistics"):
        token_features(activations(statistics=False), statistics=True)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_activations_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ModelError, match="not finite"):
        token_features(activations(value=value), statistics=False)


def test_a_text_without_tokens_has_no_rows() -> None:
    none = np.zeros(0, dtype=np.int32)
    empty = Activations(Encoding(none, none, none), (1, 2), np.zeros((0, 2, 3), dtype=np.float32))

    assert token_features(empty, statistics=False).shape == (0, 6)
