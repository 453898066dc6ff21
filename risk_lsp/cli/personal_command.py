"""`risk-lsp personal`: what was learnt from a person's own edits, on this machine alone."""

from __future__ import annotations

import argparse
import json
import sys
import time

from risk_lsp.cli.command_line import OK
from risk_lsp.report.wording import printable, write_all


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> int:
    """Do what the command says; returns the exit code."""
    from risk_lsp.files import user_data_folder
    from risk_lsp.personal.ledger import Ledger
    from risk_lsp.personal.personal_summary import PersonalSummary

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
