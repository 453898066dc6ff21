"""`risk-lsp serve`, `host` and `host key`: the language server, and one model for the editors of a team."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from pathlib import Path

from risk_lsp.cli.command_line import OK, add_bundle_arguments, at_least_one, at_least_zero
from risk_lsp.errors import BadInput


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp serve`; those given win over the client's settings."""
    parser.add_argument("--tcp", metavar="HOST:PORT", help="listen for one client there instead of on stdin and stdout")
    parser.add_argument("--bundle", metavar="PATH", help="a bundle's folder (default: as the client's settings say)")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"))
    parser.add_argument("--threads", type=at_least_one, metavar="N", help="CPU threads for the model")
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))


def run_serve(args: argparse.Namespace) -> int:
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


_LIMITS = {
    "requests_per_minute": "requests of one person in a minute",
    "tokens_per_minute": "tokens of one person's texts in a minute",
    "characters": "length of a text",
    "waiting": "requests of one person that may wait at a time",
    "documents": "documents of one person that are kept in memory",
    "kept_characters": "length of one person's texts together",
    "all_waiting": "requests of all people that may wait at a time",
}


def add_host_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp host`."""
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where editors' servers ask")
    parser.add_argument("--keys", type=Path, required=True, metavar="FILE", help="the keys: see risk-lsp host key")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="the certificate chain, in PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="the certificate's private key, in PEM")
    parser.add_argument(
        "--without-tls", action="store_true", help="listen without TLS where others can: a proxy before it has TLS"
    )
    add_bundle_arguments(parser)
    parser.add_argument("--writes", action="store_true", help="let the model write, too: for completions in line")
    parser.add_argument(
        "--memory", type=at_least_one, default=2000, metavar="MB", help="what is remembered of texts (default 2000)"
    )
    parser.add_argument(
        "--batch-tokens",
        type=at_least_zero,
        metavar="N",
        help="read short texts of several people in one run of the model, of at most N tokens; 0: each by itself "
        "(default 2048 with a GPU, 0 without)",
    )
    parser.add_argument(
        "--vllm", metavar="URL", help="a vLLM server on this machine that runs the bundle's model: see docs/team.md"
    )
    parser.add_argument(
        "--vllm-folder",
        type=Path,
        default="/dev/shm/risk-lsp-vllm",
        metavar="FOLDER",
        help="where vLLM writes hidden states for this host: in memory (default /dev/shm/risk-lsp-vllm)",
    )
    from risk_lsp.team.admission import PersonLimits

    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--request-seconds",
        type=at_least_one,
        default=20,
        metavar="S",
        help="that a request's head may take to arrive, and then its body (default 20)",
    )
    for item in fields(PersonLimits):
        limits.add_argument(
            f"--most-{item.name.replace('_', '-')}",
            type=at_least_one,
            default=item.default,
            metavar="N",
            help=f"{_LIMITS[item.name]} (default {item.default:,})",
        )


def run_host(args: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    from risk_lsp.probe.manifest import bundle_path
    from risk_lsp.team.admission import PersonLimits
    from risk_lsp.team.host_server import HostOptions, run_team_host

    host, _, port = args.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise BadInput(f"--listen {args.listen} is not an address", "write it as HOST:PORT, such as 127.0.0.1:8443")
    worker = {
        "bundle": str(bundle_path(args.bundle).absolute()),
        "device": args.device,
        "dtype": args.dtype,
        "threads": args.threads,
        "offline": not args.online,
        "writes": args.writes,
        "cache_bytes": args.memory * 1_000_000,
        "vllm": args.vllm,
        "vllm_folder": str(args.vllm_folder.absolute()),
    }
    limits = PersonLimits(**{item.name: getattr(args, f"most_{item.name}") for item in fields(PersonLimits)})
    return run_team_host(
        HostOptions(
            host=host.strip("[]"),
            port=int(port),
            keys=args.keys,
            worker=worker,
            limits=limits,
            certificate=args.tls_cert,
            private_key=args.tls_key,
            without_tls=args.without_tls,
            request_seconds=args.request_seconds,
            batch_tokens=args.batch_tokens,
        )
    )


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp host key`."""
    parser.add_argument("name", metavar="NAME", help="whose key it is; a key that they had is replaced")
    parser.add_argument("--keys", type=Path, required=True, metavar="FILE", help="where its hash is kept")
    parser.add_argument("--metrics", action="store_true", help="a key that reads /metrics, and has nothing scored")


def run_key(args: argparse.Namespace) -> int:
    """Make a key, and print it: it is shown this once."""
    from risk_lsp.team.admission import METRICS, PERSON, add_key

    print(add_key(args.keys, args.name, METRICS if args.metrics else PERSON))
    return OK
