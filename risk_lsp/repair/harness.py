"""Scripts for the sandbox: each runs to its end only if a program passes its tests."""

from __future__ import annotations

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

_PYTEST = """\
import pytest
_QUIET = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
_options = ["-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "--color=no", *_QUIET]
_status = int(pytest.main([*_options, *{files!r}]))
sys.stdout.flush()
if _status != 0:
    raise SystemExit(f"pytest: status {{_status}}")
"""

_COMMAND = """\
_status = subprocess.run({command!r}, shell=True, stdin=subprocess.DEVNULL).returncode
if _status != 0:
    raise SystemExit(f"status {{_status}}")
"""

_DOCTEST = """\
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


def pytest_script(program: str, place: str, files: tuple[str, ...]) -> str:
    """Runs pytest on `files` with the program at `place`, both relative to the workspace."""
    return workspace_script(program, place) + _PYTEST.format(files=list(files))


def command_script(program: str, place: str, command: str) -> str:
    """Runs a command line in the workspace with the program at `place`."""
    return workspace_script(program, place) + _COMMAND.format(command=command)


def doctest_script(program: str, place: str, module: str) -> str:
    """Runs the examples in the docstrings of the program at `place`."""
    return workspace_script(program, place) + _DOCTEST.format(module=module)


def workspace_script(program: str, place: str) -> str:
    """Goes into a folder that stands for the workspace with the program at `place`."""
    return _WORKSPACE_SCRIPT.format(root=WORKSPACE, place=place, source=program)
