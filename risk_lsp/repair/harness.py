"""Scripts for the sandbox, each of which runs to its end only if a program passes its tests."""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

WORKSPACE = "/workspace"  # where the copy of the workspace is seen inside

# A folder of links into the copy, in which only the program under test and the folders above it are real: made in
# no time, and whatever tests write goes into it.
_WORKSPACE_SCRIPT = """\
import os, shlex, subprocess, sys, tempfile
_root, _place, _source = {root!r}, {place!r}, {source!r}


def _links(folder, copy, parts):
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(copy) if os.path.isdir(copy) else []:
        if name != parts[0]:
            os.symlink(os.path.join(copy, name), os.path.join(folder, name))
    if len(parts) > 1:
        _links(os.path.join(folder, parts[0]), os.path.join(copy, parts[0]), parts[1:])


_folder = tempfile.mkdtemp()
_links(_folder, _root, _place.split("/"))
with open(os.path.join(_folder, _place), "w", encoding="utf-8", newline="", errors="surrogatepass") as _file:
    _file.write(_source)
os.chdir(_folder)
_paths = [_folder, os.path.join(_folder, "src")]
os.environ["PYTHONPATH"] = os.pathsep.join(_paths)
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "/usr/bin:/bin")
os.environ["HOME"] = os.environ["TMPDIR"] = _folder
sys.dont_write_bytecode = True
sys.path[:0] = _paths
sys.stdout.flush()
"""

RUN_PYTEST = """\
import pytest
_QUIET = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
_options = ["-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "--color=no", *_QUIET]
_status = int(pytest.main([*_options, *{files!r}]))
sys.stdout.flush()
if _status != 0:
    raise SystemExit(f"pytest: status {{_status}}")
"""

RUN_COMMAND = """\
_status = subprocess.run({command!r}, shell=True, stdin=subprocess.DEVNULL).returncode
if _status != 0:
    raise SystemExit(f"status {{_status}}")
"""

RUN_DOCTEST = """\
import doctest, importlib.util
_spec = importlib.util.spec_from_file_location({module!r}, os.path.join(_folder, _place))
_module = importlib.util.module_from_spec(_spec)
sys.modules[{module!r}] = _module
_spec.loader.exec_module(_module)
_found = doctest.testmod(_module)
sys.stdout.flush()
if _found.failed or not _found.attempted:
    raise SystemExit(f"doctest: {{_found.failed}} of {{_found.attempted}} failed")
"""


def workspace_script(program: str, place: str) -> str:
    """Goes into a folder that stands for the workspace with the program at `place`."""
    return _WORKSPACE_SCRIPT.format(root=WORKSPACE, place=place, source=program)


def plugin_modules(python: Path | None) -> tuple[str, ...]:
    """The modules of an interpreter's pytest plugins (entry points of the group pytest11), by default of this one's."""
    if python is None:
        folders = [Path(place) for place in sys.path]
    else:
        folders = sorted((python.absolute().parent.parent / "lib").glob("python3.*/site-packages"))
    files = [file for folder in folders if folder.is_dir() for file in folder.glob("*.dist-info/entry_points.txt")]
    return tuple(sorted({module for file in files for module in _modules(file)}))


def _modules(file: Path) -> list[str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    try:
        parser.read_string(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return []
    section = parser["pytest11"] if parser.has_section("pytest11") else {}
    return [value.partition(":")[0].strip() for value in section.values()]


_LONGEST = 2_000
_LONGEST_LINE = 300
_SANDBOX_PATHS = re.compile(r"/tmp/tmp\w+/|/workspace/")
_NOISE = re.compile(r"^(=+|-+|_+|\s*)$|^\s*\^+\s*$|^(FAILED|ERROR) ")


def trim_output(output: str, longest: int = _LONGEST) -> str:
    """The end of an output: whole lines, at most `longest` characters, no rules or blank lines, long lines cut."""
    kept: list[str] = []
    size = 0
    for line in reversed(_SANDBOX_PATHS.sub("", output).splitlines()):
        short = line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} ..."
        if _NOISE.match(short):
            continue
        size += len(short) + 1
        if size > longest:
            kept.append("...")
            break
        kept.append(short)
    return "\n".join(reversed(kept))
