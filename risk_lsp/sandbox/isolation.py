"""What a run of untrusted code may use, what came of it, and the command that isolates the fork server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from risk_lsp.errors import RiskError

Status = Literal["passed", "failed", "timeout", "memory", "killed", "output_limit"]


class SandboxError(RiskError):
    """The sandbox is missing or does not work; it is never a fault of the program in it."""


@dataclass(frozen=True)
class Limits:
    """Limits of one run. Sizes are in bytes.

    memory: of all its processes together, beyond what an idle interpreter holds, and of each one's address space.
    processes: at one moment, threads included, and the first one too.
    disk: in the private /tmp, the only folder that can be written to. file: of one file.
    output: stdout and stderr together; a program that writes more is killed.
    stderr_tail: how much of the end of stderr is kept.
    """

    wall_seconds: float = 8.0
    cpu_seconds: int = 4
    memory: int = 1 << 30
    processes: int = 16
    open_files: int = 64
    file: int = 16 << 20
    disk: int = 32 << 20
    output: int = 1 << 20
    stderr_tail: int = 8 << 10

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"limit {name} must be above zero, not {value}")


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    status: `passed` is exit status 0; `failed` any other; `timeout` wall clock or CPU; `memory` a MemoryError or too
    much memory in all; `output_limit` too much output; `killed` any other signal, such as a crash of the interpreter.
    exit_code: minus the signal's number for a signal, as in `subprocess`.
    completed: the program ran to its last statement, instead of leaving by an exception, `exit()` or a signal.
    exception: name of the class of the exception that ended the program, or "".
    """

    status: Status
    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    completed: bool
    exception: str


