"""The command line: modules of commands, which parse, call, and print."""

from risk_lsp.cli.command_line import build_parser, main

__all__ = ["build_parser", "main"]
