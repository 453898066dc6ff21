"""`risk-lsp evaluate`, of a bundle and its rivals, and what else is measured: repairs, a person's level, writing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from risk_lsp.cli.command_line import at_least_one
from risk_lsp.errors import BadInput
from risk_lsp.lab.task_pool import add_ray_argument
from risk_lsp.lab.training.labelled_programs import DATA_HELP, NO_RIVAL_HELP

# The five folds with all rivals, and what shows a bundle as people meet it.
PARTS = ("folds", "sources", "conditions", "modules", "real-bugs", "well-kept", "invariance")


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp evaluate`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for evaluation.md, evaluation.json and images/")
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    parser.add_argument(
        "--bundle", metavar="PATH", action="append", help="each has a column (default: the built-in one)"
    )
    parser.add_argument(
        "--parts",
        metavar="NAME,NAME",
        help=f"what to measure, of {','.join(PARTS)} (default: all, real-bugs only with --bugs);"
        " figures of other parts stay as they are in OUT",
    )
    parser.add_argument(
        "--bugs", type=Path, metavar="FOLDER", help="pairs of a program with a bug and its fix: repairs_*.jsonl.xz"
    )
    parser.add_argument(
        "--texts", type=int, default=300, metavar="N", help="texts that a part beside `folds` reads at most (300)"
    )
    parser.add_argument(
        "--samples", type=Path, nargs="+", default=[], metavar="FILE", help="programs of models, for multisampling"
    )
    parser.add_argument("--reflect-model", metavar="NAME", help="ask this model at an endpoint which lines are wrong")
    parser.add_argument("--base-url", metavar="URL", help="the endpoint (OpenAI's chat protocol)")
    parser.add_argument(
        "--reflect-programs", type=int, default=500, metavar="N", help="ask about so many programs (default 500)"
    )
    parser.add_argument(
        "--per-group", type=int, default=8, help="passing and failing programs of one problem at most (default 8 each)"
    )
    parser.add_argument(
        "--only", type=Path, metavar="FILE", help="judge, and learn from, the programs whose ids it lists, one a line"
    )
    parser.add_argument("--members", type=int, metavar="N", help="probes of each fold (default: the bundle's)")
    parser.add_argument(
        "--attempts", type=Path, metavar="FILE", help="JSON of other probes that were tried, to be listed too"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="keep there what the model gives (gigabytes) and the folds' probes: a run that was cut short goes on",
    )
    parser.add_argument("--resamples", type=int, default=500, metavar="N", help="of the bootstrap (default 500)")
    parser.add_argument("--no-rival", action="store_true", help=NO_RIVAL_HELP)
    parser.add_argument("--quick", action="store_true", help="two folds and three epochs: to see that it runs")
    add_ray_argument(parser)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int)


def run_evaluate(args: argparse.Namespace) -> int:
    """Measure and write the report; returns the exit code."""
    from risk_lsp.lab.evaluation.evaluate import evaluate

    if args.base_url and not args.reflect_model:
        raise BadInput("--base-url names an endpoint, but no model is to be asked", "name one with --reflect-model")
    for name in ("resamples", "per_group", "members", "texts"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise BadInput(f"--{name.replace('_', '-')} must be 1 or more", "leave it out for the default")
    args.all_parts = args.parts is None
    possible = [name for name in PARTS if args.bugs is not None or name != "real-bugs"]
    wanted = possible if args.all_parts else [name.strip() for name in args.parts.split(",")]
    if unknown := [name for name in wanted if name not in PARTS]:
        raise BadInput(f"--parts: there is no part {unknown[0]!r}", "the parts are " + ", ".join(PARTS))
    if "real-bugs" in wanted and args.bugs is None:
        raise BadInput("--parts asks for real bugs, and none are given", "name the folder of the pairs with --bugs")
    args.parts = [name for name in PARTS if name in wanted]  # in the order of the report
    evaluate(args, sys.stderr)
    print(args.out / "evaluation.md")
    return 0


def add_personal_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp evaluate personal`."""
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    parser.add_argument("--bundle", metavar="PATH", help="the bundle (default: the built-in one)")
    parser.add_argument(
        "--choose-on",
        nargs="*",
        default=[],
        metavar="SOURCE",
        help="sources on which the prior is chosen, which are not judged then (default: the prior that ships)",
    )
    parser.add_argument(
        "--per-group", type=at_least_one, default=3, help="passing and failing programs of a problem (default 3 each)"
    )
    parser.add_argument("--runs", type=at_least_one, default=200, help="runs of each person and source (default 200)")
    parser.add_argument("--threads", type=int)


