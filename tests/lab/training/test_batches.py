"""Batches are drawn by seed and step alone, each stream by its share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.packing import Streams
from tests.lab.training.makers import document, save_corpus

# Token ids below 1000 stand for library code, those above for model-written programs.
LIBRARY, WRITTEN = np.arange(500, dtype=np.uint16), np.arange(1000, 1500, dtype=np.uint16)
HELD_OUT = np.arange(2000, 2100, dtype=np.uint16)
STREAMS = Streams(((LIBRARY, 0.7), (WRITTEN, 0.3)), HELD_OUT)


def test_the_same_seed_and_step_give_the_same_batch() -> None:
    np.testing.assert_array_equal(STREAMS.batch(7, 4, 16, seed=1), STREAMS.batch(7, 4, 16, seed=1))


def test_every_step_of_every_seed_has_a_batch_of_its_own() -> None:
    batches = {STREAMS.batch(step, 4, 16, seed).tobytes() for step in range(10) for seed in range(3)}

    assert len(batches) == 30


def test_a_sequence_is_a_run_of_one_stream_with_its_last_target() -> None:
    batch = STREAMS.batch(0, 50, 16, seed=1)

    assert batch.shape == (50, 17) and batch.dtype == np.int64
    assert (np.diff(batch, axis=1) == 1).all()


def test_streams_are_drawn_by_their_shares() -> None:
    firsts = np.concatenate([STREAMS.batch(step, 100, 4, seed=1)[:, 0] for step in range(20)])

    assert np.mean(firsts >= 1000) == pytest.approx(0.3, abs=0.04)


def test_every_token_can_be_drawn_the_last_one_too() -> None:
    short = Streams(((LIBRARY[:6], 1.0),), HELD_OUT)

    assert set(np.concatenate([short.batch(step, 8, 4, seed=1) for step in range(5)]).ravel()) == set(range(6))


def test_held_out_text_is_never_in_a_batch() -> None:
    assert STREAMS.batch(0, 200, 16, seed=1).max() < 2000


def test_held_out_batches_are_the_first_ones_every_time() -> None:
    batches = STREAMS.held_out_batches(size=2, length=9, batches=3)

    assert np.concatenate(batches).ravel().tolist() == list(range(2000, 2060))


def test_fewer_held_out_batches_are_given_where_the_text_ends() -> None:
    assert len(STREAMS.held_out_batches(size=2, length=9, batches=50)) == 5


def test_too_little_held_out_text_is_refused() -> None:
    with pytest.raises(BadInput, match="only 100 held-out tokens"):
        STREAMS.held_out_batches(size=8, length=16, batches=1)


def test_a_training_stream_shorter_than_a_sequence_is_refused() -> None:
    with pytest.raises(BadInput, match="only 500 tokens"):
        Streams(((LIBRARY, 1.0),), HELD_OUT).batch(0, 1, 500, seed=1)


def test_a_missing_stream_leaves_its_share_to_the_other(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_corpus(tmp_path, tokenizer, [document("x = 1\n"), document("y = 2\n", held_out=True)])

    assert [share for _, share in Streams.read(tmp_path, 0.3).training] == [1.0]


@pytest.mark.parametrize("documents", [[document("x")], [document("x", held_out=True)]], ids=["held-out", "training"])
def test_a_corpus_without_a_needed_stream_is_refused(
    tokenizer: Tokenizer, tmp_path: Path, documents: list[object]
) -> None:
    save_corpus(tmp_path, tokenizer, documents)  # type: ignore[arg-type]

    with pytest.raises(BadInput, match="lacks training or held-out texts"):
        Streams.read(tmp_path, 0.3)
