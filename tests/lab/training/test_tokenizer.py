"""The default model's tokenizer: what it never joins, and that nothing of a text is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.packing import SPECIAL_TOKENS, save_tokenizer, special_ids, train_tokenizer
from risk_lsp.model.tokenizer import load_tokenizer


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    """The parts of the text that merges never cross."""
    return [text[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def test_a_line_break_and_the_indentation_behind_it_are_one_piece(tokenizer: Tokenizer) -> None:
    assert pieces(tokenizer, "if x:\n    return y\n\treturn") == [
        "if",
        " x",
        ":",
        "\n    ",
        "return",
        " y",
        "\n\t",
        "return",
    ]


def test_a_windows_line_break_is_one_piece_too(tokenizer: Tokenizer) -> None:
    assert pieces(tokenizer, "a\r\n  b") == ["a", "\r\n  ", "b"]


def test_blank_lines_stay_apart(tokenizer: Tokenizer) -> None:
    assert pieces(tokenizer, "a\n\n\n  b") == ["a", "\n", "\n", "\n  ", "b"]


def test_digits_stay_apart(tokenizer: Tokenizer) -> None:
    assert pieces(tokenizer, "x = 2048") == ["x", " =", " ", "2", "0", "4", "8"]


def test_names_keep_their_underscores_and_operators_stand_apart(tokenizer: Tokenizer) -> None:
    assert pieces(tokenizer, "__best_value+=other") == ["__best_value", "+=", "other"]


def test_words_that_occur_often_become_one_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(" value").tokens == ["Ġvalue"]


@given(st.text())
@example("def f():\r\n\treturn '🙂'\n")
@example("<|endoftext|><|fim_middle|>")
def test_every_text_comes_back_from_its_tokens(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_the_special_tokens_come_first(tokenizer: Tokenizer) -> None:
    assert special_ids(tokenizer) == {token: place for place, token in enumerate(SPECIAL_TOKENS)}


def test_a_tokenizer_that_lacks_a_special_token_is_refused() -> None:
    from tokenizers import models

    with pytest.raises(BadInput, match=r"lacks <\|endoftext\|>"):
        special_ids(Tokenizer(models.BPE()))


def test_the_vocabulary_has_the_size_that_was_asked_for() -> None:
    text = "".join(f"word{chr(97 + index % 26)}{chr(97 + index // 26)} " for index in range(600))

    assert train_tokenizer([text, text], 280).get_vocab_size() == 280


def test_the_saved_files_are_what_the_code_model_and_transformers_load(tokenizer: Tokenizer, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    save_tokenizer(tokenizer, tmp_path)
    text = "for value in values:\n    pass\n"

    ours = load_tokenizer(tmp_path, "tiny").encode(text).token_ids.tolist()
    assert ours == tokenizer.encode(text).ids
    assert AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] == ours