def run_personal(args: argparse.Namespace) -> int:
    """Read, choose, simulate and print; returns the exit code."""
    from risk_lsp.lab.evaluation.as_met.personal_simulation import chosen_prior, read_by_source, report
    from risk_lsp.lab.training.labelled_programs import read_probe_data
    from risk_lsp.personal.level_update import LevelPrior
    from risk_lsp.probe.manifest import BUILT_IN, bundle_path
    from risk_lsp.risk.engine import Engine

    data = read_probe_data(args.data, args.per_group).of("test")
    sources = read_by_source(Engine.load(bundle_path(args.bundle or BUILT_IN), threads=args.threads), data)
    unknown = sorted(set(args.choose_on) - set(sources))
    if unknown or set(args.choose_on) == set(sources):
        raise BadInput(
            f"the sources to choose on are {', '.join(args.choose_on)}",
            f"name some, not all, of {', '.join(sources)}",
        )
    choosing = {name: sources[name] for name in args.choose_on}
    prior = chosen_prior(choosing, max(1, args.runs // 8)) if choosing else LevelPrior()
    judged = {name: programs for name, programs in sources.items() if name not in choosing}
    print(report(judged, args.choose_on or ["nothing here"], prior, args.runs))
    return 0


SETS = ("humanevalfix", "natural")


def add_repair_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp evaluate repair`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder for records, figures and plots; resumed")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), metavar="DIR", help="problems and programs"
    )
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--split", default="test", choices=("train", "calibration", "test"), help="of natural failures")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="programs of each set (200)")
    parser.add_argument("--executions", type=int, default=200, metavar="N", help="for each program (200)")
    parser.add_argument("--uniform-executions", type=int, default=400, metavar="N", help="in uniform order (400)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", metavar="PATH", help="a bundle's folder (default: the built-in one)")
    add_ray_argument(parser)
    parser.add_argument("--trees", type=Path, metavar="DIR", help="pass@k and pass@t of the repair trees kept there")


def run_repair(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    from risk_lsp.lab.evaluation.pass_rates import report_trees
    from risk_lsp.lab.evaluation.repair_measuring import measure_sets

    args.out.mkdir(parents=True, exist_ok=True)
    if args.trees is not None:
        report_trees(args.trees, args.out)
    else:
        measure_sets(args)
    return 0


def add_writing_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp evaluate writing`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder for texts, verdicts and figures; resumed")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="problems with tests")
    parser.add_argument("--bundle", metavar="PATH", help="whose model writes (default: the built-in one)")
    parser.add_argument(
        "--problems", type=at_least_one, metavar="N", help="of the test split, drawn by --seed (default: all)"
    )
    parser.add_argument("--benchmarks", nargs="+", default=[], metavar="NAME", help="problems of these alone")
    parser.add_argument("--samples", type=at_least_one, default=10, metavar="N", help="texts for each problem (10)")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="T", help="of these texts (0.8)")
    parser.add_argument("--max-tokens", type=at_least_one, default=256, metavar="N", help="of a text (256)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resamples", type=at_least_one, default=2000, metavar="N", help="of the bootstrap (2000)")
    add_ray_argument(parser)
    parser.add_argument("--threads", type=int)


def run_writing(args: argparse.Namespace) -> int:
    """Write, run and measure; returns the exit code."""
    from risk_lsp.lab.evaluation.writing_study import study

    if args.temperature <= 0:
        raise BadInput(f"--temperature {args.temperature} draws nothing", "give a number above 0, such as 0.8")
    study(args)
    print(args.out / "writing-study.md")
    return 0


def add_prose_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp evaluate prose`."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="problems, whose statements are read, and repairs")
    parser.add_argument("--bundle", metavar="PATH", help="the bundle (default: the built-in one)")
    parser.add_argument("--texts", type=at_least_one, default=150, metavar="N", help="paragraphs of a source (150)")
    parser.add_argument("--resamples", type=at_least_one, default=500, metavar="N", help="of the bootstrap (500)")
    parser.add_argument("--threads", type=int)


def run_prose(args: argparse.Namespace) -> int:
    """Put slips into prose, read it and print what was found; returns the exit code."""
    from risk_lsp.lab.evaluation.as_met.prose_slips import mended_by_people, written_prose
    from risk_lsp.lab.evaluation.as_met.prose_transfer import prose_report, read_texts, slipped_texts
    from risk_lsp.probe.manifest import BUILT_IN, bundle_path
    from risk_lsp.risk.engine import Engine

    engine = Engine.load(bundle_path(args.bundle or BUILT_IN), threads=args.threads, whole_model=True)
    read = read_texts(engine, slipped_texts(written_prose(args.data, args.texts)))
    mended = mended_by_people(args.data) if args.data is not None else []
    people = read_texts(engine, mended) if mended else {}
    print(prose_report(engine.manifest.name, read, people, args.resamples))
    return 0
