"""The catalogue of models that can be fetched by name."""

from __future__ import annotations

import re

import pytest

from risk_lsp.errors import ModelError
from risk_lsp.model.registry import CatalogueModel, catalogue, catalogue_model, catalogue_name


def test_it_names_the_models_that_people_are_promised() -> None:
    assert [model.name for model in catalogue()] == [
        "smollm2-135m",
        *(f"qwen2.5-coder-{size}" for size in ("0.5b", "1.5b", "3b", "7b")),
    ]


@pytest.mark.parametrize("model", catalogue(), ids=lambda model: model.name)
def test_every_model_is_pinned_to_a_commit_and_a_hash(model: CatalogueModel) -> None:
    assert re.fullmatch(r"[0-9a-f]{40}", model.revision)
    assert re.fullmatch(r"[0-9a-f]{64}", model.sha256)


def test_a_licence_that_forbids_commercial_use_is_named() -> None:
    assert "not for commercial use" in catalogue_model("qwen2.5-coder-3b").licence


def test_a_model_is_known_by_the_hash_of_its_file() -> None:
    assert catalogue_name(catalogue_model("qwen2.5-coder-0.5b").weights_hash) == "qwen2.5-coder-0.5b"


def test_another_hash_is_not_known() -> None:
    assert catalogue_name("sha256:0") is None


def test_a_slip_in_a_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ModelError, match=r"no model qwen2.5-coder-0.5.*did you mean qwen2.5-coder-0.5b"):
        catalogue_model("qwen2.5-coder-0.5")


def test_an_unknown_name_is_answered_with_those_that_are_known() -> None:
    with pytest.raises(ModelError, match=r"known are smollm2-135m, .*models add PATH"):
        catalogue_model("zzz")
