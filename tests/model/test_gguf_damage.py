"""A GGUF file that is damaged, hostile or of another kind gives an error that names it, in little time and memory."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from risk_lsp.errors import ModelError
from risk_lsp.model.code_model import CodeModel
from tests.model.gguf_files import raw_gguf, raw_text, write_gguf

ModelFolder = Callable[..., Path]
HUGE = (1 << 63) - 1
TEXT, ARRAY, F32, Q4_0 = 8, 9, 0, 2
SIXTEEN = bytes(64)  # numbers in float32


def entry(key: str, kind: int, value: bytes) -> tuple[str, int, bytes]:
    return key, kind, value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a GGUF file"),
        (b"GG", "is not a GGUF file"),
        (b"PK\x03\x04" + bytes(60), "is not a GGUF file"),
        (b"GGUF", "needs 4 bytes"),
        (raw_gguf(version=1), "of GGUF version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "of GGUF version"),
        (raw_gguf(counts=(HUGE, 0)), "claims 9223372036854775807 tensors"),
        (raw_gguf(counts=(0, HUGE)), "tensors and 9223372036854775807 entries"),
        (raw_gguf(counts=(0, 60_000)), "ends at byte"),
        (raw_gguf([entry("a", TEXT, struct.pack("<Q", HUGE))]), "a text of 9223372036854775807 bytes"),
        (raw_gguf([entry("a", TEXT, struct.pack("<Q", 1 << 20))]), "needs 1048576 bytes"),
        (raw_gguf([entry("a", TEXT, struct.pack("<Q", 1) + b"\xff")]), "not UTF-8"),
        (raw_gguf([entry("a", 77, b"")]), "a is of the unknown type 77"),
        (raw_gguf([entry("a", ARRAY, struct.pack("<IQ", 4, HUGE))]), "a claims 9223372036854775807 items"),
        (raw_gguf([entry("a", ARRAY, struct.pack("<IQ", 4, 1 << 20))]), "needs 4194304 bytes"),
        (raw_gguf([entry("a", ARRAY, struct.pack("<IQQ", TEXT, 1, HUGE))]), "ends at byte"),
        (raw_gguf([entry("a", ARRAY, struct.pack("<IQ", ARRAY, 1))]), "array of the unknown type 9"),
        (raw_gguf([entry("a", 4, bytes(4)), entry("a", 4, bytes(4))]), "a stands there twice"),
        (raw_gguf([entry("general.alignment", 4, struct.pack("<I", 3))]), "aligned to 3"),
        (raw_gguf([entry("general.alignment", TEXT, raw_text("x"))]), "aligned to 'x'"),
        (raw_gguf(tensors=[("t", [16], F32, 0)] * 2, data=SIXTEEN), "the tensor t stands there twice"),
        (raw_gguf(tensors=[("t", [16], F32, 0), ("u", [16], F32, 32)], data=2 * SIXTEEN), "u lies over another"),
        (raw_gguf(tensors=[("t", [16], F32, 1 << 40)], data=SIXTEEN), "ends before the tensor t does"),
        (raw_gguf(tensors=[("t", [16], F32, HUGE - 31)], data=SIXTEEN), "not aligned|ends before"),
        (raw_gguf(tensors=[("t", [16], F32, 4)], data=2 * SIXTEEN), "t is not aligned"),
        (raw_gguf(tensors=[("t", [16], 99, 0)], data=SIXTEEN), "t is of the unknown type 99"),
        (raw_gguf(tensors=[("t", [16], Q4_0, 0)], data=SIXTEEN), "blocks of 32"),
        (raw_gguf(tensors=[("t", [0], F32, 0)], data=SIXTEEN), r"t has the sizes \[0\]"),
        (raw_gguf(tensors=[("t", [1 << 40, 1 << 40], F32, 0)], data=SIXTEEN), "t has the sizes"),
        (raw_gguf(tensors=[("t", [1] * 9, F32, 0)], data=SIXTEEN), "9 dimensions"),
        (raw_gguf(tensors=[("t", [16], 24, 0)], data=SIXTEEN), "numbers of the type I8"),
        (raw_gguf(), "architecture None"),
        (raw_gguf([entry("general.architecture", TEXT, raw_text("mamba"))]), "architecture 'mamba'"),
        (raw_gguf([entry("general.architecture", TEXT, raw_text("llama"))]), r"does not say its llama\.attention"),
    ],
)
def test_a_file_with_a_defect_is_refused_with_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=reason) as caught:
        CodeModel.load(path)

    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("family", "settings", "reason"),
    [
        ("Llama", {"llama.expert_count": 8}, "llama.expert_count = 8"),
        ("Llama", {"llama.block_count": 1 << 30}, "claims 1073741824 blocks"),
        ("Llama", {"llama.block_count": 2}, r"holds the tensor blk\.2"),
        ("Llama", {"llama.attention.head_count": 3}, "do not fit|imply"),
        ("Llama", {"llama.attention.head_count": 0}, "head_count = 0"),
        ("Llama", {"llama.attention.head_count_kv": "two"}, "head_count_kv = 'two'"),
        ("Llama", {"llama.attention.key_length": 1 << 30}, "value_length = 8|do not fit"),
        ("Llama", {"llama.attention.layer_norm_rms_epsilon": float("nan")}, "epsilon = nan"),
        ("Llama", {"llama.rope.dimension_count": 4}, "dimension_count = 4"),
        ("Llama", {"llama.rope.scaling.type": "yarn"}, "scaling.type = 'yarn'"),
        ("Qwen2", {"qwen2.attention.sliding_window": 8}, "sliding_window = 8"),
        ("Qwen3", {"tokenizer.ggml.model": "llama"}, "of the kind 'llama'"),
        ("Qwen3", {"tokenizer.ggml.pre": "viking"}, "by the rules 'viking'"),
        ("Qwen3", {"tokenizer.ggml.tokens": ["a", "a"]}, "does not say of each token|of the same name"),
        ("Qwen3", {"tokenizer.ggml.merges": ["never seen"]}, "cannot be built"),
        ("Qwen3", {"tokenizer.ggml.add_bos_token": True}, "does not say which"),
    ],
)
def test_a_model_that_is_not_plain_is_refused_by_its_setting(
    model_folder: ModelFolder, tmp_path: Path, family: str, settings: dict[str, object], reason: str
) -> None:
    path = write_gguf(model_folder(family), tmp_path / "model.gguf", settings=settings)

    with pytest.raises(ModelError, match=reason) as caught:
        CodeModel.load(path)

    assert caught.value.hint


def test_a_file_that_ends_anywhere_is_refused(model_folder: ModelFolder, tmp_path: Path) -> None:
    whole = write_gguf(model_folder("Llama"), tmp_path / "whole.gguf").read_bytes()
    path = tmp_path / "cut.gguf"

    for length in [*range(0, 600, 7), *np.linspace(600, len(whole) - 64, 60).astype(int).tolist()]:
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            CodeModel.load(path)


def test_a_file_cut_while_it_is_in_use_gives_an_error(model_folder: ModelFolder, tmp_path: Path) -> None:
    path = write_gguf(model_folder("Qwen2"), tmp_path / "model.gguf")
    model = CodeModel.load(path, dtype="float32")
    path.write_bytes(b"")

    with pytest.raises(ModelError, match="shorter than it was"):
        model.read(model.encode("x = 1\n"), (1,))


def test_a_file_replaced_while_it_is_in_use_is_read_on(model_folder: ModelFolder, tmp_path: Path) -> None:
    path = write_gguf(model_folder("Qwen2"), tmp_path / "model.gguf", kind=gguf.GGMLQuantizationType.F16)
    model = CodeModel.load(path, dtype="float32")
    before = model.read(model.encode("x = 1\n"), (1,)).values
    (tmp_path / "new.gguf").write_bytes(b"")
    (tmp_path / "new.gguf").replace(path)

    np.testing.assert_array_equal(model.read(model.encode("x = 1\n"), (1,)).values, before)
