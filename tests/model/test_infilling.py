"""What a model would write: in a span's place, and token by token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.infilling import Infiller, preferences
from tests.probe.tiny import save_model

TEXT = "def add(first, second):\n    return first + second\n\n\ndef twice(number):\n    return number * 2\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights whose tokenizer has the tokens for filling in the middle."""
    # This seed gives a model that ends lines soon.
    return save_model(tmp_path_factory.mktemp("models") / "tiny", context=512, seed=9)


@pytest.fixture(scope="module")
def model(folder: Path) -> CodeModel:
    return CodeModel.load(folder, threads=1)


def test_infills_of_a_line_stay_on_it_the_likeliest_first(model: CodeModel) -> None:
    start = TEXT.index("return first")
    fills = Infiller(model).fill(TEXT, start, start + len("return first + second"), count=4, max_tokens=16)

    assert fills
    assert all("\n" not in fill.text for fill in fills)
    assert [fill.log_probability for fill in fills] == sorted((f.log_probability for f in fills), reverse=True)
    assert len({fill.text for fill in fills}) == len(fills)


def test_a_text_that_is_longer_than_the_context_is_cut_around_the_span(model: CodeModel) -> None:
    long = TEXT * 100
    start = long.index("number * 2", len(long) // 2)

    assert Infiller(model).fill(long, start, start + 6, count=2, max_tokens=8)


def test_infills_at_the_ends_of_a_text(model: CodeModel) -> None:
    infiller = Infiller(model)

    assert infiller.can_fill
    infiller.fill(TEXT, 0, 0, count=1, max_tokens=4)
    infiller.fill(TEXT, len(TEXT), len(TEXT), count=1, max_tokens=4)
    infiller.fill("", 0, 0, count=1, max_tokens=4)


def test_a_model_without_its_head_fills_nothing_in(folder: Path) -> None:
    headless = CodeModel.load(folder, threads=1, top_layer=2)

    assert not Infiller(headless).can_fill
    assert Infiller(headless).fill(TEXT, 0, 3, count=2, max_tokens=4) == []
    assert Infiller(headless).alternatives(TEXT, 0, 3, 2) == []


def test_alternatives_agree_with_the_statistics_of_a_reading(model: CodeModel) -> None:
    start, end = TEXT.index("first + second"), TEXT.index("first + second") + len("first + second")
    encoding = model.encode(TEXT)
    reading = model.read(encoding, [], statistics=True)
    assert reading.log_probabilities is not None

    found = Infiller(model).alternatives(TEXT, start, end, 3)

    inside = np.flatnonzero((encoding.starts < end) & (encoding.ends > start))
    assert [(each.start, each.end) for each in found] == [
        (int(encoding.starts[token]), int(encoding.ends[token])) for token in inside
    ]
    assert np.allclose([each.probability for each in found], np.exp(reading.log_probabilities[inside]), atol=1e-4)


def test_preferences_are_differences_of_log_probabilities(model: CodeModel) -> None:
    place = TEXT.index(" + second")
    variant = TEXT.replace("first + second", "first - second")
    (plus, *_) = Infiller(model).alternatives(TEXT, place + 1, place + 2, 1)
    (minus, *_) = Infiller(model).alternatives(variant, place + 1, place + 2, 1)

    (difference,) = preferences(model, TEXT, [variant])

    assert difference == pytest.approx(np.log(minus.probability) - np.log(plus.probability), abs=0.05)


def test_a_text_is_not_preferred_to_itself(model: CodeModel) -> None:
    assert preferences(model, TEXT, [TEXT, TEXT + "\n\n"])[0] == 0.0


def test_preferences_reach_past_the_first_window(model: CodeModel) -> None:
    long = TEXT * 100
    variant = long[:-3] + "3\n"

    assert preferences(model, long, [variant])[0] != 0.0
