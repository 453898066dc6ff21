"""A bundle of a tuned model and the probe that learnt with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from risk_lsp.cli.command_line import main
from risk_lsp.errors import BadInput
from risk_lsp.lab.training.training_files import TunedProbe
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.bundle import load_bundle
from risk_lsp.probe.layout import token_layout
from risk_lsp.probe.token_hazards import token_features
from risk_lsp.risk.engine import Engine
from risk_lsp.text.structure import sections
from tests.lab.training.makers import toy_programs, write_labelled

TEXT = "def f(a, b):\n    return a - b\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "programs.jsonl"
    write_labelled(toy_programs(60), path)
    return path


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, data: Path) -> Path:
    """What `train tune` wrote."""
    out = tmp_path_factory.mktemp("tuned")
    options = ("--model", model_folder, "--data", data, "--layers", "1,2", "--epochs", 1, "--reading", "normal-1")
    assert main(["train", "tune", str(out), *map(str, options)]) == 0
    return out


@pytest.fixture(scope="module")
def bundle(tuned: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `probe fit --probe` made of it."""
    out = tmp_path_factory.mktemp("made") / "bundle"
    options = ("--model", tuned / "model", "--probe", tuned, "--data", data, "--copy-model")
    assert main(["probe", "fit", str(out), *map(str, options)]) == 0
    return out


def test_the_bundle_reads_as_the_probe_was_tuned_to(bundle: Path, tuned: Path) -> None:
    manifest = load_bundle(bundle).manifest
    probe = TunedProbe.at(tuned)

    assert (manifest.layers, manifest.hidden, manifest.reading) == (probe.layers, probe.hidden, "normal-1")
    assert not manifest.statistics
    assert manifest.trained_on["model"]["tuned"]["split"] == "train"


def test_the_bundles_hazards_are_those_of_the_tuned_probe(bundle: Path, tuned: Path) -> None:
    found = load_bundle(bundle)
    encoding = found.model.encode(TEXT)
    read = found.model.read(encoding, (1, 2))
    layout = token_layout(TEXT, encoding.starts, encoding.ends, sections(TEXT))
    features = token_features(read, statistics=False, before=[layout.columns])

    head = TunedProbe.at(tuned).head(found.model.width)
    with torch.inference_mode():
        standardised = head.encoder.standardise(torch.from_numpy(features.astype(np.float32)))

    np.testing.assert_allclose(found.reader.standardise(features), standardised.numpy(), atol=1e-4)


def test_the_bundle_scores_texts(bundle: Path) -> None:
    assert 0 < Engine.load(bundle).score(TEXT).probability(0, len(TEXT)) < 1


def test_a_folder_without_a_tuned_probe_is_refused(model_folder: Path) -> None:
    with pytest.raises(BadInput, match="no tuned probe"):
        TunedProbe.at(model_folder)


def test_a_probe_of_a_model_of_another_width_is_refused(tuned: Path, model: CodeModel) -> None:
    with pytest.raises(BadInput, match="does not fit a model of width"):
        TunedProbe.at(tuned).head(model.width + 8)
