"""The tiny bundles of the probe's tests."""

from __future__ import annotations

from tests.probe.conftest import bundle, bundles, engine, engines, model_folder

__all__ = ["bundle", "bundles", "engine", "engines", "model_folder"]
