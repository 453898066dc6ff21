"""Tokens know which characters of the original text they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers

from risk_lsp.errors import ModelError
from risk_lsp.model.sources import hash_files
from risk_lsp.model.tokenizer import Encoding, TextTokenizer, load_tokenizer

MakeTokenizer = Callable[..., Tokenizer]

# Code, and what makes bytes, characters and normal forms differ: combining marks, CJK, emoji sequences, surrogates.
PIECES = [*"def x:\n\t (1)\0", "\r\n", "é", "e\u0301", "ﬁ", "Å", "中", "각", "👩‍💻", "😀", "\ud83d"]
TEXTS = st.lists(st.sampled_from(PIECES)).map("".join)


def sentencepiece_like() -> Tokenizer:
    """A tokenizer in the manner of Llama 2: spaces become ▁, one is put first, unknown characters fall to bytes."""
    pieces = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abcdef"]
    tokenizer = Tokenizer(
        models.BPE({piece: index for index, piece in enumerate(pieces)}, [], byte_fallback=True, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return tokenizer


@pytest.fixture(
    scope="module",
    params=["byte level", "byte level, merged bytes", "byte level, NFC", "byte level, NFKC", "sentencepiece"],
)
def tokenizer(request: pytest.FixtureRequest, byte_level_tokenizer: MakeTokenizer) -> TextTokenizer:
    if request.param == "sentencepiece":
        return TextTokenizer(sentencepiece_like(), ())
    if request.param == "byte level, merged bytes":
        # Tokens of some, but not all, bytes of a character, and across characters.
        return TextTokenizer(byte_level_tokenizer(text="中文, 각각, 😀😁👩‍💻, éêë, ÅÄ " * 9), ())
    normalizer = {"byte level, NFC": normalizers.NFC(), "byte level, NFKC": normalizers.NFKC()}.get(request.param)
    return TextTokenizer(byte_level_tokenizer(normalizer=normalizer), ())


def spans(encoding: Encoding) -> list[tuple[int, int]]:
    return list(zip(encoding.starts.tolist(), encoding.ends.tolist(), strict=True))


@given(text=TEXTS)
def test_every_character_belongs_to_a_token_and_every_span_lies_in_the_text(
    tokenizer: TextTokenizer, text: str
) -> None:
    covered = np.zeros(len(text), dtype=bool)
    for start, end in spans(tokenizer.encode(text)):
        assert 0 <= start < end <= len(text)
        covered[start:end] = True

    assert covered.all()


@given(text=TEXTS)
def test_spans_never_go_backwards(tokenizer: TextTokenizer, text: str) -> None:
    encoding = tokenizer.encode(text)

    assert (np.diff(encoding.starts) >= 0).all()
    assert (np.diff(encoding.ends) >= 0).all()


@given(text=TEXTS)
def test_without_a_normalizer_the_tokens_bytes_are_those_of_their_characters(
    byte_level_tokenizer: MakeTokenizer, text: str
) -> None:
    raw = byte_level_tokenizer()
    encoding = TextTokenizer(raw, ()).encode(text)
    replaced = "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)

    assert raw.decode(encoding.token_ids.tolist(), skip_special_tokens=False) == replaced
    for span in set(spans(encoding)):
        ids = [
            token for token, other in zip(encoding.token_ids.tolist(), spans(encoding), strict=True) if other == span
        ]
        assert raw.decode(ids, skip_special_tokens=False) == replaced[slice(*span)]


@pytest.mark.parametrize("character", ["é", "中", "😀", "\u0301"])
def test_tokens_that_share_a_character_carry_its_span(byte_level_tokenizer: MakeTokenizer, character: str) -> None:
    encoding = TextTokenizer(byte_level_tokenizer(), ()).encode(f"x{character}y")

    byte_count = len(character.encode())
    assert spans(encoding) == [(0, 1), *[(1, 2)] * byte_count, (2, 3)]


def test_spans_count_characters_of_the_text_before_normalization(byte_level_tokenizer: MakeTokenizer) -> None:
    tokenizer = TextTokenizer(byte_level_tokenizer(normalizer=normalizers.NFC()), ())

    encoding = tokenizer.encode("e\u0301x")

    assert spans(encoding) == [(0, 2), (0, 2), (2, 3)]


def test_a_lone_surrogate_moves_no_span(byte_level_tokenizer: MakeTokenizer) -> None:
    tokenizer = TextTokenizer(byte_level_tokenizer(), ())

    assert spans(tokenizer.encode("a\ud800b"))[-1] == (2, 3)


def test_white_space_belongs_to_its_tokens(byte_level_tokenizer: MakeTokenizer) -> None:
    encoding = TextTokenizer(byte_level_tokenizer(), ()).encode("a   \n\n")

    assert spans(encoding)[-1][1] == 6


def test_the_name_of_a_special_token_in_a_text_is_text(byte_level_tokenizer: MakeTokenizer) -> None:
    encoding = TextTokenizer(byte_level_tokenizer(), ()).encode("a <|endoftext|> b")

    assert 0 not in encoding.token_ids


def test_the_first_token_that_reaches_past_an_offset_is_found(byte_level_tokenizer: MakeTokenizer) -> None:
    encoding = TextTokenizer(byte_level_tokenizer(), ()).encode("x😀y")

    assert encoding.tokens_at([0, 1, 2, 3]).tolist() == [0, 1, 5, 6]


def test_the_prefix_is_what_the_post_processor_puts_first(byte_level_tokenizer: MakeTokenizer, tmp_path: Path) -> None:
    byte_level_tokenizer(bos=True).save(str(tmp_path / "tokenizer.json"))

    assert load_tokenizer(tmp_path, "model").prefix == (0,)


@pytest.mark.parametrize(("bos", "setting", "prefix"), [(False, True, (0,)), (True, False, ()), (False, None, ())])
def test_the_tokenizers_settings_decide_over_the_prefix(
    byte_level_tokenizer: MakeTokenizer, tmp_path: Path, bos: bool, setting: bool | None, prefix: tuple[int, ...]
) -> None:
    byte_level_tokenizer(bos=bos).save(str(tmp_path / "tokenizer.json"))
    settings = {"add_bos_token": setting, "bos_token": {"content": "<|endoftext|>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))

    assert load_tokenizer(tmp_path, "model").prefix == prefix


def test_the_fingerprint_is_the_hash_of_the_file(byte_level_tokenizer: MakeTokenizer, tmp_path: Path) -> None:
    byte_level_tokenizer().save(str(tmp_path / "tokenizer.json"))

    assert load_tokenizer(tmp_path, "model").fingerprint == hash_files([tmp_path / "tokenizer.json"])


def test_without_tokenizer_json_a_tokenizer_is_made_from_its_vocabulary(
    byte_level_tokenizer: MakeTokenizer, tmp_path: Path
) -> None:
    original = byte_level_tokenizer()
    original.model.save(str(tmp_path))  # vocab.json and merges.txt
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))

    encoding = load_tokenizer(tmp_path, "model").encode("def é(x):")

    assert encoding.token_ids.tolist() == original.encode("def é(x):").ids
    assert spans(encoding)[-1][1] == 9


def test_a_damaged_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")

    with pytest.raises(ModelError, match=r"tokenizer\.json of model"):
        load_tokenizer(tmp_path, "model")


def test_a_tokenizer_without_offsets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))

    with pytest.raises(ModelError, match="no character offsets"):
        load_tokenizer(tmp_path, "model")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))

    with pytest.raises(ModelError, match="tokenizer"):
        load_tokenizer(tmp_path, "model")
