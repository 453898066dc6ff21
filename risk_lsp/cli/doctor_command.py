"""`risk-lsp doctor`: versions, model, device, memory, and a self-test."""

from __future__ import annotations

import argparse
import sys

from risk_lsp.cli.command_line import FINDINGS, OK
from risk_lsp.cli.engine_options import add_bundle_arguments, load_engine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp doctor`."""
    add_bundle_arguments(parser)


def run(args: argparse.Namespace) -> int:
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
