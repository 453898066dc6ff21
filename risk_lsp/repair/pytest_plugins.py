"""Which modules pytest would load as plugins, read from what is installed: loaded once, they need not be every run."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path


def plugin_modules(python: Path | None) -> tuple[str, ...]:
    """The modules of the pytest11 entry points of an interpreter's packages, the one that runs this by default."""
    folders = [Path(place) for place in sys.path] if python is None else _packages_of(python)
    files = [file for folder in folders if folder.is_dir() for file in folder.glob("*.dist-info/entry_points.txt")]
    return tuple(sorted({module for file in files for module in _modules(file)}))


def _packages_of(python: Path) -> list[Path]:
    return sorted((python.absolute().parent.parent / "lib").glob("python3.*/site-packages"))


def _modules(file: Path) -> list[str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    try:
        parser.read_string(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return []
    section = parser["pytest11"] if parser.has_section("pytest11") else {}
    return [value.partition(":")[0].strip() for value in section.values()]
