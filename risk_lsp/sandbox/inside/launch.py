"""Starting one program: in namespaces of its own, or merely in a session of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from . import kernel


class LaunchError(Exception):
    """The namespaces could not be made."""


class Launched(NamedTuple):
    """A started program: the pid to wait for, whose death ends all of it, and where its init reports, or -1."""

    pid: int
    report: int


def fork_isolated(limits: dict[str, Any], run: Callable[[], int]) -> Launched:
    """Run `run` in new pid, mount and IPC namespaces, with an empty /tmp and /proc and no capabilities.

    Killing the namespace's init ends every process in there. It ends by itself, with the program's exit status, once
    the program ends, however many others are left. On the descriptor `report`, which the program never sees, it writes
    the number of the signal that ended the program, or why the namespaces are of no use. The caller must have called
    `kernel.adopt_orphans` before.
    """
    announcements, announcements_end = os.pipe()
    report, report_end = os.pipe()
    # The helper is needed because only the first child after unshare becomes the new namespace's init.
    helper = os.fork()
    if helper == 0:
        try:
            kernel.unshare(kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC)
            init = os.fork()
            if init == 0:
                os.close(announcements_end)
                _be_init(limits, run, report_end)
            os.write(announcements_end, str(init).encode())
        except OSError as error:
            os.write(announcements_end, str(error).encode())
        os._exit(0)
    os.close(announcements_end)
    os.close(report_end)
    with os.fdopen(announcements, "rb") as stream:
        said = stream.read().decode()
    os.waitpid(helper, 0)
    if not said.isdigit():
        os.close(report)
        raise LaunchError(said or "the process that makes namespaces ended")
    return Launched(int(said), report)


def fork_in_session(run: Callable[[], int]) -> Launched:
    """Run `run` in a session of its own; its pid names its process group too."""
    child = os.fork()
    if child == 0:
        os.setsid()
        _leave(run)
    return Launched(child, -1)


def _mount_private_tmp(flags: int, options: str) -> None:
    """Cover /tmp with an empty one, in which the interpreter's folders stay where they are if they are below /tmp."""
    folders = sorted({sys.prefix, sys.base_prefix})
    kept = [(folder, os.open(folder, os.O_PATH | os.O_DIRECTORY)) for folder in folders if folder.startswith("/tmp/")]
    kernel.mount("tmpfs", "/tmp", "tmpfs", flags, options)
    for folder, descriptor in kept:
        os.makedirs(folder, exist_ok=True)
        os.fchdir(descriptor)  # its old path is covered, and there is no /proc to name a descriptor by
        kernel.mount(".", folder, "", kernel.MS_BIND | kernel.MS_REC, "")
        os.close(descriptor)


def _be_init(limits: dict[str, Any], run: Callable[[], int], report: int) -> NoReturn:
    """The first process of the namespace: makes the file system private, then waits for the program."""
    try:
        flags = kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE, "")
        _mount_private_tmp(flags, f"size={limits['disk']},nr_inodes=4096,mode=1777")
        kernel.mount("tmpfs", "/proc", "tmpfs", flags | kernel.MS_RDONLY | kernel.MS_NOEXEC, "mode=555")
        kernel.drop_capabilities()
        os.chdir("/tmp")
        os.setsid()
        child = os.fork()
    except OSError as error:
        os.write(report, str(error).encode())
        os._exit(1)
    if child == 0:
        _leave(run)
    while True:
        pid, status = os.wait()
        if pid == child:
            break
    if os.WIFSIGNALED(status):
        # An init cannot die of its own signals, so the number has to be told.
        os.write(report, str(os.WTERMSIG(status)).encode())
        os._exit(1)
    os._exit(os.WEXITSTATUS(status))


def _leave(run: Callable[[], int]) -> NoReturn:
    status = 1
    try:
        status = run()
    finally:
        os._exit(status)
