"""`risk-lsp doctor`, `models` and `personal`: what is installed and remembered here."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from risk_lsp.cli.command_line import FINDINGS, OK, add_bundle_arguments, load_engine

if TYPE_CHECKING:
    from risk_lsp.probe.offers import ModelOffer


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp doctor`."""
    add_bundle_arguments(parser)


def run_doctor(args: argparse.Namespace) -> int:
    """Print what there is to know, as it becomes known."""
    from risk_lsp.probe.manifest import bundle_path
    from risk_lsp.report.doctor import examine
    from risk_lsp.report.wording import write_all

    healthy = True
    for finding in examine(lambda: load_engine(args), bundle_path(args.bundle), offline=not args.online):
        write_all(sys.stdout, f"{finding.name:>12}  {finding.value}\n")
        sys.stdout.flush()
        healthy = healthy and finding.ok
    return OK if healthy else FINDINGS


_COLUMNS = ("name", "state", "size", "licence", "read by", "speed")


def add_models_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands below `risk-lsp models`, with their options."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, words, work in (
        ("list", "the models that are known or here", _run_list),
        ("fetch", "fetch a model of the catalogue", _run_fetch),
        ("add", "use a model file or folder that is here already", _run_add),
        ("remove", "forget a model, and remove its file if it was fetched", _run_remove),
        ("use", "choose the model that is used by default", _run_use),
    ):
        commands.add_parser(name, help=words, description=words).set_defaults(work=work)
    listed, fetched, added, removed, used = commands.choices.values()
    listed.add_argument("--json", action="store_true", help="print JSON: a list of objects")
    listed.add_argument("--measure", action="store_true", help="measure how fast each model is that is here")
    fetched.add_argument("name", metavar="NAME", help="a model of the catalogue: see risk-lsp models list")
    fetched.add_argument("--json", action="store_true", help="print progress as lines of JSON")
    added.add_argument("path", type=Path, metavar="PATH", help="a GGUF file, or a folder in the transformers format")
    added.add_argument("--name", metavar="NAME", help="what to call it (default: the file's or folder's name)")
    removed.add_argument("name", metavar="NAME", help="a model that is here: see risk-lsp models list")
    used.add_argument(
        "name", metavar="NAME", help="a model or a bundle by name, a bundle's folder, or default: the built-in one"
    )


def run_models(args: argparse.Namespace) -> int:
    """Do what the command says; returns the exit code."""
    return int(args.work(args))


def _run_list(args: argparse.Namespace) -> int:
    """Print the models that are known or here."""
    from risk_lsp.model.store import ModelStore
    from risk_lsp.probe.offers import measure_offers, model_offers
    from risk_lsp.report.wording import write_all

    store = ModelStore()
    offers = measure_offers(store) if args.measure else model_offers(store)
    write_all(sys.stdout, json.dumps([offer.to_json() for offer in offers], indent=1) + "\n" if args.json else "")
    if not args.json:
        write_all(sys.stdout, offers_table(offers))
    return OK


def offers_table(offers: list[ModelOffer]) -> str:
    """One line a model, in columns; a star marks the one in use."""
    from risk_lsp.report.wording import printable

    rows, marks = [_COLUMNS], ["  "]
    for offer in offers:
        row = (
            printable(offer.name),
            f"to fetch, {offer.partial / 1e6:,.0f} MB of it here" if offer.partial else offer.state,
            f"{offer.size / 1e6:,.0f} MB",
            offer.licence or "-",
            offer.bundle or "no bundle",
            "-" if offer.tokens_per_second is None else f"{offer.tokens_per_second:,.0f} tokens/s",
        )
        rows.append(row)
        marks.append("* " if offer.in_use else "  ")
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        mark + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for mark, row in zip(marks, rows, strict=True)
    ]
    return "\n".join([*lines, "", "* is used; another: risk-lsp models use NAME", ""])


