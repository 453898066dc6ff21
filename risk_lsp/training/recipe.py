"""How a probe is made: what `risk-lsp probe fit` was told, so that others can be made the same way."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass

from risk_lsp.errors import BadInput, BundleError
from risk_lsp.training import probe_fit_command
from risk_lsp.training.fit_probe import FitOptions

# Of the problems that a probe learns from, those that only decide when to stop.
VALIDATION_SHARE = 0.15
_PREFIX = ["risk-lsp", "probe", "fit"]


@dataclass(frozen=True)
class Recipe:
    """The choices behind a probe that do not depend on its model's or its data's place."""

    layers: tuple[int, ...]
    statistics: bool
    injected: int
    per_group: int
    options: FitOptions


def recipe_from(args: argparse.Namespace, layer_count: int) -> Recipe:
    """What the arguments of `probe fit` say for a model of `layer_count` layers."""
    return Recipe(
        layers=_layers(args.layers, layer_count),
        statistics=not args.no_statistics,
        injected=args.injected,
        per_group=args.per_group,
        options=FitOptions(
            architecture=args.architecture,
            hidden=args.hidden,
            rate=args.rate,
            averaging=args.averaging,
            seed=args.seed,
            members=args.members,
        ),
    )


def recipe_of_command(command: str, layer_count: int) -> Recipe:
    """The recipe that a manifest's command names. BundleError if it is not one of `probe fit`."""
    words = shlex.split(command)
    parser = argparse.ArgumentParser(exit_on_error=False)
    probe_fit_command.add_arguments(parser)
    try:
        if words[:3] != _PREFIX:
            raise argparse.ArgumentError(None, "another command")
        args, unknown = parser.parse_known_args(["OUT", "--model", "MODEL", "--data", "DATA", *words[3:]])
        if unknown:
            raise argparse.ArgumentError(None, f"unknown words {unknown}")
    except argparse.ArgumentError as error:
        raise BundleError(
            f"the bundle's command {command!r} cannot be repeated: {error}", "fit the probe again with `probe fit`"
        ) from None
    return recipe_from(args, layer_count)


def _layers(text: str | None, layer_count: int) -> tuple[int, ...]:
    if text is None:
        return tuple(sorted({(layer_count + 1) // 2, layer_count}))
    if text == "none":
        return ()
    try:
        layers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise BadInput(f"--layers {text} is not a list of numbers", "write for example --layers 2,4") from None
    if layers[0] < 0 or layers[-1] > layer_count:
        raise BadInput(f"--layers {text} asks for a layer that the model lacks", f"its layers are 0 to {layer_count}")
    return layers
