"""What a model reads before it writes: bounded, cut at statements, and of it only what it has not read before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.host import Run
from risk_lsp.model.prompting import PromptReader, Surroundings, surroundings
from tests.probe.tiny import save_model

FUNCTION = "def add_{0}(first, second):\n    total = first + second\n    return total\n\n\n"
PROGRAM = "".join(FUNCTION.format(number) for number in range(40))
PLACE = PROGRAM.index("return total", len(PROGRAM) // 2)
LAYERS = (1, 2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CodeModel:
    """A model with random weights whose tokenizer has the tokens for filling in the middle."""
    return CodeModel.load(save_model(tmp_path_factory.mktemp("models") / "tiny", context=512), threads=1)


def around(model: CodeModel, text: str, start: int, end: int | None = None) -> Surroundings:
    return surroundings(model, text, start, end or start, "python", most_before=240, most_behind=60)


def test_both_sides_are_bounded_and_end_at_the_place(model: CodeModel) -> None:
    found = around(model, PROGRAM, PLACE, PLACE + 6)

    assert 0 < len(found.before) <= 240 and 0 < len(found.behind) <= 60
    assert found.before.ends[-1] == PLACE
    assert found.behind.starts[0] == PLACE + 6


def test_both_sides_are_cut_where_statements_start(model: CodeModel) -> None:
    found = around(model, PROGRAM, PLACE)
    starts = ("def ", "total = ", "return ")

    assert PROGRAM[found.before.starts[0] :].lstrip().startswith(starts)
    assert PROGRAM[found.behind.ends[-1] :].lstrip().startswith(starts)


def test_the_prompt_is_the_tokens_around_with_the_marks_of_the_model(model: CodeModel) -> None:
    found = around(model, PROGRAM, PLACE)
    marks = [model.tokenizer.token_id(f"<|fim_{name}|>") for name in ("prefix", "suffix", "middle")]
    first, second = found.first_before, found.first_behind

    assert [found.token_ids[first - 1], found.token_ids[second - 1], found.token_ids[-1]] == marks
    np.testing.assert_array_equal(found.token_ids[first : second - 1], found.before.token_ids)
    np.testing.assert_array_equal(found.token_ids[second:-1], found.behind.token_ids)


def test_where_nothing_follows_the_text_is_read_as_it_stands(model: CodeModel) -> None:
    found = around(model, FUNCTION + "  \n", len(FUNCTION))

    np.testing.assert_array_equal(found.token_ids, model.encode(FUNCTION).token_ids)


def test_a_model_that_cannot_fill_in_reads_what_is_before_alone(model_folder: Callable[..., Path]) -> None:
    plain = CodeModel.load(model_folder("Qwen3"), threads=1)
    found = surroundings(plain, FUNCTION, 20, 20, "python", most_before=40, most_behind=10)

    np.testing.assert_array_equal(found.token_ids, plain.encode(FUNCTION[:20]).token_ids)


def test_the_start_stays_while_somebody_types(model: CodeModel) -> None:
    line = "    return total * 2\n    more = 1"
    typed = [PROGRAM[:PLACE] + line[:length] for length in range(len(line))]
    starts = [int(around(model, text, len(text)).before.starts[0]) for text in typed]

    assert len(set(starts)) <= 2


def test_of_a_long_text_the_nearest_part_is_read(model: CodeModel) -> None:
    long = PROGRAM * 20
    found = around(model, long, len(long))

    assert found.before.ends[-1] == len(long)
    assert long[found.before.starts[0] : len(long)].count("def ") < 10


def test_a_prompt_gives_what_reading_gives(model: CodeModel) -> None:
    encoding = model.encode(PROGRAM[:400])
    read = model.read(encoding, LAYERS, statistics=True)
    reader = PromptReader(model, LAYERS)
    run, decoding = reader.begin(encoding.token_ids.astype(np.int64))
    found = reader.activations(run, slice(0, len(encoding)), encoding, statistics=True)

    np.testing.assert_allclose(found.values, read.values, atol=1e-4)
    assert found.log_probabilities is not None and read.log_probabilities is not None
    np.testing.assert_allclose(found.log_probabilities, read.log_probabilities, atol=1e-4)
    np.testing.assert_allclose(decoding.residuals[2][0], read.values[-1, 1], atol=1e-4)


def test_what_an_earlier_prompt_shares_is_not_run_again(model: CodeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    extend = model.host.extend  # type: ignore[attr-defined]  # this host can go on

    def counted(sequences: Sequence[NDArray[np.int64]], *rest: Any, **more: Any) -> list[Run]:
        ran.extend(map(len, sequences))
        runs: list[Run] = extend(sequences, *rest, **more)
        return runs

    monkeypatch.setattr(model.host, "extend", counted)
    tokens = model.encode(PROGRAM[:500]).token_ids.astype(np.int64)
    reader = PromptReader(model, LAYERS)

    reader.begin(tokens[:-5])
    first = sum(ran)
    again, decoding = reader.begin(tokens)

    assert (first, sum(ran) - first) == (len(tokens) - 5, 5)
    alone, expected = PromptReader(model, LAYERS).begin(tokens)
    np.testing.assert_allclose(decoding.logits, expected.logits, atol=1e-4)
    for layer in LAYERS:
        np.testing.assert_allclose(again.residuals[layer], alone.residuals[layer], atol=1e-4)


def test_every_family_begins_with_a_prompt_and_goes_on(family: str, model_folder: Callable[..., Path]) -> None:
    model = CodeModel.load(model_folder(family), threads=1)
    random = np.random.default_rng(5)
    tokens = random.integers(1, 320, 20)
    reader = PromptReader(model, LAYERS)
    reader.begin(tokens[:12])

    _, decoding = reader.begin(tokens[:17])
    decoding.advance([0, 0], tokens[17:19])

    texts = [np.append(tokens[:17], token) for token in tokens[17:19]]
    expected = model.host.run(texts, LAYERS, to_end=True)
    for row, run in enumerate(expected):
        np.testing.assert_allclose(decoding.logits[row], model.host.logits(run.final[-1:])[0], atol=1e-4)
        for layer in LAYERS:
            np.testing.assert_allclose(decoding.residuals[layer][row], run.residuals[layer][-1], atol=1e-4)
