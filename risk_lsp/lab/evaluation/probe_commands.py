"""`risk-lsp probe evaluate`: a bundle on labelled data. `probe places`: the level for each kind of text."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from risk_lsp.cli.command_line import at_least_one, probability
from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.columns import line_table, passage_of
from risk_lsp.lab.evaluation.as_met.well_kept import LibraryFile, library_files
from risk_lsp.lab.evaluation.figures import LevelRecords, statistics_by_level
from risk_lsp.lab.evaluation.reliability import ReliabilityRow, reliability_table
from risk_lsp.lab.span_tables import LEVELS, Level, shared_weights
from risk_lsp.lab.training.labelled_programs import DATA_HELP, NO_RIVAL_HELP, ProbeData
from risk_lsp.lab.training.training_documents import LIBRARIES_TO_MEASURE, licence_of
from risk_lsp.probe.calibration import Place, Prior, Priors
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import LONGEST

# The classes that the hover quotes: wide where lines are many and alike, so that each holds enough of them.
REFERENCE_EDGES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.45, 0.55, 0.65, 1.0)
# As many as `risk-lsp evaluate` takes by default: the same records get the same intervals.
_RESAMPLES = 500


def figures(calibration: dict[Level, LevelRecords], test: dict[Level, LevelRecords]) -> dict[str, Any]:
    """Per level and technique: BSS, ECE and AUC, raw and after a Platt map that was fitted on the calibration problems.

    "within_failing_auc" is the mean AUC inside failing programs, "hits_at_3" the share of failing programs whose three
    likeliest lines hold an edited one. Intervals are 95%, by bootstrap over problems. A level without a span, such as
    functions where all programs are scripts, has none.
    """
    found: dict[str, Any] = {}
    for level, statistics in statistics_by_level(calibration, test, resamples=_RESAMPLES).items():
        told = statistics.figures()
        found[level] = {
            "n": len(test[level].edited),
            "problems": told["problems"],
            "base_rate": told["base_rate"],
        }
        for technique, measured in told["techniques"].items():
            names = {"within_failing_auc": "within_auc", "hits_at_3": "hits_at_3"}
            found[level][technique] = {
                **{name: measured[name][0] for name in ("bss_raw", "ece_raw", "auc", "bss_platt", "ece_platt")},
                **{shown: measured[name][0] for shown, name in names.items() if name in measured},
                **{f"{name}_interval": measured[name][1:] for name in ("auc", "bss_platt")},
            }
    return found


def reference(test: dict[Level, LevelRecords]) -> dict[str, list[dict[str, float]]]:
    """What the shipped probabilities meant on the test problems, level by level, as the manifest keeps it."""
    return {
        level: [
            {key: value if key == "n" else round(value, 4) for key, value in row._asdict().items()}
            for row in _table(test[level], REFERENCE_EDGES)
        ]
        for level in _measured_levels(test)
    }


def reliability_curves(test: dict[Level, LevelRecords]) -> dict[str, list[ReliabilityRow]]:
    """Ten equal bins a level, for the reliability diagram."""
    edges = tuple(np.linspace(0, 1, 11))
    return {f"{level}s": _table(test[level], edges) for level in _measured_levels(test)}


def _measured_levels(test: dict[Level, LevelRecords]) -> list[Level]:
    return [level for level in LEVELS if test[level].weights.any()]


def _table(records: LevelRecords, edges: tuple[float, ...]) -> list[ReliabilityRow]:
    return reliability_table(records.scores["probe"], records.edited, records.weights, edges)


BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"
_COLUMNS = ("BSS raw", "ECE raw", "AUC (95% interval)", "BSS Platt", "ECE Platt", "AUC within failing programs")


def figures_markdown(figures: dict[str, Any], trained_on: Mapping[str, Any]) -> str:
    """One row per level and technique, and a sentence on what was measured; `trained_on` is the manifest's.

    Nobody knows what a pretrained model saw, nor a model that was derived from one.
    """
    rows = ["| level | technique | " + " | ".join(_COLUMNS) + " |", "|---|---|" + "---|" * len(_COLUMNS)]
    for level, found in figures["levels"].items():
        rows += [
            f"| {level} | {technique} | " + " | ".join(_cells(found[technique])) + " |"
            for technique in ("probe", "token probability")
            if technique in found
        ]
    line = figures["levels"]["line"]
    hits = line["probe"].get("hits_at_3")
    model = trained_on.get("model") or {}
    is_known = "corpus" in model and "derived_from" not in model
    unseen = "neither the model nor the probe saw" if is_known else "the probe did not learn from"
    about = (
        f"{figures['programs']:,} programs of {line['problems']} problems that {unseen}"
        f" ({', '.join(figures['benchmarks'])}); {line['n']:,} lines, {line['base_rate']:.0%} of them edited."
        f" In {'n/a' if hits is None else f'{hits:.0%}'} of the failing programs"
        " an edited line is among the three likeliest."
    )
    return "\n".join([*rows, "", about])


def update_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers in the file at `path`."""
    whole = path.read_text("utf-8") if path.is_file() else ""
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BadInput(f"{path} has no place for the figures", f"put {BEGIN} and {END} where the table belongs")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _cells(found: dict[str, Any]) -> list[str]:
    low, high = found["auc_interval"]
    return [
        _format_number(found["bss_raw"], 2),
        _format_number(found["ece_raw"]),
        f"{_format_number(found['auc'])} ({_format_number(low)}-{_format_number(high)})",
        _format_number(found["bss_platt"]),
        _format_number(found["ece_platt"]),
        _format_number(found["within_failing_auc"]) if "within_failing_auc" in found else "",
    ]


