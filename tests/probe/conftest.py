"""A tiny model and tiny bundles, made once; a test that spoils a bundle gets a copy of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from risk_lsp.probe.token_hazards import ARCHITECTURES
from risk_lsp.risk.engine import Engine
from tests.probe.tiny import save_model, save_tiny_bundle


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny model."""
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> dict[str, Path]:
    """One whole bundle per architecture; not to be changed."""
    folder = tmp_path_factory.mktemp("bundles")
    return {name: save_tiny_bundle(folder / name, model_folder, name) for name in ARCHITECTURES}


@pytest.fixture
def bundle(bundles: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the hazard bundle, to be spoilt."""
    return shutil.copytree(bundles["hazard"], tmp_path / "bundle")


@pytest.fixture(scope="session")
def engines(bundles: dict[str, Path]) -> dict[str, Engine]:
    """The bundles, loaded."""
    return {name: Engine.load(path) for name, path in bundles.items()}


@pytest.fixture(scope="session", params=ARCHITECTURES)
def engine(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Engine:
    """The engine of each architecture in turn."""
    return engines[request.param]
