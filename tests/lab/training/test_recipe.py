"""A probe can be made again the way its manifest says."""

from __future__ import annotations

import pytest

from risk_lsp.errors import BadInput, BundleError
from risk_lsp.lab.training.make_bundle import recipe_of_command


def test_what_the_command_says_is_in_the_recipe() -> None:
    command = "risk-lsp probe fit --architecture lines --hidden 16 --rate 0.001 --layers 2,4 --seed 7"
    recipe = recipe_of_command(
        f"{command} --averaging 0.9 --no-statistics --copy-model --injected 30 --per-group 5", layer_count=4
    )

    assert (recipe.layers, recipe.statistics, recipe.injected, recipe.per_group) == ((2, 4), False, 30, 5)
    options = recipe.options
    assert (options.architecture, options.hidden) == ("lines", 16)
    assert (options.rate, options.averaging, options.seed) == (0.001, 0.9, 7)


def test_what_it_does_not_say_is_as_by_default() -> None:
    recipe = recipe_of_command("risk-lsp probe fit", layer_count=5)

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
    ],
)
def test_a_bundle_that_was_made_otherwise_is_refused(command: str) -> None:
    with pytest.raises(BundleError, match="cannot be repeated"):
        recipe_of_command(command, layer_count=4)


@pytest.mark.parametrize(
    ("layers", "reason"), [("1,x", "not a list of numbers"), ("5", "a layer that the model lacks")]
)
def test_layers_that_are_not_there_are_refused(layers: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        recipe_of_command(f"risk-lsp probe fit --layers {layers}", layer_count=4)
