"""What a run tells, and running many."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from risk_lsp.sandbox.isolation import Limits
from risk_lsp.sandbox.sandbox import Job, Sandbox
from tests.sandbox.processes import descendants


class TestOutcome:
    def test_a_program_that_ends_has_passed(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("print('out')\nimport sys; print('err', file=sys.stderr)")

        assert (outcome.status, outcome.exit_code, outcome.completed) == ("passed", 0, True)
        assert (outcome.stdout, outcome.stderr, outcome.exception) == ("out\n", "err\n", "")

    def test_an_exception_is_a_failure_with_its_traceback(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("def f():\n    return 1 / 0\nf()")

        assert (outcome.status, outcome.exit_code, outcome.exception) == ("failed", 1, "ZeroDivisionError")
        assert outcome.stderr.splitlines()[1:3] == ['  File "program.py", line 3, in <module>', "    f()"]

    def test_a_syntax_error_is_a_failure(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("def f(:\n    pass")

        assert (outcome.status, outcome.exception) == ("failed", "SyntaxError")

    @pytest.mark.parametrize(
        ("call", "exit_code", "status"),
        [
            ("exit()", 0, "passed"),
            ("sys.exit(0)", 0, "passed"),
            ("sys.exit(3)", 3, "failed"),
            ("os._exit(0)", 0, "passed"),
        ],
    )
    def test_leaving_early_is_not_running_to_the_end(
        self, sandbox: Sandbox, call: str, exit_code: int, status: str
    ) -> None:
        outcome = sandbox.run(f"import os, sys\n{call}\nassert False")

        assert (outcome.status, outcome.exit_code, outcome.completed) == (status, exit_code, False)

    def test_a_text_given_to_exit_is_an_error_message(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run("import sys; sys.exit('no such file')")

        assert (outcome.status, outcome.exit_code, outcome.stderr) == ("failed", 1, "no such file\n")

    @pytest.mark.parametrize(
        ("crash", "signal"),
        [
            ("import os; os.abort()", 6),
            ("import ctypes; ctypes.string_at(0)", 11),
            ("import os; os.kill(os.getpid(), 9)", 9),
        ],
    )
    def test_a_crash_is_told_with_its_signal(self, sandbox: Sandbox, crash: str, signal: int) -> None:
        outcome = sandbox.run(crash)

        assert (outcome.status, outcome.exit_code) == ("killed", -signal)

    def test_what_was_printed_before_a_failure_is_kept(self, sandbox: Sandbox) -> None:
        assert sandbox.run("print('so far')\nraise SystemExit(1)").stdout == "so far\n"

    def test_only_the_end_of_stderr_is_kept(self, sandbox: Sandbox) -> None:
        sandbox.limits = replace(sandbox.limits, stderr_tail=10)

        assert sandbox.run("import sys; sys.stderr.write('a' * 5000 + 'the end')").stderr == "aaathe end"

    def test_a_program_reads_its_stdin(self, sandbox: Sandbox) -> None:
        assert sandbox.run("print(input(), input())", "a é\n😀\n").stdout == "a é 😀\n"

    def test_stdin_is_empty_by_default(self, sandbox: Sandbox) -> None:
        assert sandbox.run("input()").exception == "EOFError"

    def test_a_long_stdin_that_is_not_read_blocks_nothing(self, sandbox: Sandbox) -> None:
        assert sandbox.run("print('done')", "x" * 4_000_000).stdout == "done\n"

    def test_bytes_that_are_no_text_are_replaced(self, sandbox: Sandbox) -> None:
        assert sandbox.run("import os; os.write(1, b'\\xff!')").stdout == "�!"

    @pytest.mark.parametrize("program", ["x = '\ud800'", "x = 1\0"])
    def test_a_program_that_is_no_proper_text_fails(self, sandbox: Sandbox, program: str) -> None:
        assert sandbox.run(program).status == "failed"

    def test_a_program_is_the_main_module(self, sandbox: Sandbox) -> None:
        program = "import __main__, sys\nprint(__name__, __main__.__dict__ is globals(), sys.argv)"

        assert sandbox.run(program).stdout == "__main__ True ['program.py']\n"

    def test_functions_that_run_at_exit_run(self, sandbox: Sandbox) -> None:
        assert sandbox.run("import atexit; atexit.register(print, 'bye')").stdout == "bye\n"

    def test_threads_are_waited_for(self, sandbox: Sandbox) -> None:
        program = "import threading, time; threading.Timer(0.05, print, ['late']).start()"

        assert sandbox.run(program).stdout == "late\n"

    def test_hashes_are_the_same_in_every_run(self, sandbox: Sandbox) -> None:
        with Sandbox() as other:
            assert sandbox.run("print(hash('a'))").stdout == other.run("print(hash('a'))").stdout

    def test_numpy_can_be_imported(self, sandbox: Sandbox) -> None:
        sandbox.limits = replace(sandbox.limits, memory=1 << 30)

        assert sandbox.run("import numpy; print(numpy.arange(3).sum())").stdout == "3\n"


class TestRunMany:
    def test_every_job_is_answered_once_under_its_number(self, sandbox: Sandbox) -> None:
        outcomes = sandbox.run_many((Job(f"print({number})") for number in range(20)), workers=3)

        assert {index: outcome.stdout for index, outcome in outcomes} == {n: f"{n}\n" for n in range(20)}
        sandbox.close()

    def test_a_quick_job_does_not_wait_for_a_slow_one(self, sandbox: Sandbox) -> None:
        jobs = [Job("import time; time.sleep(1)"), Job("")]

        assert [index for index, _ in sandbox.run_many(jobs, workers=2)] == [1, 0]
        sandbox.close()

    def test_jobs_are_taken_as_servers_become_free(self, sandbox: Sandbox) -> None:
        taken: list[int] = []

        def endless() -> Iterator[Job]:
            for number in itertools.count():
                taken.append(number)
                yield Job("")

        outcomes = sandbox.run_many(endless(), workers=1)
        assert [index for index, _ in itertools.islice(outcomes, 3)] == [0, 1, 2]
        assert len(taken) == 3

    def test_leaving_early_kills_what_still_runs(self, sandbox: Sandbox) -> None:
        sandbox.close()
        before = descendants()
        outcomes = sandbox.run_many([Job(""), Job("while True: pass")], workers=2)
        next(iter(outcomes))
        outcomes.close()  # type: ignore[attr-defined]
        sandbox.close()

        assert descendants() == before
        sandbox.run("")

    def test_a_failing_source_of_jobs_kills_what_still_runs(self, sandbox: Sandbox) -> None:
        def failing() -> Iterator[Job]:
            yield Job("while True: pass")
            raise OSError("the disk is gone")

        sandbox.close()
        before = descendants()
        with pytest.raises(OSError, match="the disk is gone"):
            list(sandbox.run_many(failing(), workers=2))
        assert descendants() == before
        sandbox.run("")

    def test_no_workers_are_refused(self, sandbox: Sandbox) -> None:
        with pytest.raises(ValueError, match="0 workers"):
            list(sandbox.run_many([Job("")], workers=0))


def test_limits_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="limit memory must be above zero"):
        Limits(memory=0)
