"""`risk-lsp probe fit`: a bundle from a model and labelled programs; and the recipe that arguments or a bundle name."""

from __future__ import annotations

import argparse
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from risk_lsp.errors import BadInput, BundleError
from risk_lsp.lab.training.labelled_programs import DATA_HELP
from risk_lsp.probe.manifest import Manifest
from risk_lsp.probe.token_hazards import ARCHITECTURES
from risk_lsp.text.normal_form import READINGS

if TYPE_CHECKING:
    from risk_lsp.lab.training.fit_probe import Recipe


def add_fit_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp probe fit`."""
    parser.add_argument("out", type=Path, help="folder for the bundle")
    parser.add_argument(
        "--model", required=True, help="the code model: a name of risk-lsp models, a GGUF file, a folder or a hub id"
    )
    parser.add_argument("--revision", help="commit of a hub model")
    parser.add_argument("--online", action="store_true", help="let a hub model be downloaded")
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    parser.add_argument("--name", help="name of the bundle (default: the folder's name)")
    parser.add_argument(
        "--probe",
        type=Path,
        metavar="TUNED",
        help="take the probe that `train tune` wrote to TUNED, and fit its calibration alone; it says how it reads",
    )
    parser.add_argument("--layers", help="tapped layers, such as 2,4, or none (default: the middle and the last)")
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="hazard")
    parser.add_argument(
        "--reading",
        choices=READINGS,
        default="verbatim",
        help="read a program as it is, or in the normal form, which no comment or formatter changes (default verbatim)",
    )
    parser.add_argument("--hidden", type=int, default=32, help="width of the probe (default 32)")
    parser.add_argument(
        "--members",
        type=int,
        default=1,
        metavar="N",
        help="probes from N seeds, their hazards averaged (default 1)",
    )
    parser.add_argument(
        "--rate", type=float, default=2e-4, help="learning rate; higher for few programs (default 0.0002)"
    )
    parser.add_argument(
        "--averaging",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="keep a moving average of the weights, of which a step leaves SHARE as it was, such as 0.997 (default 0)",
    )
    parser.add_argument(
        "--ranking",
        type=counts,
        default=0.0,
        metavar="SHARE",
        help="what the order of the lines of failing programs counts, where the other terms count 3 (default 0)",
    )
    parser.add_argument(
        "--no-statistics",
        action="store_true",
        help="leave surprisal and entropy out; the layers above the taps never run",
    )
    parser.add_argument("--copy-model", action="store_true", help="put the model's files into the bundle")
    parser.add_argument(
        "--per-group",
        type=int,
        default=30,
        help="passing and failing programs of one problem at most (default 30 each)",
    )
    parser.add_argument(
        "--only",
        type=Path,
        metavar="FILE",
        help="learn from, and calibrate by, the programs whose ids it lists, one a line: for models that take long",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="BUNDLE",
        help="fit no probe but keep this bundle's, which the same options gave, and calibrate it again",
    )
    parser.add_argument(
        "--injected", type=int, default=0, help="programs with a bug made by machine to learn from as well (default 0)"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="keep what the model gives there, for fits to come (some gigabytes)",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=1)


def share(text: str) -> float:
    share = float(text)
    if not 0.0 <= share < 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to below 1")
    return share


def counts(text: str) -> float:
    number = float(text)
    if not 0.0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on")
    return number


def run_fit(args: argparse.Namespace) -> int:
    """Fit; returns the exit code."""
    from risk_lsp.lab.training.make_bundle import make_bundle

    make_bundle(args)
    return 0


def recipe_from(args: argparse.Namespace, layer_count: int) -> Recipe:
    """What the arguments say for a model of `layer_count` layers. BadInput for layers that it lacks."""
    from risk_lsp.lab.training.fit_probe import FitOptions, Recipe

    if args.layers is None:
        layers = {(layer_count + 1) // 2, layer_count}
    elif args.layers == "none":
        layers = set()
    else:
        try:
            layers = {int(part) for part in args.layers.split(",")}
        except ValueError:
            raise BadInput(
                f"--layers {args.layers} is not a list of numbers", "write for example --layers 2,4"
            ) from None
    if not all(0 <= layer <= layer_count for layer in layers):
        raise BadInput(
            f"--layers {args.layers} asks for a layer that the model lacks", f"its layers are 0 to {layer_count}"
        )
    options = FitOptions(
        architecture=args.architecture,
        hidden=args.hidden,
        rate=args.rate,
        averaging=args.averaging,
        ranking=args.ranking,
        seed=args.seed,
        members=args.members,
    )
    return Recipe(tuple(sorted(layers)), not args.no_statistics, args.injected, args.per_group, options)


def recipe_of(manifest: Manifest, layer_count: int) -> Recipe:
    """The recipe that a bundle was made by, for a model of `layer_count` layers. BundleError if it does not say."""
    from risk_lsp.lab.training.fit_probe import Recipe

    try:
        if manifest.recipe:
            return Recipe.from_json(manifest.recipe)
        return recipe_from(_arguments_of(manifest.command), layer_count)
    except (KeyError, TypeError, ValueError, argparse.ArgumentError) as error:
        raise BundleError(
            f"how the bundle {manifest.name} was made cannot be repeated: {error}",
            "fit the probe again with `risk-lsp probe fit`",
        ) from None


def _arguments_of(command: str) -> argparse.Namespace:
    """The arguments that a command names: all that a manifest without a recipe says."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_fit_arguments(parser)
    words = shlex.split(command)
    if words[:3] != ["risk-lsp", "probe", "fit"]:
        raise ValueError(f"{command!r} is no risk-lsp probe fit")
    args, unknown = parser.parse_known_args(["OUT", "--model", "MODEL", "--data", "DATA", *words[3:]])
    if unknown:
        raise ValueError(f"{command!r} has unknown words {unknown}")
    return args
