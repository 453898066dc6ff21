"""Starts one program, in namespaces of its own or merely in a session of its own, and becomes that program.

Python 3.10 has no functions for the Linux calls that this takes, so they go to the C library.
"""

from __future__ import annotations

import atexit
import builtins
import ctypes
import linecache
import os
import resource
import sys
import threading
import traceback
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

_CLONE_NEWNS = 0x00020000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWPID = 0x20000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 4, 36, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class LaunchError(Exception):
    """The namespaces could not be made."""


class ChildProcess(NamedTuple):
    """A started program: the pid to wait for, whose death ends all of it, and where its init reports, or -1."""

    pid: int
    report: int


def fork_isolated(limits: dict[str, Any], run: Callable[[], int]) -> ChildProcess:
    """Run `run` in new pid, mount and IPC namespaces, with an empty /tmp and /proc and no capabilities.

    Killing the namespace's init ends every process in there. It ends by itself, with the program's exit status, once
    the program ends, however many others are left. On the descriptor `report`, which the program never sees, it writes
    the number of the signal that ended the program, or why the namespaces are of no use. The caller must have called
    `adopt_orphans` before.
    """
    announcements, announcements_end = os.pipe()
    report, report_end = os.pipe()
    # The helper is needed because only the first child after unshare becomes the new namespace's init.
    helper = os.fork()
    if helper == 0:
        try:
            flags = _CLONE_NEWPID | _CLONE_NEWNS | _CLONE_NEWIPC
            _check(_libc.unshare(ctypes.c_int(flags)), "unshare")
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
    return ChildProcess(int(said), report)


def fork_in_session(run: Callable[[], int]) -> ChildProcess:
    """Run `run` in a session of its own; its pid names its process group too."""
    child = os.fork()
    if child == 0:
        os.setsid()
        _leave(run)
    return ChildProcess(child, -1)


def _mount_private_tmp(flags: int, options: str) -> None:
    """Cover /tmp with an empty one, in which the interpreter's folders stay where they are if they are below /tmp."""
    folders = sorted({sys.prefix, sys.base_prefix})
    kept = [(folder, os.open(folder, os.O_PATH | os.O_DIRECTORY)) for folder in folders if folder.startswith("/tmp/")]
    _mount("tmpfs", "/tmp", "tmpfs", flags, options)
    for folder, descriptor in kept:
        os.makedirs(folder, exist_ok=True)
        os.fchdir(descriptor)  # its old path is covered, and there is no /proc to name a descriptor by
        _mount(".", folder, "", _MS_BIND | _MS_REC, "")
        os.close(descriptor)


def _be_init(limits: dict[str, Any], run: Callable[[], int], report: int) -> NoReturn:
    """The first process of the namespace: makes the file system private, then waits for the program."""
    try:
        flags = _MS_NOSUID | _MS_NODEV
        _mount("none", "/", "", _MS_REC | _MS_PRIVATE, "")
        _mount_private_tmp(flags, f"size={limits['disk']},nr_inodes=4096,mode=1777")
        _mount("tmpfs", "/proc", "tmpfs", flags | _MS_RDONLY | _MS_NOEXEC, "mode=555")
        _drop_capabilities()
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


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    """Mount `kind` at `target`. OSError where that is not allowed."""
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _check(_libc.mount(*arguments), f"mount {target}")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _drop_capabilities() -> None:
    """Give up every capability for good, across exec too, and keep others of this user from tracing this process."""
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(_libc.capset(header, nothing), "capset")


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _check(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero), f"prctl {option}")


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


_NAME = "program.py"
CONTROL = 3


def take_streams(stdin: int, stdout: int, stderr: int, control: int) -> None:
    """Put the given descriptors at 0, 1, 2 and `CONTROL`, close all others, and open sys.stdin and so on anew."""
    moved = [os.dup(descriptor) for descriptor in (stdin, stdout, stderr, control)]
    for target, descriptor in enumerate(moved):
        os.dup2(descriptor, target, inheritable=target != CONTROL)
    os.closerange(CONTROL + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    sys.stdin = sys.__stdin__ = _text_stream(0, "r", "surrogateescape")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _text_stream(1, "w", "surrogateescape")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _text_stream(2, "w", "backslashreplace", buffering=1)  # type: ignore[misc]


def limit_resources(limits: Mapping[str, Any], base_address_space: int, base_processes: int) -> None:
    """Set this process's limits; children inherit them. The bases are what the server itself takes up."""
    cpu = limits["cpu_seconds"]
    wanted = {
        "RLIMIT_CPU": (cpu, cpu + 1),
        "RLIMIT_AS": base_address_space + limits["memory"],
        "RLIMIT_NPROC": base_processes + limits["processes"],
        "RLIMIT_NOFILE": limits["open_files"],
        "RLIMIT_FSIZE": limits["file"],
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_MEMLOCK": 0,
    }
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            soft, hard = value if isinstance(value, tuple) else (value, value)
            _, ceiling = resource.getrlimit(kind)
            if ceiling != resource.RLIM_INFINITY:
                soft, hard = min(soft, ceiling), min(hard, ceiling)
            resource.setrlimit(kind, (soft, hard))


def run_program(source: str, report: Callable[[str], None]) -> int:
    """Run `source` as `__main__` and return its exit status. Reports `completed` or `raised NAME`."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, __file__=_NAME)
    sys.modules["__main__"] = module
    sys.argv = [_NAME]
    linecache.cache[_NAME] = (len(source), None, source.splitlines(True), _NAME)
    try:
        # Without `dont_inherit` the program would be compiled under this file's own future statements.
        exec(compile(source, _NAME, "exec", dont_inherit=True), module.__dict__)
        report("completed")
        status = 0
    except SystemExit as leaving:
        status = 0 if leaving.code is None else 1
        if isinstance(leaving.code, int):
            status = leaving.code & 0xFF
        elif leaving.code is not None:
            print(leaving.code, file=sys.stderr)
    except BaseException as error:
        report(f"raised {type(error).__name__}")
        _print_traceback(error)
        status = 1
    return _finish(status)


def _text_stream(descriptor: int, mode: str, errors: str, buffering: int = -1) -> Any:
    return os.fdopen(descriptor, mode, buffering, encoding="utf-8", errors=errors, closefd=False)


def _print_traceback(error: BaseException) -> None:
    try:
        own_frames = error.__traceback__.tb_next if error.__traceback__ else None
        traceback.print_exception(type(error), error, own_frames)
    except BaseException:
        # Out of memory or of stack, or a __str__ that raises: the name has been reported already.
        return


def _finish(status: int) -> int:
    """What the interpreter does at its end, without tearing down its modules."""
    try:
        for thread in threading.enumerate():
            if thread is not threading.main_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()
    except BaseException as error:
        _print_traceback(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            # A program may close its outputs or put anything in their place.
            continue
    return status
