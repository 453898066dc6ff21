"""Where bundles are: the embedded default, in a checkout or an installed wheel, or a folder a person names."""

from __future__ import annotations

from pathlib import Path

from risk_lsp.errors import BundleError

DEFAULT = "default"


def bundle_path(name: str | None) -> Path:
    """The folder of the bundle a person named: "default" (or None) is the embedded one, anything else a path.

    BundleError when the embedded one is missing, or the path starts with the home of nobody.
    """
    if name is None or name == DEFAULT:
        return default_bundle_path()
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise BundleError(f"no probe bundle at {name}: there is no such user", "write the whole path") from None


def default_bundle_path() -> Path:
    """The embedded default. BundleError when the installation lacks it."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "probe_weights" / DEFAULT, package.parent / "probe_weights" / DEFAULT):
        if (folder / "manifest.json").is_file():
            return folder
    raise BundleError("the embedded default bundle is missing from this installation", "install risk-lsp again")
