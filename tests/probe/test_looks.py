"""How a line looks, and what that makes of the hazards of its tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from risk_lsp.errors import BundleError
from risk_lsp.model.sources import hash_files
from risk_lsp.probe.bundle import PROBE_FILE, load_bundle
from risk_lsp.probe.layout import FIRST_WORDS, LOOKS, OFF_LINE, first_word, token_layout, weigh_lines
from risk_lsp.probe.token_hazards import LOOKS_TENSOR, read_tokens
from risk_lsp.text.document import Span
from tests.probe.tiny import SAMPLE, change_manifest

TEXT = "def f(x):\n    if x:\n\n        return 1\n"
NO_TOKENS = np.zeros(0, dtype=np.int32)


def test_a_line_looks_like_its_place_its_size_and_its_first_word() -> None:
    looks = token_layout(TEXT, NO_TOKENS, NO_TOKENS).looks

    assert looks.shape == (3, LOOKS)
    assert looks[2, :5].tolist() == pytest.approx([2 / 3, 4 / 9, np.log(3), np.log(9), 1.0], abs=1e-6)
    assert [FIRST_WORDS[int(line.argmax())] for line in looks[:, 5:]] == ["def", "if", "return"]
    assert (looks[:, 5:].sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("return x", "return"),
        ("returned = 1", "name"),
        ("lambda: 0", "keyword"),
        ("3 + x", "number"),
        ("'''text", "string"),
        ("(x)", "sign"),
        ("   ", "nothing"),
        ("x" * 60, "name"),
    ],
)
def test_the_first_word_is_a_keyword_of_a_statement_or_has_a_kind(text: str, kind: str) -> None:
    assert first_word(text) == kind


def test_in_a_part_a_line_looks_as_if_the_part_was_all_there_is() -> None:
    alone = token_layout(TEXT, NO_TOKENS, NO_TOKENS).looks
    parts = [Span(0, len(TEXT)), Span(len(TEXT), 2 * len(TEXT))]

    np.testing.assert_array_equal(token_layout(TEXT * 2, NO_TOKENS, NO_TOKENS, parts).looks[3:], alone)


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.integers(-1, 5), st.floats(-20, 20)).filter(lambda each: each[1] >= OFF_LINE),
        min_size=1,
        max_size=30,
    )
)
def test_the_lines_of_a_part_keep_their_sum_and_what_is_on_no_line_keeps_its_hazard(
    tokens: list[tuple[float, int, float]],
) -> None:
    hazards = np.array([hazard for hazard, _, _ in tokens])
    line = np.array([number for _, number, _ in tokens])
    part_of_line = np.array([0, 0, 0, 1, 1, 1])
    factors = np.resize([factor for _, _, factor in tokens], 6)

    found = weigh_lines(hazards, line, part_of_line, factors)

    np.testing.assert_array_equal(found[line == OFF_LINE], hazards[line == OFF_LINE])
    part = np.where(line == OFF_LINE, 2, part_of_line[line])
    np.testing.assert_allclose(np.bincount(part, found), np.bincount(part, hazards), rtol=1e-6, atol=1e-9)


def test_a_line_with_a_larger_factor_gets_more_of_its_part() -> None:
    line = np.array([0, 0, 1, 1])

    found = weigh_lines(np.ones(4), line, np.array([0, 0]), np.log([3.0, 1.0]))

    assert found.tolist() == pytest.approx([1.5, 1.5, 0.5, 0.5])


def with_looks(bundle: Path, weights: list[float]) -> None:
    """Add such a tensor to the probe of a bundle."""
    tensors = load_file(bundle / PROBE_FILE)
    save_file({**tensors, LOOKS_TENSOR: torch.tensor(weights)}, bundle / PROBE_FILE)
    change_manifest(bundle, probe_hash=hash_files([bundle / PROBE_FILE]))


def test_a_bundle_that_knows_looks_orders_lines_by_them_too(bundle: Path) -> None:
    def hazards() -> np.ndarray:
        loaded = load_bundle(bundle)
        activations = loaded.model.read(loaded.model.encode(SAMPLE), loaded.manifest.layers, statistics=True)
        return read_tokens(loaded.reader, SAMPLE, activations, loaded.manifest).values

    plain = hazards()
    weights = [0.0] * LOOKS
    weights[5 + FIRST_WORDS.index("return")] = 3.0
    with_looks(bundle, weights)

    found = hazards()
    encoding = load_bundle(bundle).model.encode(SAMPLE)
    place = SAMPLE.index("return") + 1
    returns = (encoding.starts <= place) & (encoding.ends > place)
    assert (found[returns] > plain[returns]).all()
    assert found.sum() == pytest.approx(plain.sum(), rel=1e-3)


def test_looks_of_another_size_are_refused(bundle: Path) -> None:
    with_looks(bundle, [0.0] * (LOOKS - 1))

    with pytest.raises(BundleError, match=r"looks\.weight has shape"):
        load_bundle(bundle)
