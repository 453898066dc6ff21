"""Where bundles are: the embedded default, in a checkout or an installed wheel, or a folder a person names."""

from __future__ import annotations

from pathlib import Path

from risk_lsp.errors import BundleError

DEFAULT = "default"


def bundle_path(name: str | None) -> Path:
    """The folder of the bundle a person named: "default" (or None) is the embedded one, anything else a path."""
    return default_bundle_path() if name is None or name == DEFAULT else Path(name).expanduser()


def default_bundle_path() -> Path:
    """The embedded default. BundleError when the installation lacks it."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "probe_weights" / DEFAULT, package.parent / "probe_weights" / DEFAULT):
        if (folder / "manifest.json").is_file():
            return folder
    raise BundleError("the embedded default bundle is missing from this installation", "install risk-lsp again")
