"""Documents become streams of token ids on disk, and come back from them exactly."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from risk_lsp.errors import BadInput
from risk_lsp.lab.training import packing
from risk_lsp.lab.training.packing import (
    END_OF_TEXT,
    FIM_MIDDLE,
    FIM_PREFIX,
    FIM_SUFFIX,
    read_corpus,
    read_stream,
    special_ids,
)
from tests.lab.training.makers import document, save_corpus

TEXTS = ["def first():\n    return 1\n", "x = 'ü🙂'\n", "for value in values:\n    pass\n"]


def documents_of(tokenizer: Tokenizer, ids: list[int]) -> list[list[int]]:
    """The ids between one end of text and the next."""
    ends = [-1, *(place for place, token in enumerate(ids) if token == special_ids(tokenizer)[END_OF_TEXT])]
    assert ends[-1] == len(ids) - 1
    return [ids[first + 1 : last] for first, last in pairwise(ends)]


def put_back(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The text of a document, in its own order again if it was rearranged for filling in the middle."""
    special = special_ids(tokenizer)
    if not ids or ids[0] != special[FIM_PREFIX]:
        return str(tokenizer.decode(ids, skip_special_tokens=False))
    suffix, middle = ids.index(special[FIM_SUFFIX]), ids.index(special[FIM_MIDDLE])
    parts = (ids[1:suffix], ids[middle + 1 :], ids[suffix + 1 : middle])
    return "".join(tokenizer.decode(part, skip_special_tokens=False) for part in parts)


def test_a_stream_holds_every_document_once_each_with_its_end(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_corpus(tmp_path, tokenizer, [document(text) for text in TEXTS])

    ids = read_stream(tmp_path, "library").tolist()
    assert [put_back(tokenizer, each) for each in documents_of(tokenizer, ids)] == TEXTS


@settings(max_examples=30)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=6), st.integers(0, 100))
def test_rearranged_documents_put_back_together_give_their_text(
    tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory, texts: list[str], seed: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fim"
    save_corpus(folder, tokenizer, [document(text) for text in texts], fim_share=1.0, seed=seed)

    ids = read_stream(folder, "library").tolist()
    assert [put_back(tokenizer, each) for each in documents_of(tokenizer, ids)] == texts


def test_the_share_of_rearranged_documents_is_as_asked(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_corpus(tmp_path, tokenizer, [document(f"x = {index}\n") for index in range(400)], fim_share=0.3)

    ids = read_stream(tmp_path, "library")
    assert 90 < np.count_nonzero(ids == special_ids(tokenizer)[FIM_PREFIX]) < 150


def test_held_out_documents_are_kept_apart_and_never_rearranged(tokenizer: Tokenizer, tmp_path: Path) -> None:
    kinds = ("library", "model-written", "library")
    kept_back = [document(text, held_out=True, kind=kind) for text, kind in zip(TEXTS, kinds, strict=True)]
    trained = [document("y = 1\n"), document("z = 2\n", kind="model-written")]
    save_corpus(tmp_path, tokenizer, [*kept_back, *trained], fim_share=1.0)

    streams = {name: documents_of(tokenizer, read_stream(tmp_path, name).tolist()) for name in ("library", "held-out")}
    assert [tokenizer.decode(ids, skip_special_tokens=False) for ids in streams["held-out"]] == TEXTS
    assert [put_back(tokenizer, ids) for ids in streams["library"]] == ["y = 1\n"]


def test_the_name_of_a_special_token_in_a_document_is_text(tokenizer: Tokenizer, tmp_path: Path) -> None:
    text = "end = '<|endoftext|>'; prefix = '<|fim_prefix|>'\n"
    save_corpus(tmp_path, tokenizer, [document(text)])

    ids = read_stream(tmp_path, "library").tolist()
    assert [put_back(tokenizer, each) for each in documents_of(tokenizer, ids)] == [text]


def test_a_stream_longer_than_a_shard_comes_back_whole(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SHARD_TOKENS", 10)
    save_corpus(tmp_path, tokenizer, [document(text) for text in TEXTS])

    shards = read_corpus(tmp_path)["streams"]["library"]["shards"]
    assert len(shards) > 2 and {shard["tokens"] for shard in shards[:-1]} == {10}
    ids = read_stream(tmp_path, "library").tolist()
    assert [put_back(tokenizer, each) for each in documents_of(tokenizer, ids)] == TEXTS


def test_the_manifest_counts_the_tokens_of_every_stream_and_source(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_corpus(tmp_path, tokenizer, [document(TEXTS[0], source="a"), document(TEXTS[2], source="b")])

    manifest = read_corpus(tmp_path)
    assert manifest["streams"]["library"]["tokens"] == len(read_stream(tmp_path, "library"))
    assert manifest["sources"] == [
        {"source": source, "licence": "MIT", "tokens": len(tokenizer.encode(text).ids)}
        for source, text in (("a", TEXTS[0]), ("b", TEXTS[2]))
    ]


def test_building_again_leaves_no_shard_of_the_earlier_corpus(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_corpus(tmp_path, tokenizer, [document(TEXTS[0], kind="model-written")])
    save_corpus(tmp_path, tokenizer, [document(TEXTS[0])])

    assert [path.name for path in tmp_path.glob("*.bin")] == ["library-000.bin"]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-2])])
def test_a_missing_or_damaged_shard_is_refused_by_name(tokenizer: Tokenizer, tmp_path: Path, spoil: object) -> None:
    save_corpus(tmp_path, tokenizer, [document(TEXTS[0])])
    assert callable(spoil)
    spoil(tmp_path / "library-000.bin")

    with pytest.raises(BadInput, match=r"library-000\.bin is missing or damaged"):
        read_stream(tmp_path, "library")


def test_a_stream_that_is_not_there_is_refused_by_name(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_corpus(tmp_path, tokenizer, [document(TEXTS[0])])

    with pytest.raises(BadInput, match="no stream 'model-written'"):
        read_stream(tmp_path, "model-written")


def test_a_folder_without_a_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no packed corpus"):
        read_corpus(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"), [("{", "is not JSON"), ("[]", "version None"), ('{"format_version": 2}', "version 2")]
)
def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "manifest.json").write_text(content)

    with pytest.raises(BadInput, match=reason):
        read_corpus(tmp_path)


def test_a_vocabulary_beyond_sixteen_bits_is_refused(tmp_path: Path) -> None:
    from tokenizers import models

    large = Tokenizer(models.WordLevel({str(index): index for index in range(2**16 + 1)}, unk_token="0"))

    with pytest.raises(BadInput, match="65,536"):
        packing.pack_documents([], large, tmp_path, fim_share=0, seed=1, command="")


def test_the_manifest_is_json_that_others_can_read(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_corpus(tmp_path, tokenizer, [document(TEXTS[0])])

    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert (manifest["format_version"], manifest["dtype"], manifest["vocabulary_size"]) == (1, "uint16", 300)
