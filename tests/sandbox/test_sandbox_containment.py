"""Hostile programs: each one is held, in time, with nothing left behind (the `sandbox` fixture looks after that)."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from risk_lsp.sandbox.isolation import Outcome
from risk_lsp.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are a feature of Linux")

SHORT_SECONDS = 0.7
# What the sandbox may add to a program's own wall clock on a busy machine.
OVERHEAD_SECONDS = 4.0

# What a program finds in /tmp, the interpreter's own folder aside, which may be below it.
LEFT_IN_TMP = "[name for name in os.listdir('/tmp') if not sys.prefix.startswith('/tmp/' + name)]"


def run(sandbox: Sandbox, program: str, **limits: float) -> Outcome:
    sandbox.limits = replace(sandbox.limits, **limits)  # type: ignore[arg-type]
    started = time.monotonic()
    outcome = sandbox.run(dedent(program))
    assert time.monotonic() - started < sandbox.limits.wall_seconds + OVERHEAD_SECONDS
    return outcome


def refusals(sandbox: Sandbox, setup: str, actions: list[str]) -> dict[str, str]:
    """What each action raised (the class's name), or "done"."""
    program = dedent(setup) + dedent(
        f"""
        for action in {actions!r}:
            try:
                exec(action)
                print("done")
            except BaseException as error:
                print(type(error).__name__)
        """
    )
    outcome = run(sandbox, program)
    assert outcome.status == "passed", outcome
    return dict(zip(actions, outcome.stdout.split(), strict=True))


class TestTime:
    def test_an_infinite_loop_is_stopped_by_the_wall_clock(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "while True: pass", wall_seconds=SHORT_SECONDS).status == "timeout"

    def test_an_infinite_loop_is_stopped_by_its_cpu_time(self, sandbox: Sandbox) -> None:
        outcome = run(sandbox, "while True: pass", cpu_seconds=1, wall_seconds=60.0)

        assert outcome.status == "timeout"
        assert outcome.seconds < 30

    def test_a_program_that_sleeps_forever_is_stopped(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "import time; time.sleep(1e6)", wall_seconds=SHORT_SECONDS).status == "timeout"

    def test_a_program_that_ignores_signals_is_stopped(self, sandbox: Sandbox) -> None:
        program = """
            import signal, time
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
            time.sleep(1e6)
        """

        assert run(sandbox, program, wall_seconds=SHORT_SECONDS).status == "timeout"

    def test_a_program_that_stops_itself_is_stopped_for_good(self, sandbox: Sandbox) -> None:
        program = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"

        assert run(sandbox, program, wall_seconds=SHORT_SECONDS).status == "timeout"

    def test_a_program_blocked_on_input_that_never_comes_is_stopped(self, sandbox: Sandbox) -> None:
        program = "import os; os.read(os.pipe()[0], 1)"

        assert run(sandbox, program, wall_seconds=SHORT_SECONDS).status == "timeout"

    def test_a_thread_that_never_ends_is_stopped(self, sandbox: Sandbox) -> None:
        program = "import threading; threading.Thread(target=threading.Event().wait).start()"

        assert run(sandbox, program, wall_seconds=SHORT_SECONDS).status == "timeout"


class TestMemory:
    def test_a_memory_bomb_is_out_of_memory(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "x = [0]\nwhile True: x = x * 2").status == "memory"

    def test_a_single_huge_allocation_is_out_of_memory(self, sandbox: Sandbox) -> None:
        assert run(sandbox, "x = bytearray(1 << 40)").status == "memory"

    def test_processes_together_are_held_to_the_same_limit(self, sandbox: Sandbox) -> None:
        program = """
            import os, time
            for _ in range(5):
                if os.fork() == 0:
                    block = bytearray(os.urandom(1 << 20) * 80)
                    time.sleep(60)
            time.sleep(60)
        """

        assert run(sandbox, program, wall_seconds=30.0).status == "memory"

    def test_shared_memory_counts(self, sandbox: Sandbox) -> None:
        program = """
            import mmap, os, time
            for _ in range(5):
                if os.fork() == 0:
                    block = mmap.mmap(-1, 80 << 20)
                    block.write(bytes(80 << 20))
                    time.sleep(60)
            time.sleep(60)
        """

        assert run(sandbox, program, wall_seconds=30.0).status == "memory"


class TestProcesses:
    def test_a_fork_bomb_is_held(self, sandbox: Sandbox) -> None:
        program = """
            import os
            while True:
                try:
                    os.fork()
                except OSError:
                    pass
        """

        assert run(sandbox, program, wall_seconds=SHORT_SECONDS).status == "timeout"

    def test_the_number_of_processes_is_limited(self, sandbox: Sandbox) -> None:
        program = """
            import os, time
            count = 1
            try:
                while True:
                    if os.fork() == 0:
                        time.sleep(60)
                    count += 1
            except BlockingIOError:
                print(count)
        """

        # One fewer while the sandbox's own helper is still leaving.
        assert sandbox.limits.processes - int(run(sandbox, program).stdout) in {0, 1}

    def test_a_background_grandchild_ends_with_the_program(self, sandbox: Sandbox) -> None:
        program = """
            import os, time
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(1e6)
                os._exit(0)
            os.wait()
            print("started")
        """
        outcome = run(sandbox, program)

        assert (outcome.status, outcome.stdout) == ("passed", "started\n")

    @pytest.mark.parametrize("target", ["os.getppid()", "1", "-1", "0"])
    def test_signals_reach_nobody_outside(self, sandbox: Sandbox, target: str) -> None:
        run(sandbox, f"import os, signal; os.kill({target}, signal.SIGKILL)")

        assert run(sandbox, "print('served')").stdout == "served\n"

    def test_no_process_outside_can_be_seen(self, sandbox: Sandbox) -> None:
        program = """
            import os
            def exists(pid):
                try:
                    os.kill(pid, 0)
                except ProcessLookupError:
                    return False
                except PermissionError:
                    return True
                return True
            print([pid for pid in range(1, 5000) if exists(pid)])
        """

        assert run(sandbox, program).stdout == "[1, 2]\n"


class TestOutput:
    @pytest.mark.parametrize("stream", ["stdout", "stderr"])
    def test_unbounded_output_is_stopped(self, sandbox: Sandbox, stream: str) -> None:
        outcome = run(sandbox, f"import sys\nwhile True: sys.{stream}.write('x' * 1000)")

        assert outcome.status == "output_limit"
        assert len(outcome.stdout) <= sandbox.limits.output
        assert len(outcome.stderr) <= sandbox.limits.stderr_tail

    def test_too_much_output_at_once_is_noticed(self, sandbox: Sandbox) -> None:
        program = (
            f"import os; os.write(1, bytes({sandbox.limits.output // 2})); os.write(2, bytes({sandbox.limits.output}))"
        )

        assert run(sandbox, program).status == "output_limit"

    def test_a_program_may_close_its_outputs(self, sandbox: Sandbox) -> None:
        outcome = run(sandbox, "import sys; print('before'); sys.stdout.close(); sys.stderr.close()")

        assert (outcome.status, outcome.stdout, outcome.completed) == ("passed", "before\n", True)

    def test_closed_descriptors_do_not_hide_a_program_that_runs_on(self, sandbox: Sandbox) -> None:
        program = "import os, time; os.closerange(0, 64); time.sleep(1e6)"

        assert run(sandbox, program, wall_seconds=SHORT_SECONDS).status == "timeout"

    def test_a_grandchild_that_holds_the_outputs_delays_nothing(self, sandbox: Sandbox) -> None:
        outcome = run(
            sandbox, "import os, time\nif os.fork() == 0: time.sleep(1e6)\nprint('parent')", wall_seconds=60.0
        )

        assert (outcome.stdout, outcome.seconds < 30) == ("parent\n", True)


class TestNetwork:
    def test_a_port_of_this_machine_cannot_be_reached(self, sandbox: Sandbox) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
            outcome = run(sandbox, f"import socket; socket.create_connection({address!r}, timeout=2)")

        assert outcome.exception == "ConnectionRefusedError"

    def test_an_abstract_socket_of_this_machine_cannot_be_reached(self, sandbox: Sandbox) -> None:
        name = f"\0risk-lsp-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
            listener.listen()
            outcome = run(sandbox, f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})")

        assert outcome.exception == "ConnectionRefusedError"

    def test_there_is_no_way_out(self, sandbox: Sandbox) -> None:
        outcome = run(sandbox, "import socket; socket.create_connection(('192.0.2.1', 80), timeout=2)")

        assert outcome.exception == "OSError"
        assert "unreachable" in outcome.stderr


