"""Programs in parts and as wholes: the second reading is what the model would have given without parts."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from benchmarks.read_twice import read_twice
from risk_lsp.model.code_model import CodeModel
from risk_lsp.text.sections import function_parts
from risk_lsp.text.spans import Span
from risk_lsp.training.feature_store import FeatureStore, WeightedPrograms, collect_features
from tests.training.makers import program

TWO_FUNCTIONS = "import os\n\n\ndef first(a):\n    return a\n\n\ndef second(b):\n    c = b + 1\n    return c\n"
ONE_FUNCTION = "def alone(a):\n    return -a\n"


def whole(text: str) -> list[Span]:
    return [Span(0, len(text))]


@pytest.fixture(scope="module")
def twice(model: CodeModel) -> WeightedPrograms:
    programs = [program(TWO_FUNCTIONS, edited=[(50, 51)]), program(ONE_FUNCTION)]
    store = collect_features(model, programs, (1, 2), statistics=True, layout=True, parts=function_parts)
    return read_twice(WeightedPrograms(store, np.array([1.0, 3.0]), np.array([1.0, 0.0])), layout=True)


@pytest.fixture(scope="module")
def as_wholes(model: CodeModel) -> FeatureStore:
    programs = [program(TWO_FUNCTIONS, edited=[(50, 51)]), program(ONE_FUNCTION)]
    return collect_features(model, programs, (1, 2), statistics=True, layout=True, parts=whole)


def test_the_second_half_is_read_as_wholes(twice: WeightedPrograms, as_wholes: FeatureStore) -> None:
    second = twice.store.select(np.array([2, 3]))

    for field in fields(FeatureStore):
        np.testing.assert_allclose(
            getattr(second, field.name).astype(np.float64),
            getattr(as_wholes, field.name).astype(np.float64),
            atol=2e-3,
            err_msg=field.name,
        )


def test_the_first_half_is_read_in_parts(twice: WeightedPrograms) -> None:
    first = twice.store.select(np.array([0, 1]))

    assert first.part_program.tolist() == [0, 0, 0, 1]
    assert first.line_part.tolist() == [0, 1, 1, 2, 2, 2, 3, 3]


def test_both_readings_share_what_a_program_weighs(twice: WeightedPrograms) -> None:
    assert twice.weights.tolist() == [0.5, 1.5, 0.5, 1.5]
    assert twice.span_weights.tolist() == [0.5, 0.0, 0.5, 0.0]