def _format_number(value: float | None, digits: int = 3) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp probe evaluate`."""
    parser.add_argument("bundle", type=Path, help="the bundle to measure")
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    parser.add_argument("--plot", type=Path, help="write the reliability diagram to this PNG")
    parser.add_argument(
        "--update", action="store_true", help="write figures and reference tables into the bundle's manifest"
    )
    parser.add_argument("--readme", type=Path, help="write the table between the markers of this file")
    parser.add_argument(
        "--per-group",
        type=int,
        default=30,
        help="passing and failing programs of one problem at most (default 30 each)",
    )
    parser.add_argument("--no-rival", action="store_true", help=NO_RIVAL_HELP)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int)


def run_evaluate(args: argparse.Namespace) -> int:
    """Measure and print the table; returns the exit code."""
    from dataclasses import replace

    from risk_lsp.lab.evaluation.reliability import plot_reliability
    from risk_lsp.lab.evaluation.study import score_programs
    from risk_lsp.lab.training.labelled_programs import NATURAL, WRITTEN, read_probe_data
    from risk_lsp.probe.manifest import write_manifest
    from risk_lsp.risk.engine import Engine

    # As `risk-lsp evaluate` chooses them, so that its figures are the same: repairs count in their problem's limit.
    data = read_probe_data(args.data, args.per_group, kinds=NATURAL).where(lambda program: program.kind in WRITTEN)
    calibrating, testing = data.of("calibration"), data.of("test")
    engine = Engine.load(
        args.bundle, device=args.device, dtype=args.dtype, threads=args.threads, whole_model=not args.no_rival
    )
    calibration, test = score_programs(engine, calibrating), score_programs(engine, testing)
    found = {
        "labels": data.labels,
        "programs": len(testing.programs),
        "benchmarks": sorted({program.benchmark for program in testing.programs}),
        "levels": figures(calibration, test),
    }
    table = figures_markdown(found, engine.manifest.trained_on)
    print(table)
    if args.plot:
        plot_reliability(reliability_curves(test), args.plot, title=f"Held-out problems: {engine.manifest.name}")
    if args.update:
        write_manifest(replace(engine.manifest, figures=found, reference=reference(test)), args.bundle)
    if args.readme:
        update_between_markers(args.readme, table)
    return 0


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
                    risk.scale(np.full(len(risk.starts), factor)).probabilities(*passage.lines.T)
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

    from risk_lsp.lab.training.labelled_programs import WRITTEN, read_probe_data
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
