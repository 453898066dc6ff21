"""What a model writes: rows that go on by themselves, tokens drawn as the model expects them, texts that end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from risk_lsp.errors import ModelError, WorkerError
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.cores import cancellable
from risk_lsp.model.generation import Continuation, Prompt, continuations, continue_decoding, prompt_tokens
from risk_lsp.model.infilling import Infiller
from risk_lsp.model.tokenizer import Encoding

ModelFolder = Callable[..., Path]
TEXT = "def largest(values):\n    best ="
LAYERS = (1, 3)


def never(_: str) -> None:
    """The text goes on."""


@pytest.fixture(scope="module")
def model(model_folder: ModelFolder) -> CodeModel:
    return CodeModel.load(model_folder("Qwen3"), threads=1)


def written(
    model: CodeModel,
    *seeds: int,
    text: str = TEXT,
    max_tokens: int = 12,
    over: Callable[[str], int | None] = never,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> list[Continuation]:
    prompt = Prompt(prompt_tokens(model, text, max_tokens), seeds, max_tokens, over)
    return continuations(model, [prompt], temperature=temperature, top_p=top_p)[0]


def test_rows_that_are_dropped_repeated_and_reordered_go_on_as_if_alone(family: str, model_folder: ModelFolder) -> None:
    host = CodeModel.load(model_folder(family), threads=1).host
    random = np.random.default_rng(3)
    texts = [random.integers(1, 320, length) for length in (5, 9, 7)]

    decoding = host.begin(texts)
    for rows in ([2, 0, 0], [1, 0, 2]):
        tokens = random.integers(1, 320, 3)
        decoding.advance(rows, tokens)
        texts = [np.append(texts[row], token) for row, token in zip(rows, tokens, strict=True)]

    expected = [host.logits(run.final[-1:])[0] for run in host.run(texts, [], to_end=True)]
    np.testing.assert_allclose(decoding.logits, expected, atol=1e-4)


def test_a_seed_gives_its_text_again_whatever_is_written_beside_it(model: CodeModel) -> None:
    first, second = written(model, 1, 2)

    assert written(model, 2, 5, 1) == [second, written(model, 5)[0], first]
    assert first != second


def test_without_temperature_the_likeliest_token_is_taken(model: CodeModel) -> None:
    (greedy,) = written(model, 1, max_tokens=1, temperature=0.0)
    decoding = model.host.begin([prompt_tokens(model, TEXT, 1)])

    assert greedy.text == model.tokenizer.decode([int(decoding.logits[0].argmax())])
    assert written(model, 7, temperature=0.0) == written(model, 8, top_p=1e-9)


def expected_texts(model: CodeModel) -> list[tuple[str, float]]:
    """What may follow TEXT as one token, with its probability, the likeliest first; several tokens may look alike."""
    (logits,) = model.host.begin([prompt_tokens(model, TEXT, 1)]).logits
    shares = np.exp(logits - logits.max())
    before = model.encode(TEXT).token_ids.tolist()
    texts = [model.tokenizer.decode([*before, token])[len(TEXT) :] for token in range(len(shares))]
    return sorted(zip(texts, (shares / shares.sum()).tolist(), strict=True), key=lambda each: -each[1])


def test_tokens_are_drawn_as_often_as_the_model_expects_them(model: CodeModel) -> None:
    drawn = [found.text for found in written(model, *range(2000), max_tokens=1)]
    expected = expected_texts(model)

    for text in {text for text, _ in expected[:5]}:
        probability = sum(share for other, share in expected if other == text)
        assert drawn.count(text) / 2000 == pytest.approx(probability, abs=0.05)


def test_of_a_nucleus_only_the_likeliest_are_drawn(model: CodeModel) -> None:
    expected = expected_texts(model)
    size = int(np.searchsorted(np.cumsum([share for _, share in expected]), 0.1)) + 1
    nucleus = {text for text, _ in expected[:size]}

    drawn = {found.text for found in written(model, *range(500), max_tokens=1, top_p=0.1)}

    assert drawn <= nucleus
    assert len(drawn) > 1
    assert not {found.text for found in written(model, *range(500), max_tokens=1)} <= nucleus


def test_a_text_is_cut_where_it_is_over(model: CodeModel) -> None:
    (whole,) = written(model, 4)
    (cut,) = written(model, 4, over=lambda text: 3 if len(text) >= 3 else None)

    assert cut.text == whole.text[:3]
    assert cut.ended and cut.tokens < whole.tokens


def test_a_text_without_an_end_is_cut_at_the_last_token(model: CodeModel) -> None:
    found = written(model, *range(20), max_tokens=4)

    assert all(text.tokens == 4 or text.ended for text in found)
    assert any(not text.ended for text in found)


def test_the_end_token_ends_a_text_and_is_no_part_of_it(model: CodeModel) -> None:
    found = [text for text in written(model, *range(300), max_tokens=24) if text.ended]

    assert found
    assert all("<|endoftext|>" not in text.text for text in found)


def test_of_a_long_prompt_the_end_is_read(model: CodeModel) -> None:
    tokens = prompt_tokens(model, TEXT * 20, 10)

    assert len(tokens) == model.context - 10
    assert model.tokenizer.decode(tokens.tolist()).endswith(TEXT)


def test_more_tokens_than_the_context_holds_are_refused(model: CodeModel) -> None:
    with pytest.raises(ModelError, match="ask for fewer"):
        prompt_tokens(model, TEXT, model.context)


def test_a_model_without_its_head_writes_nothing(model_folder: ModelFolder) -> None:
    headless = CodeModel.load(model_folder("Qwen3"), top_layer=1, threads=1)

    with pytest.raises(ModelError, match="without what writes"):
        written(headless, 1)


def test_prompts_of_several_lengths_are_continued_side_by_side(model: CodeModel) -> None:
    prompts = [Prompt(prompt_tokens(model, text, 8), (5, 6), 8, never) for text in (TEXT, "x = ", TEXT + TEXT)]
    together = continuations(model, prompts, temperature=1.0)

    assert together == [continuations(model, [prompt], temperature=1.0)[0] for prompt in prompts]
    assert continuations(model, [], temperature=1.0) == []


def test_a_prompt_for_filling_in_needs_a_model_that_can(model: CodeModel) -> None:
    with pytest.raises(ModelError, match="does not fill in"):
        Infiller(model).prompt(TEXT, 0, 3, 4)


def begun(
    model: CodeModel,
    max_tokens: int,
    *,
    begins: str = "",
    then_a_word: bool = False,
    over: Callable[[str], int | None] = never,
) -> list[Continuation]:
    """A greedy text and two drawn ones, with what happened at their tokens."""
    prompt = Prompt(prompt_tokens(model, TEXT, max_tokens), (None, 1, 2), max_tokens, over, begins, then_a_word)
    decoding = model.host.begin([prompt.token_ids], LAYERS)
    return continue_decoding(model, decoding, [prompt], temperature=1.0, layers=LAYERS)[0]


@pytest.mark.parametrize("library", ["numpy", "torch", ""])
def test_what_happened_at_written_tokens_is_what_reading_them_gives(
    library: str, model_folder: ModelFolder, run_by: Callable[[str], None]
) -> None:
    run_by(library)
    model = CodeModel.load(model_folder("Qwen3"), threads=1)
    prompt = prompt_tokens(model, TEXT, 6).astype(np.int32)
    for text in begun(model, 6):
        assert text.written is not None and len(text.written.encoding)
        token_ids = np.concatenate([prompt, text.written.encoding.token_ids])
        places = np.arange(len(token_ids), dtype=np.int32)
        read = model.read(Encoding(token_ids, places, places + 1), LAYERS, statistics=True)
        own = slice(len(prompt), None)
        assert read.log_probabilities is not None and read.entropies is not None
        np.testing.assert_allclose(text.written.values, read.values[own], atol=1e-4)
        np.testing.assert_allclose(text.written.log_probabilities, read.log_probabilities[own], atol=1e-4)
        np.testing.assert_allclose(text.written.entropies, read.entropies[own], atol=1e-4)


def test_written_tokens_stand_for_the_characters_of_the_text(model: CodeModel) -> None:
    for text in begun(model, 12, over=lambda text: 5 if len(text) > 5 else None):
        assert text.written is not None
        starts, ends = text.written.encoding.starts, text.written.encoding.ends
        assert starts[0] == 0 and ends[-1] == len(text.text)
        np.testing.assert_array_equal(starts[1:], ends[:-1])


def test_only_a_last_token_that_is_kept_is_run_beyond_those_that_were_needed(
    model: CodeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    step = model.host.step  # type: ignore[attr-defined]  # what this host calls for each further token

    def counted(token_ids: NDArray[np.int64], *rest: Any) -> Any:
        steps.append(len(token_ids))
        return step(token_ids, *rest)

    monkeypatch.setattr(model.host, "step", counted)

    (greedy, *_) = begun(model, 8)
    tokens = [len(text.written.encoding) for text in begun(model, 8) if text.written is not None]

    assert len(steps) == 2 * max(tokens) and max(tokens) <= 8
    steps.clear()
    cut = begun(model, 8, over=lambda text: 0)
    assert steps == [] and [text.text for text in cut] == ["", "", ""]
    assert greedy.tokens == 8


def test_a_text_begins_as_it_has_to(model: CodeModel) -> None:
    first = next(text.text[0] for text in begun(model, 4) if text.text and text.text[0].isascii())
    found = begun(model, 6, begins=first)

    assert [text.text[:1] for text in found] == [first] * 3


def test_a_text_begins_so_whatever_the_model_expects(model: CodeModel) -> None:
    found = begun(model, 12, begins="zq 7")

    assert all(text.text.startswith("zq 7") for text in found)


@pytest.mark.parametrize("begins", ["\n    ", "\n\t", "\n        "])
def test_behind_an_indentation_that_a_word_has_to_follow_there_is_no_further_blank(
    model: CodeModel, begins: str
) -> None:
    for text in begun(model, 24, begins=begins, then_a_word=True):
        assert text.text.startswith(begins)
        assert not text.text[len(begins)].isspace()


def test_writing_stops_when_nobody_waits(model: CodeModel) -> None:
    looks = iter([False, False, False, True])

    with cancellable(lambda: next(looks, True)), pytest.raises(WorkerError, match="cancelled"):
        written(model, 1, max_tokens=24)
