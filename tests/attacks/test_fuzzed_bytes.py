"""Whatever stands where a bundle, settings, a notebook or programs are expected, it is read or refused by name."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.fuzz_bytes import fuzz_bundle, fuzz_gguf, fuzz_notebook, fuzz_score, fuzz_settings
from tests.model.conftest import save_family
from tests.model.gguf_files import write_gguf


def test_a_damaged_bundle_is_refused_for_a_reason(tiny_bundle: Path, tmp_path: Path, long: bool) -> None:
    inputs = 500 if long else 60
    assert fuzz_bundle(tiny_bundle, tmp_path, inputs) > 0.6 * inputs


def test_a_damaged_gguf_file_is_refused_or_read_in_little_memory(tmp_path: Path, long: bool) -> None:
    model = write_gguf(save_family(tmp_path / "model", "Qwen2"), tmp_path / "model.gguf")
    inputs = 2_000 if long else 60

    refused, peak = fuzz_gguf(model, tmp_path, inputs)

    assert refused > 0.5 * inputs
    assert peak < 8_000_000


def test_random_settings_are_settings_or_problems_and_never_name_a_model(long: bool) -> None:
    fuzz_settings(inputs=20_000 if long else 1_000)


def test_random_lines_are_scored_or_named(tmp_path: Path, long: bool) -> None:
    fuzz_score(tmp_path, inputs=2_000 if long else 300)


async def test_random_notebooks_do_no_harm(tmp_path: Path, long: bool) -> None:
    await fuzz_notebook(tmp_path, inputs=2_000 if long else 400)
