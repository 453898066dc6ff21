"""The command line: one module a command, which parses, calls, and prints."""

from risk_lsp.cli.command_line import build_parser, main

__all__ = ["build_parser", "main"]