def _run_fetch(args: argparse.Namespace) -> int:
    """Fetch a model; Ctrl-C keeps what has come."""
    from risk_lsp.model.registry import catalogue_model
    from risk_lsp.model.store import ModelStore, file_url
    from risk_lsp.report.wording import shown_progress

    wanted = catalogue_model(args.name)
    try:
        if args.json:
            size = wanted.size
            model = ModelStore().fetch(wanted, lambda done: print(json.dumps({"done": done, "size": size}), flush=True))
        else:
            megabytes = wanted.size / 1e6
            print(f"{wanted.title}, {megabytes:,.0f} MB; licence: {wanted.licence}", file=sys.stderr)
            print(f"from {file_url(wanted)}", file=sys.stderr)
            with shown_progress(sys.stderr, "MB", int(megabytes)) as progress:
                model = ModelStore().fetch(wanted, lambda done: progress.show(done // 1_000_000))
    except KeyboardInterrupt:
        print(f"\nstopped; what has come is kept: risk-lsp models fetch {wanted.name} goes on", file=sys.stderr)
        raise
    print(json.dumps({"path": str(model.path)}) if args.json else f"{model.name} is here: {model.path}")
    return OK


def _run_add(args: argparse.Namespace) -> int:
    """Record a model where it is."""
    from risk_lsp.model.store import ModelStore
    from risk_lsp.probe.offers import bundles_by_hash
    from risk_lsp.report.wording import printable

    model = ModelStore().add(args.path, args.name)
    bundle = bundles_by_hash().get(model.weights_hash)
    print(f"{printable(model.name)} is known now: {printable(str(model.path))}, {model.weights_hash}")
    if bundle is None:
        print("no shipped bundle reads it; fit one: risk-lsp probe fit FOLDER --model PATH --data PROGRAMS")
    else:
        print(f"the bundle {bundle} reads it: risk-lsp models use {bundle}")
    return OK


def _run_remove(args: argparse.Namespace) -> int:
    """Forget a model, unless it is in use; a fetched one's file goes, too."""
    from risk_lsp.model.store import ModelStore
    from risk_lsp.probe.offers import remove

    freed = remove(args.name, ModelStore())
    print(f"{args.name} is forgotten" + (f", {freed / 1e6:,.0f} MB are free" if freed else "; its files stay"))
    return OK


def _run_use(args: argparse.Namespace) -> int:
    """Choose what "default" means for this user."""
    from risk_lsp.model.store import ModelStore
    from risk_lsp.probe.offers import use
    from risk_lsp.report.wording import printable

    print(f"used from now on: the bundle {printable(str(use(args.name, ModelStore())))}")
    return OK


def add_personal_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands below `risk-lsp personal`, with their options."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    show = commands.add_parser("show", help="what is remembered, and what it makes of the numbers")
    show.add_argument("--json", action="store_true", help="print JSON")
    commands.add_parser("export", help="print everything that is remembered, as lines of JSON")
    commands.add_parser("reset", help="forget everything")
    commands.add_parser("off", help="remember nothing and learn nothing, in every editor")
    commands.add_parser("on", help="learn again")
    for name, made in commands.choices.items():
        made.set_defaults(work=name)


def run_personal(args: argparse.Namespace) -> int:
    """Do what the command says; returns the exit code."""
    from risk_lsp.files import user_data_folder
    from risk_lsp.personal.ledger import Ledger
    from risk_lsp.personal.level_update import PersonalSummary
    from risk_lsp.report.wording import printable, write_all

    ledger = Ledger(user_data_folder() / "personal")
    if args.work == "show":
        summary = PersonalSummary.of(ledger, time.time())
        write_all(sys.stdout, json.dumps(summary.to_json(), indent=1) + "\n" if args.json else summary.text())
    elif args.work == "export":
        for record in ledger.records():
            write_all(sys.stdout, json.dumps(record) + "\n")
    elif args.work == "reset":
        ledger.reset()
        print(f"forgotten: {printable(str(ledger.folder))} is empty")
    else:
        ledger.turn(on=args.work == "on")
        print(f"learning from your edits is {args.work}")
    return OK
