"""A probe can be made again the way its manifest says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.errors import BadInput, BundleError
from risk_lsp.lab.training.fit_probe import FitOptions, Recipe
from risk_lsp.lab.training.probe_fit_command import recipe_of
from risk_lsp.probe.manifest import Manifest, read_manifest

OPTIONS = FitOptions("lines", 16, rate=0.001, averaging=0.9, ranking=0.5, seed=7, members=3)
RECIPE = Recipe((2, 4), False, 30, 5, OPTIONS)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return read_manifest(Path(__file__).parents[3] / "probe_weights" / "default")


def test_a_recipe_survives_the_manifests_json(manifest: Manifest) -> None:
    kept = replace(manifest, recipe=json.loads(json.dumps(RECIPE.to_json())))

    assert recipe_of(kept, layer_count=4) == RECIPE


def test_the_recipe_counts_where_the_command_says_something_else(manifest: Manifest) -> None:
    kept = replace(manifest, recipe=RECIPE.to_json(), command="risk-lsp probe fit --hidden 99")

    assert recipe_of(kept, layer_count=4) == RECIPE


def test_a_recipe_that_names_no_ranking_has_none(manifest: Manifest) -> None:
    older = {name: part for name, part in RECIPE.to_json().items() if name != "ranking"}

    assert recipe_of(replace(manifest, recipe=older), layer_count=4).options.ranking == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "transformer"},
        {"hidden": "16"},
        {"layers": [2.5]},
        {"layers": 2},
        {"averaging": 1.0},
        {"ranking": -1.0},
        {"ranking": "much"},
        {"seed": ...},
        {"per_group": -1},
    ],
)
def test_a_recipe_with_a_wrong_part_is_refused(manifest: Manifest, changes: dict[str, Any]) -> None:
    damaged = {name: part for name, part in {**RECIPE.to_json(), **changes}.items() if part is not ...}

    with pytest.raises(BundleError, match="cannot be repeated"):
        recipe_of(replace(manifest, recipe=damaged), layer_count=4)


def of_command(manifest: Manifest, command: str, layer_count: int) -> Recipe:
    """The recipe of a bundle that has none of its own, as older ones."""
    return recipe_of(replace(manifest, recipe={}, command=command), layer_count)


def test_of_an_older_bundle_the_command_tells(manifest: Manifest) -> None:
    command = "risk-lsp probe fit --architecture lines --hidden 16 --rate 0.001 --layers 2,4 --seed 7 --members 3"
    more = "--averaging 0.9 --ranking 0.5 --no-statistics --copy-model --injected 30 --per-group 5"

    assert of_command(manifest, f"{command} {more}", layer_count=4) == RECIPE


def test_what_the_command_does_not_say_is_as_by_default(manifest: Manifest) -> None:
    recipe = of_command(manifest, "risk-lsp probe fit", layer_count=5)

    assert recipe.layers == (3, 5) and recipe.statistics and recipe.options.architecture == "hazard"


@pytest.mark.parametrize(
    "command",
    [
        "",
        "made by hand",
        "risk-lsp train model",
        "risk-lsp probe fit --depth 3",
        "risk-lsp probe fit --hidden many",
        "risk-lsp probe fit --averaging 1",
        "risk-lsp probe fit --ranking nan",
        "risk-lsp probe fit 'unclosed",
    ],
)
def test_a_bundle_that_was_made_otherwise_is_refused(manifest: Manifest, command: str) -> None:
    with pytest.raises(BundleError, match="cannot be repeated"):
        of_command(manifest, command, layer_count=4)


@pytest.mark.parametrize(
    ("layers", "reason"), [("1,x", "not a list of numbers"), ("5", "a layer that the model lacks")]
)
def test_layers_that_are_not_there_are_refused(manifest: Manifest, layers: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        of_command(manifest, f"risk-lsp probe fit --layers {layers}", layer_count=4)
