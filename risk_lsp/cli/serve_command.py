"""`risk-lsp serve`: the language server."""

from __future__ import annotations

import argparse
import os

from risk_lsp.cli.engine_options import at_least_one
from risk_lsp.errors import BadInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp serve`; those given win over the client's settings."""
    parser.add_argument("--tcp", metavar="HOST:PORT", help="listen for one client there instead of on stdin and stdout")
    parser.add_argument("--bundle", metavar="PATH", help="a bundle's folder (default: as the client's settings say)")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"))
    parser.add_argument("--threads", type=at_least_one, metavar="N", help="CPU threads for the model")
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))


def run(args: argparse.Namespace) -> int:
    """Serve one client until it leaves."""
    if os.name == "nt":
        raise BadInput("the language server does not run on Windows", "run it, and the editor's remote, inside WSL")
    from risk_lsp.server.app import ServerOptions, run_stdio, run_tcp

    options = ServerOptions(
        bundle=args.bundle, threads=args.threads, device=args.device, dtype=args.dtype, log_level=args.log_level
    )
    if args.tcp is None:
        return run_stdio(options)
    host, _, port = args.tcp.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise BadInput(f"--tcp {args.tcp} is not an address", "write it as HOST:PORT, such as 127.0.0.1:2087")
    return run_tcp(host.strip("[]"), int(port), options)
