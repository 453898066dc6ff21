"""Every bundle that ships without its model can be read, and its model can be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_lsp.model.registry import catalogue_name
from risk_lsp.probe.bundle import load_probe
from risk_lsp.probe.manifest import read_manifest, shipped_bundles

BUNDLES = shipped_bundles()


def test_there_is_a_precise_one() -> None:
    assert "qwen2.5-coder-0.5b" in BUNDLES


@pytest.mark.parametrize("path", BUNDLES.values(), ids=BUNDLES)
def test_its_model_can_be_fetched_by_name(path: Path) -> None:
    host = read_manifest(path).host

    assert (host.kind, host.location) == ("store", catalogue_name(host.weights_hash))


@pytest.mark.parametrize("path", BUNDLES.values(), ids=BUNDLES)
def test_its_probe_is_the_one_that_its_manifest_names(path: Path) -> None:
    manifest = read_manifest(path)

    assert load_probe(path, manifest).architecture == manifest.architecture


@pytest.mark.parametrize("path", BUNDLES.values(), ids=BUNDLES)
def test_it_brings_its_figures_and_levels_and_a_card(path: Path) -> None:
    manifest = read_manifest(path)

    assert manifest.figures["levels"]["line"]["probe"]["auc"] > 0.5
    assert manifest.reference["line"]
    assert manifest.places
    assert (path / "README.md").is_file()