# Modules that model-written programs and their tests import most; loaded once per server, then inherited. Not numpy: it
# makes each fork slower by more than the rare program that needs it gains.
PRELOADED = (
    *("bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "hashlib", "heapq", "inspect"),
    *("io", "itertools", "json", "math", "operator", "random", "re", "statistics", "string", "typing"),
)
# Root's runs go to this user and group, which no account has: its resource limits count nobody else's processes.
NOBODY = 64_000

_HOME_INSIDE = "/sandbox"
_PACKAGE = Path(__file__).resolve().parent / "inside"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime")
_INSTALL_HINT = "install bubblewrap, for example with `apt-get install bubblewrap`, and allow user namespaces"
_DROP_USER = (
    "import os,sys;u=int(sys.argv[1]);os.setgroups([]);os.setresgid(u,u,u);os.setresuid(u,u,u);"
    "os.execv(sys.argv[2],sys.argv[2:])"
)


class View(NamedTuple):
    """What a sandbox shows beside the system and this interpreter.

    python: another interpreter to run programs with, such as a workspace's; it is never run outside. folders: (a
    folder, where it is seen), read-only.
    """

    python: Path | None = None
    folders: tuple[tuple[Path, str], ...] = ()


NO_MORE = View()


def find_bubblewrap() -> str:
    """Path of the `bwrap` program. SandboxError where there is none."""
    if not sys.platform.startswith("linux"):
        raise SandboxError(f"bubblewrap does not exist for {sys.platform}", "run untrusted code on Linux")
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxError("bubblewrap (bwrap) is not installed, so untrusted code cannot be run", _INSTALL_HINT)
    return path


def isolated_command(user: int, preload: Sequence[str], view: View = NO_MORE) -> list[str]:
    """Command of a fork server that sees the system read-only, no home, no network and no other process.

    As root the server runs as `user`, so that the limits that the kernel waives for root hold.
    """
    bwrap = find_bubblewrap()
    fences = [
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--hostname", "sandbox", "--new-session", "--die-with-parent", "--proc", "/proc", *_view(view)),
    ]
    # A capability inside the user namespace alone; the server gives it up for every program.
    own_namespace = ["--unshare-user", "--cap-add", "CAP_SYS_ADMIN", *_no_more_namespaces(bwrap)]
    if os.geteuid() != 0:
        return [bwrap, *own_namespace, *fences, "--", *server_command(preload, view.python)]
    # Root may read what the user may not, such as an interpreter in /root: the view is made before the user is dropped.
    return [
        *(bwrap, *fences, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--"),
        *(sys.executable, "-I", "-c", _DROP_USER, str(user)),
        *(bwrap, *own_namespace, "--dev-bind", "/", "/", "--die-with-parent", "--"),
        *server_command(preload, view.python),
    ]


def server_command(preload: Sequence[str], python: Path | None = None) -> list[str]:
    """Command of the fork server itself, to be run with `environment`; it imports the modules `preload` beforehand."""
    return [str(python or sys.executable), "-s", "-B", "-m", "inside", *preload]


def environment(*, home: str = "/tmp", package_folder: str = _HOME_INSIDE) -> dict[str, str]:
    """Every variable that a program sees: nothing of the user's own environment."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "PYTHONPATH": package_folder,
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def package_folder() -> str:
    """Folder to put on PYTHONPATH where no bubblewrap moves it."""
    return str(_PACKAGE.parent)


@cache
def _no_more_namespaces(bwrap: str) -> tuple[str, ...]:
    """The option of bubblewrap 0.8 and later that keeps programs from making user namespaces."""
    usage = subprocess.run([bwrap, "--help"], capture_output=True, text=True, check=False).stdout
    return ("--disable-userns",) if "--disable-userns" in usage else ()


def _view(view: View) -> list[str]:
    """Options that make the file system: the system, interpreters and folders read-only, and a /tmp."""
    options = ["--dev", "/dev", "--tmpfs", "/tmp"]
    for path in _SYSTEM:
        if os.path.islink(path):
            options += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            options += ["--ro-bind", path, path]
    options += ["--dir", "/etc"]
    for path in _SYSTEM_FILES:
        options += ["--ro-bind-try", path, path]
    for folder in _interpreter_folders(view.python):
        options += [*_open_parents(folder), "--ro-bind", str(folder), str(folder)]
    for shown, place in view.folders:
        options += [*_open_parents(Path(place)), "--ro-bind", str(shown), place]
    inside = Path(_HOME_INSIDE) / "inside"
    options += [*_open_parents(inside), "--ro-bind", str(_PACKAGE), str(inside)]
    return [*options, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]


def _interpreter_folders(python: Path | None) -> list[Path]:
    """Folders of Python and its packages outside of the system's; SandboxError if they would show all of the home.

    `python` brings its environment and the Python that this is made of; nothing is run to find them.
    """
    real = Path(sys.executable).resolve().parent.parent
    folders = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve(), real}
    if python is not None:
        environment = python.absolute().parent.parent
        folders.add(python.resolve().parent.parent)
        if (environment / "pyvenv.cfg").is_file():
            folders.add(environment)
            for line in (environment / "pyvenv.cfg").read_text("utf-8", "replace").splitlines():
                key, _, value = line.partition("=")
                if key.strip() == "home" and value.strip():
                    folders |= {Path(value.strip()).parent, Path(value.strip()).resolve().parent}
    outside = [folder for folder in folders if not any(folder.is_relative_to(path) for path in _SYSTEM)]
    for folder in outside:
        if Path.home().resolve().is_relative_to(folder.resolve()):
            raise SandboxError(
                f"Python is installed in {folder}, so a sandbox would have to show the home folder",
                "use a Python in a folder of its own, such as a virtual environment",
            )
    # A folder inside another one comes with it.
    return sorted(folder for folder in outside if not any(other in folder.parents for other in outside))


def _open_parents(path: Path) -> list[str]:
    """Options that make the folders above `path`; those that bubblewrap makes by itself are closed to other users."""
    return [option for parent in reversed(path.parents[:-1]) for option in ("--dir", str(parent))]
