"""Which program and which bundle made a report."""

from __future__ import annotations

from dataclasses import dataclass

from risk_lsp import __version__
from risk_lsp.probe.manifest import Manifest

NAME = "risk-lsp"


@dataclass(frozen=True)
class Tool:
    """The program's version, and the bundle's name and the hashes of its parts."""

    bundle: str
    probe_hash: str
    weights_hash: str
    version: str = __version__


def tool_of(manifest: Manifest) -> Tool:
    """This version of the program with the bundle of the manifest."""
    return Tool(manifest.name, manifest.probe_hash, manifest.host.weights_hash)
