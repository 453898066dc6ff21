"""`risk-lsp models`: which models there are, and which one is used."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from risk_lsp.cli.command_line import OK
from risk_lsp.report.wording import printable, write_all

if TYPE_CHECKING:
    from risk_lsp.probe.offers import ModelOffer

_COLUMNS = ("name", "state", "size", "licence", "read by", "speed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands below `risk-lsp models`, with their options."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, words, add, work in (
        ("list", "the models that are known or here", _add_list, _run_list),
        ("fetch", "fetch a model of the catalogue", _add_fetch, _run_fetch),
        ("add", "use a model file or folder that is here already", _add_add, _run_add),
        ("remove", "forget a model, and remove its file if it was fetched", _add_remove, _run_remove),
        ("use", "choose the model that is used by default", _add_use, _run_use),
    ):
        made = commands.add_parser(name, help=words, description=words)
        add(made)
        made.set_defaults(work=work)


def run(args: argparse.Namespace) -> int:
    """Do what the command says; returns the exit code."""
    return int(args.work(args))


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON: a list of objects")
    parser.add_argument("--measure", action="store_true", help="measure how fast each model is that is here")


def _run_list(args: argparse.Namespace) -> int:
    """Print the models that are known or here."""
    from risk_lsp.model.store import ModelStore
    from risk_lsp.probe.offers import measure_offers, model_offers

    store = ModelStore()
    offers = measure_offers(store) if args.measure else model_offers(store)
    write_all(sys.stdout, json.dumps([offer.to_json() for offer in offers], indent=1) + "\n" if args.json else "")
    if not args.json:
        write_all(sys.stdout, offers_table(offers))
    return OK


def offers_table(offers: list[ModelOffer]) -> str:
    """One line a model, in columns; a star marks the one in use."""
    rows = [_COLUMNS, *(_row(offer) for offer in offers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    marks = ["  ", *("* " if offer.in_use else "  " for offer in offers)]
    lines = [
        mark + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for mark, row in zip(marks, rows, strict=True)
    ]
    return "\n".join([*lines, "", "* is used; another: risk-lsp models use NAME", ""])


def _row(offer: ModelOffer) -> tuple[str, ...]:
    state = f"to fetch, {offer.partial / 1e6:,.0f} MB of it here" if offer.partial else offer.state
    return (
        printable(offer.name),
        state,
        f"{offer.size / 1e6:,.0f} MB",
        offer.licence or "-",
        offer.bundle or "no bundle",
        "-" if offer.tokens_per_second is None else f"{offer.tokens_per_second:,.0f} tokens/s",
    )


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a model of the catalogue: see risk-lsp models list")
    parser.add_argument("--json", action="store_true", help="print progress as lines of JSON")


def _run_fetch(args: argparse.Namespace) -> int:
    """Fetch a model; Ctrl-C keeps what has come."""
    from risk_lsp.model.download import file_url
    from risk_lsp.model.registry import catalogue_model
    from risk_lsp.model.store import ModelStore
    from risk_lsp.report.progress import shown_progress

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


def _add_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="PATH", help="a GGUF file, or a folder in the transformers format")
    parser.add_argument("--name", metavar="NAME", help="what to call it (default: the file's or folder's name)")


def _run_add(args: argparse.Namespace) -> int:
    """Record a model where it is."""
    from risk_lsp.model.store import ModelStore
    from risk_lsp.probe.offers import bundles_by_hash

    model = ModelStore().add(args.path, args.name)
    bundle = bundles_by_hash().get(model.weights_hash)
    print(f"{printable(model.name)} is known now: {printable(str(model.path))}, {model.weights_hash}")
    if bundle is None:
        print("no shipped bundle reads it; fit one: risk-lsp probe fit FOLDER --model PATH --data PROGRAMS")
    else:
        print(f"the bundle {bundle} reads it: risk-lsp models use {bundle}")
    return OK


def _add_remove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a model that is here: see risk-lsp models list")


def _run_remove(args: argparse.Namespace) -> int:
    """Forget a model, unless it is in use; a fetched one's file goes, too."""
    from risk_lsp.model.store import ModelStore
    from risk_lsp.probe.offers import remove

    freed = remove(args.name, ModelStore())
    print(f"{args.name} is forgotten" + (f", {freed / 1e6:,.0f} MB are free" if freed else "; its files stay"))
    return OK


def _add_use(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="a model or a bundle by name, a bundle's folder, or default: the built-in one"
    )


def _run_use(args: argparse.Namespace) -> int:
    """Choose what "default" means for this user."""
    from risk_lsp.model.store import ModelStore
    from risk_lsp.probe.offers import use

    print(f"used from now on: the bundle {printable(str(use(args.name, ModelStore())))}")
    return OK
