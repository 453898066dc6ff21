"""Quick verdicts on many variants, from the real sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import Problem, Screen, screen_for

PROBLEM = Problem("Own/1", "own", "Own/1", "", "f", "append", "assert f(2) == 4\nassert f(3) == 9\n", None, "")
STDIO = Problem(
    *("Own/2", "own", "Own/2", "", None, "stdio"),
    'def check_stdio(run):\n    assert run("3\\n") == "9\\n"\n    assert run("4\\n") == "16\\n"\n',
    *(None, ""),
)
SQUARE, DOUBLE = "def f(x): return x * x", "def f(x): return x + x"
HOSTILE = [
    "def f(x):\n    while True: pass",
    "import os; os._exit(0)",
    "import os; os.abort()",
    "exit()",
    "def f(x: return",
    "import sys; sys.stdout.write('+' * 10000); 1 / 0",
    "import os\nfor fd in range(1, 9):\n    try: os.write(fd, b'!')\n    except OSError: pass\n1 / 0",
]


@pytest.fixture
def screen(shared_sandbox: Sandbox) -> Iterator[Screen]:
    yield screen_for(shared_sandbox, PROBLEM, cpu_seconds=0.3)
    shared_sandbox.close()


def test_each_program_gets_its_own_verdict(screen: Screen) -> None:
    assert screen.passes([DOUBLE, SQUARE, "def f(x): return {2: 4, 3: 9}[x]"]) == [False, True, True]


def test_a_program_is_run_once(screen: Screen) -> None:
    screen.passes([SQUARE, SQUARE])
    screen.passes([SQUARE])

    assert screen.runs == 1


@pytest.mark.parametrize("program", HOSTILE)
def test_a_variant_that_misbehaves_fails_and_harms_no_other(screen: Screen, program: str) -> None:
    assert screen.passes([SQUARE, program, SQUARE + "\n"]) == [True, False, True]


@pytest.mark.parametrize("program", HOSTILE[:-1])
def test_the_same_holds_where_variants_share_a_process(screen: Screen, program: str) -> None:
    assert screen.promising([DOUBLE, program, SQUARE]) == [SQUARE]


def test_many_batches_are_joined(screen: Screen) -> None:
    programs = [f"def f(x): return x * x + {number % 7}" for number in range(80)]

    assert screen.passes(programs) == [number % 7 == 0 for number in range(80)]


def test_programs_that_read_and_write_are_screened_too(shared_sandbox: Sandbox) -> None:
    screen = screen_for(shared_sandbox, STDIO)

    assert screen.passes(["print(int(input()) ** 2)", "print(9)"]) == [True, False]
    shared_sandbox.close()
