"""`risk-lsp probe places`: the level of a bundle's numbers for each kind of text, written into its manifest."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from importlib import metadata
from itertools import islice
from pathlib import Path

import numpy as np

from risk_lsp.cli.engine_options import at_least_one, probability
from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.columns import line_table, passage_of
from risk_lsp.lab.evaluation.as_met.well_kept import LibraryFile, library_files
from risk_lsp.lab.span_tables import shared_weights
from risk_lsp.lab.training.documents import LIBRARIES_TO_MEASURE, licence_of
from risk_lsp.lab.training.labelled import DATA_HELP, ProbeData
from risk_lsp.probe.calibration import Place, Prior, Priors
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import LONGEST

# Of every thousand lines of released code, studies report about one defect that is known later. A fix touches about two
# lines.
RATE_AT_REST = 0.002
_SMALLEST, _LARGEST = 1e-9, 1e3  # of the factors that are looked at
_STEPS = 60  # halvings of the logarithm's range: far below any rounding that could be seen


def fit_priors(engine: Engine, calibrating: ProbeData, files: Sequence[LibraryFile], rate_at_rest: float) -> Priors:
    """The priors of a bundle.

    Generated text keeps the level that the probe was calibrated to; its rate is counted on the calibration programs.
    Code at rest gets the factor that makes the mean probability of the files' code lines `rate_at_rest`, an
    assumption. Changed lines are half-way between the two, on the scale of logarithms. BadInput if no factor does it.
    """
    generated = generated_prior(calibrating)
    factor = factor_for(rate_at_rest, engine, files)
    middle = math.sqrt(generated.factor * factor), math.sqrt((generated.rate or 0.0) * rate_at_rest)
    return Priors(generated, Prior(*middle), Prior(factor, rate_at_rest))


def generated_prior(calibrating: ProbeData) -> Prior:
    """Factor 1, and the weighted share of edited lines among those that models wrote."""
    passages = [passage_of(program.text, program.scored) for program in calibrating.programs]
    table = line_table(passages, [program.edited or () for program in calibrating.programs])
    weights = shared_weights(np.asarray(calibrating.span_weights), table)
    counted = weights > 0
    if not counted.any():
        raise BadInput("no calibration program has lines whose fix is known", "give programs of more problems")
    rate = float(np.average(table.edited[counted], weights=weights[counted]))
    return Prior(1.0, rate, int(np.count_nonzero(counted)), measured=True)


def factor_for(rate: float, engine: Engine, files: Sequence[LibraryFile]) -> float:
    """The factor of all hazards that makes the mean probability of the files' code lines `rate`, by bisection.

    BadInput if no factor from 1e-9 to 1,000 does.
    """
    passages = [passage_of(file.text) for file in files]
    risks = engine.score_many([passage.text for passage in passages])

    def mean(factor: float) -> float:
        return float(
            np.concatenate(
                [
                    risk.scaled(np.full(len(risk.starts), factor)).probabilities(*passage.lines.T)
                    for risk, passage in zip(risks, passages, strict=True)
                ]
            ).mean()
        )

    low, high = math.log(_SMALLEST), math.log(_LARGEST)
    if not files or not mean(_SMALLEST) < rate < mean(_LARGEST):
        raise BadInput(
            f"no factor gives the lines of {len(files)} library files a mean probability of {rate:g}",
            "give another --rate-at-rest, or install more libraries",
        )
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if mean(math.exp(middle)) < rate else (low, middle)
    return math.exp((low + high) / 2)


def other_libraries() -> list[str]:
    """The permissively licensed distributions that are installed, without this one and those that bundles are judged
    by."""
    found = {
        distribution.metadata["Name"].lower()
        for distribution in metadata.distributions()
        if licence_of(distribution.metadata) is not None
    }
    return sorted(found - set(LIBRARIES_TO_MEASURE) - {"risk-lsp"})


def files_at_rest(most: int) -> list[LibraryFile]:
    """Up to `most` files of other libraries, which take turns; none is longer than the numbers were measured for."""
    files = (file for file in library_files(other_libraries()) if file.text.count("\n") < LONGEST)
    return list(islice(files, most))


def add_places_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp probe places`."""
    parser.add_argument("bundle", type=Path, help="the bundle whose manifest is written")
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    parser.add_argument(
        "--rate-at-rest",
        type=probability,
        default=RATE_AT_REST,
        metavar="SHARE",
        help="the share of lines of released code that need an edit; an assumption (default 0.002)",
    )
    parser.add_argument(
        "--files", type=at_least_one, default=150, metavar="N", help="library files to read at most (default 150)"
    )
    parser.add_argument(
        "--per-group",
        type=at_least_one,
        default=30,
        help="passing and failing programs of one problem at most (default 30 each)",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int)


def run_places(args: argparse.Namespace) -> int:
    """Fit, write and print; returns the exit code."""
    from dataclasses import replace

    from risk_lsp.lab.training.labelled import WRITTEN, read_probe_data
    from risk_lsp.probe.manifest import write_manifest

    data = read_probe_data(args.data, args.per_group, kinds=WRITTEN)
    calibrating = data.of("calibration")
    engine = Engine.load(args.bundle, device=args.device, dtype=args.dtype, threads=args.threads)
    files = files_at_rest(args.files)
    priors = fit_priors(engine, calibrating, files, args.rate_at_rest)
    write_manifest(replace(engine.manifest, places=priors), args.bundle)
    for place in Place:
        prior = priors.of(place)
        source = f"measured on {prior.n:,} lines" if prior.measured else "assumed"
        print(f"{place.value}: factor {prior.factor:.4g}, rate {prior.rate:.4g} ({source})")
    print(f"read {len(files)} files of {len({file.library for file in files})} libraries")
    return 0
