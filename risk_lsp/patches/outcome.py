"""What a run of untrusted code may use, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from risk_lsp.errors import RiskError

Status = Literal["passed", "failed", "timeout", "memory", "killed", "output_limit"]


class SandboxError(RiskError):
    """The sandbox itself cannot be had or does not work; never a fault of the program in it."""


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
