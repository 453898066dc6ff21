"""`risk-lsp corpus build` from end to end, over small stand-ins for the libraries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from risk_lsp.cli.command_line import build_parser
from risk_lsp.lab.training import model_commands
from risk_lsp.lab.training.packing import END_OF_TEXT, read_corpus, read_stream
from risk_lsp.lab.training.training_documents import TrainingDocument
from risk_lsp.model.tokenizer import load_tokenizer
from tests.lab.training.makers import document, group_in, write_records
from tests.probe.tiny import SAMPLE


def libraries() -> Iterator[TrainingDocument]:
    for index in range(6):
        yield document(f"# {index}\n{SAMPLE}", source=f"library {index % 2}")
    yield document("x = 1\n")  # too small to be worth learning
    yield document(f"# 0\n\n{SAMPLE}", source="copy")  # the same text again
    yield document(f"# kept back\n{SAMPLE}", held_out=True)


def build(out: Path, *options: object) -> Path:
    words = ["corpus", "build", out, "--vocabulary", 300, "--fim-share", 0, *options]
    args = build_parser().parse_args([str(word) for word in words])
    assert args.run(args) == 0
    return out


@pytest.fixture(autouse=True)
def small_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_commands, "standard_library", libraries)
    monkeypatch.setattr(model_commands, "installed_distributions", lambda: iter(()))


def documents_in(corpus: Path, stream: str) -> int:
    from tokenizers import Tokenizer

    end = Tokenizer.from_file(str(corpus / "tokenizer.json")).token_to_id(END_OF_TEXT)
    return int((read_stream(corpus, stream) == end).sum())


def test_library_texts_worth_learning_are_packed_once(tmp_path: Path) -> None:
    assert documents_in(build(tmp_path), "library") == 6


def test_held_out_texts_have_their_own_stream(tmp_path: Path) -> None:
    assert documents_in(build(tmp_path), "held-out") == 1


def test_no_library_gives_more_than_its_share(tmp_path: Path) -> None:
    assert documents_in(build(tmp_path, "--per-source", len(SAMPLE)), "library") == 2


def test_model_written_programs_are_a_stream_of_their_own_however_small(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    sample = {"task_id": "t", "group": group_in("train"), "benchmark": "mbpp", "model": "m", "prompt_lines": 0}
    write_records(data / "samples_toy.jsonl.xz", [{**sample, "program": "y = 2\n", "passed": True}])

    assert documents_in(build(tmp_path / "corpus", "--data", data), "model-written") == 1


def test_an_existing_tokenizer_is_used_as_it_is(tmp_path: Path) -> None:
    first = build(tmp_path / "first")
    second = build(tmp_path / "second", "--tokenizer", first / "tokenizer.json", "--vocabulary", 400)

    assert load_tokenizer(second, "second").fingerprint == load_tokenizer(first, "first").fingerprint


def test_the_manifest_holds_the_command_without_places_on_this_machine(tmp_path: Path) -> None:
    assert read_corpus(build(tmp_path))["command"] == (
        "risk-lsp corpus build --vocabulary 300 --per-group 24 --per-source 8000000 --fim-share 0.0 --seed 1"
    )


def test_the_same_seed_gives_the_same_corpus(tmp_path: Path) -> None:
    first, second = (read_corpus(build(tmp_path / name))["streams"] for name in ("first", "second"))

    assert first == second
