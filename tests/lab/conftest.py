"""A tokenizer, a tiny model and an engine, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from risk_lsp.lab.training.packing import train_tokenizer
from risk_lsp.model.code_model import CodeModel
from risk_lsp.risk.engine import Engine
from tests.probe.tiny import SAMPLE, save_model, save_tiny_bundle


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """The project's kind of tokenizer, of 300 tokens."""
    return train_tokenizer([SAMPLE] * 4, 300)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny model with random weights."""
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def model(model_folder: Path) -> CodeModel:
    """The tiny model, loaded."""
    return CodeModel.load(model_folder)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Engine:
    """An engine with a random hazard probe."""
    return Engine.load(save_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", model_folder))