class TestFiles:
    def test_the_home_folder_is_not_there(self, sandbox: Sandbox) -> None:
        outcome = run(sandbox, f"import os; print(*os.listdir({str(Path.home())!r}))")

        # At most the way to an interpreter that is installed there.
        way = {part for prefix in (sys.prefix, sys.base_prefix) for part in Path(prefix).parts}
        assert outcome.exception == "FileNotFoundError" or set(outcome.stdout.split()) <= way

    @pytest.mark.parametrize("path", [__file__, "/etc/passwd", "/etc/shadow", "/var", "/run", "/sys", "/proc/1"])
    def test_private_files_are_not_there(self, sandbox: Sandbox, path: str) -> None:
        assert run(sandbox, f"import os; os.stat({path!r})").exception == "FileNotFoundError"

    def test_the_folder_for_temporary_files_is_private(self, sandbox: Sandbox, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("secret")

        assert run(sandbox, f"import os, sys; print(os.getcwd(), {LEFT_IN_TMP})").stdout == "/tmp []\n"

    def test_nothing_passes_from_one_program_to_the_next(self, sandbox: Sandbox) -> None:
        run(sandbox, "import math; math.pi = 3; open('/tmp/left', 'w').write('left')")

        assert run(sandbox, f"import math, os, sys; print(math.pi > 3, {LEFT_IN_TMP})").stdout == "True []\n"

    @pytest.mark.parametrize(
        "folder", ["/", "/usr", "/etc", "/dev", "/dev/shm", "/proc", "/sandbox/inside", sys.prefix, sys.base_prefix]
    )
    def test_nothing_outside_the_private_folder_can_be_written(self, sandbox: Sandbox, folder: str) -> None:
        outcome = run(sandbox, f"open({folder!r} + '/risk-lsp-test', 'w')")

        assert outcome.exception in {"OSError", "PermissionError", "FileNotFoundError"}
        assert not os.path.exists(os.path.join(folder, "risk-lsp-test"))

    def test_the_disk_cannot_be_filled(self, sandbox: Sandbox) -> None:
        program = """
            written = 0
            try:
                for name in range(1000):
                    with open(f"/tmp/{name}", "wb", buffering=0) as file:
                        written += file.write(bytes(1 << 20))
            except OSError as error:
                print(written, error.strerror)
        """
        written, _, reason = run(sandbox, program).stdout.strip().partition(" ")

        assert int(written) <= sandbox.limits.disk
        assert reason == "No space left on device"

    def test_the_number_of_files_is_bounded(self, sandbox: Sandbox) -> None:
        outcome = run(sandbox, "for name in range(100_000): open(f'/tmp/{name}', 'w').close()")

        assert "No space left on device" in outcome.stderr

    def test_a_single_file_is_bounded(self, sandbox: Sandbox) -> None:
        outcome = run(sandbox, "open('/tmp/large', 'wb').write(bytes(2 << 20))", file=1 << 20)

        assert "File too large" in outcome.stderr

    def test_open_files_are_bounded(self, sandbox: Sandbox) -> None:
        outcome = run(sandbox, "import os\nwhile True: os.dup(0)")

        assert "Too many open files" in outcome.stderr

    def test_a_symbolic_link_leads_nowhere_new(self, sandbox: Sandbox) -> None:
        home, checkout = str(Path.home() / ".bashrc"), __file__
        setup = f"""
            import os
            os.symlink({checkout!r}, "/tmp/file")
            os.symlink("/", "/tmp/root")
            os.symlink("/proc/self/root", "/tmp/proc")
        """
        actions = [
            "open('/tmp/file')",
            f"open('/tmp/root{home}')",
            "os.listdir('/tmp/proc/')",
            "os.link('/usr', '/tmp/u')",
        ]

        assert "done" not in refusals(sandbox, setup, actions).values()

    def test_proc_is_empty_and_cannot_be_had_again(self, sandbox: Sandbox) -> None:
        setup = """
            import ctypes, os
            libc = ctypes.CDLL(None, use_errno=True)
            def mount(place):
                if libc.mount(b"proc", place, b"proc", 0, None) != 0:
                    raise OSError(ctypes.get_errno())
            os.mkdir("/tmp/proc")
            if os.listdir("/proc"):
                raise SystemExit("there is something in /proc")
        """
        actions = [
            "open('/proc/self/mem', 'rb')",
            "open('/proc/1/environ')",
            "os.listdir('/proc/1/root')",
            "os.readlink('/proc/self/exe')",
            "open('/proc/self/fd/3', 'w')",
            "open('/proc/sys/kernel/core_pattern', 'w')",
            "open('/proc/sysrq-trigger', 'w')",
            "open('/proc/self/oom_score_adj', 'w')",
            "mount(b'/proc')",
            "mount(b'/tmp/proc')",
        ]

        assert "done" not in refusals(sandbox, setup, actions).values()


class TestPrivileges:
    def test_namespaces_mounts_and_the_host_name_are_out_of_reach(self, sandbox: Sandbox) -> None:
        setup = """
            import ctypes, os, resource, socket
            libc = ctypes.CDLL(None, use_errno=True)
            def call(function, *arguments):
                if getattr(libc, function)(*arguments) != 0:
                    raise OSError(ctypes.get_errno())
        """
        actions = [
            "call('unshare', 0x10000000)",
            "call('unshare', 0x20000000)",
            "call('mount', b'tmpfs', b'/tmp', b'tmpfs', 0, b'')",
            "call('umount2', b'/proc', 2)",
            "call('umount2', b'/tmp', 2)",
            "socket.sethostname('evil')",
            "os.chroot('/tmp')",
            "os.setuid(0 if os.getuid() else 1)",
            "os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0))",
            "resource.setrlimit(resource.RLIMIT_NPROC, (10**6, 10**6))",
            "os.setpriority(os.PRIO_PROCESS, 0, -20)",
        ]

        assert "done" not in refusals(sandbox, setup, actions).values()

    def test_no_process_can_be_traced(self, sandbox: Sandbox) -> None:
        program = """
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            print([pid for pid in range(1, 500) if libc.ptrace(16, pid, 0, 0) == 0])
        """

        assert run(sandbox, program).stdout == "[]\n"

    def test_the_environment_tells_nothing(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET_TOKEN", "secret")
        with Sandbox(sandbox.limits) as fresh:
            outcome = run(fresh, "import os; print(*sorted(os.environ))")

        assert set(outcome.stdout.split()) <= {
            *("HOME", "LANG", "LC_CTYPE", "PATH", "TMPDIR", "MKL_NUM_THREADS", "OMP_NUM_THREADS"),
            *("OPENBLAS_NUM_THREADS", "PYTHONHASHSEED", "PYTHONUTF8"),
        }

    def test_descriptors_of_this_process_are_not_inherited(self, sandbox: Sandbox) -> None:
        program = """
            import os
            def is_open(descriptor):
                try:
                    os.fstat(descriptor)
                except OSError:
                    return False
                return True
            print([descriptor for descriptor in range(1024) if is_open(descriptor)])
        """

        # 3 takes words about the program's own end.
        assert run(sandbox, program).stdout == "[0, 1, 2, 3]\n"

    def test_lies_about_the_end_harm_only_the_liar(self, sandbox: Sandbox) -> None:
        run(sandbox, "import os\nfor _ in range(9999): os.write(3, b'completed\\nsignal 9\\nbroken x\\n' * 9)")

        assert run(sandbox, "print(1)").status == "passed"
