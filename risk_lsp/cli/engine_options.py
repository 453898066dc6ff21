"""Options of the commands that load a bundle, and what they load."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from risk_lsp.settings import Settings

if TYPE_CHECKING:
    from risk_lsp.probe.calibration import Place
    from risk_lsp.risk.engine import Engine
    from risk_lsp.risk.presentation import ReferenceTable
    from risk_lsp.risk.span_risk import Scorer


def add_bundle_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which bundle is loaded, and how it runs."""
    bundle = parser.add_argument_group("model")
    bundle.add_argument("--bundle", metavar="PATH", help="a bundle's name or folder (default: see risk-lsp models)")
    bundle.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    bundle.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    bundle.add_argument("--threads", type=at_least_one, metavar="N", help="CPU threads for the model")
    bundle.add_argument("--online", action="store_true", help="let the model of a bundle be fetched from its hub")


def load_engine(args: argparse.Namespace, *, whole_model: bool = False) -> Engine:
    """The engine that the options name, with the part that writes if it is to be whole. BundleError or ModelError."""
    from risk_lsp.probe.manifest import bundle_path
    from risk_lsp.risk.engine import Engine

    return Engine.load(
        bundle_path(args.bundle),
        device=args.device,
        dtype=args.dtype,
        offline=not args.online,
        threads=args.threads,
        whole_model=whole_model,
    )


def add_place_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that says what kind of text all files are."""
    parser.add_argument(
        "--place",
        type=place,
        metavar="PLACE",
        help="generated, changed or at-rest: what all lines are (default: what git and installed libraries say)",
    )


def add_length_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which files are too long to read."""
    parser.add_argument(
        "--max-characters",
        type=at_least_one,
        default=Settings().max_characters,
        metavar="N",
        help="pass over files of more characters, and say so (default 200,000, as in editors)",
    )


def place(text: str) -> Place:
    """The place of this name; ArgumentTypeError for an unknown one."""
    from risk_lsp.probe.calibration import Place

    names = {each.value.replace("_", "-"): each for each in Place}
    if text not in names:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")
    return names[text]


def add_cache_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option to neither read nor keep results of earlier runs."""
    parser.add_argument("--no-cache", action="store_true", help="score again what was scored before, and keep nothing")


def cached_scorer(engine: Engine, args: argparse.Namespace) -> Scorer:
    """The engine behind a cache on disk, which knows the texts of earlier runs."""
    from risk_lsp.risk.engine import CachedScorer, DiskCache, cache_folder

    if args.no_cache:
        return engine
    numbers = f"{engine.model.device} {engine.model.dtype}"
    return CachedScorer(engine, engine.manifest, DiskCache(cache_folder()), numbers=numbers)


def reference_of(engine: Engine) -> ReferenceTable:
    """How often lines were edited, by the probability that the bundle gave them."""
    from risk_lsp.risk.presentation import ReferenceTable

    return ReferenceTable.from_manifest(engine.manifest.reference)


def at_least_one(text: str) -> int:
    """A whole number from 1; ArgumentTypeError for another."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def probability(text: str) -> float:
    """A number from 0 to 1; ArgumentTypeError for another."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a probability from 0 to 1")
    return number
