"""The forked child: becomes the untrusted program."""

from __future__ import annotations

import atexit
import builtins
import linecache
import os
import resource
import sys
import threading
import traceback
import types
from collections.abc import Callable, Mapping
from typing import Any

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
        status = _exit_status(leaving)
    except BaseException as error:
        report(f"raised {type(error).__name__}")
        _print_traceback(error)
        status = 1
    return _finish(status)


def _text_stream(descriptor: int, mode: str, errors: str, buffering: int = -1) -> Any:
    return os.fdopen(descriptor, mode, buffering, encoding="utf-8", errors=errors, closefd=False)


def _exit_status(leaving: SystemExit) -> int:
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    print(leaving.code, file=sys.stderr)
    return 1


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
