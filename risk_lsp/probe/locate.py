"""Where bundles are: those that are shipped, in a checkout or an installed wheel, the user's choice, or a folder."""

from __future__ import annotations

import json
from pathlib import Path

from risk_lsp.errors import BundleError
from risk_lsp.model.registry import store_folder, write_setting

DEFAULT, BUILT_IN = "default", "built-in"
CHOICE_FILE = "in-use.json"  # beside the models of this user, where no workspace writes
_GO_BACK = "go back to the built-in one: risk-lsp models use default"


def bundle_path(name: str | None) -> Path:
    """The folder of the bundle a person named.

    "default" (or None) is the one that this user has chosen, or else the built-in one; "built-in" is that in any case;
    the name of a shipped bundle is that bundle; anything else is a path. BundleError when the built-in one is missing,
    the choice cannot be read, or the path starts with the home of nobody.
    """
    if name is None or name == DEFAULT:
        name = chosen_bundle() or BUILT_IN
    if name == BUILT_IN:
        return default_bundle_path()
    if name in (shipped := shipped_bundles()):
        return shipped[name]
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise BundleError(f"no probe bundle at {name}: there is no such user", "write the whole path") from None


def default_bundle_path() -> Path:
    """The built-in bundle. BundleError when the installation lacks it."""
    for folder in _weight_folders():
        if (folder / DEFAULT / "manifest.json").is_file():
            return folder / DEFAULT
    raise BundleError("the embedded default bundle is missing from this installation", "install risk-lsp again")


def shipped_bundles() -> dict[str, Path]:
    """The bundles that come with the program beside the built-in one, by name."""
    found = [path.parent for folder in reversed(_weight_folders()) for path in folder.glob("*/manifest.json")]
    return {path.name: path for path in sorted(found) if path.name != DEFAULT}


def chosen_bundle() -> str | None:
    """The bundle that this user has chosen: the name of a shipped one or an absolute path; None without a choice."""
    path = choice_file()
    try:
        chosen = json.loads(path.read_text("utf-8"))["bundle"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        chosen = None
    if not isinstance(chosen, str) or not (chosen in shipped_bundles() or Path(chosen).is_absolute()):
        raise BundleError(f"{path}, which says what bundle is used, is damaged or names none", _GO_BACK)
    return chosen


def choice_file() -> Path:
    """The file that says which bundle this user has chosen; there is none without a choice."""
    return store_folder() / CHOICE_FILE


def choose_bundle(chosen: str | None) -> None:
    """Make a shipped bundle, or the one at an absolute path, this user's default; None undoes the choice."""
    path = choice_file()
    if chosen is not None:
        write_setting(path, json.dumps({"bundle": chosen}) + "\n")
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise BundleError(f"{path} cannot be removed: {error.strerror}", "remove it yourself") from None


def _weight_folders() -> tuple[Path, Path]:
    package = Path(__file__).resolve().parents[1]
    return package / "probe_weights", package.parent / "probe_weights"
