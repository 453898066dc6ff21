"""Scripts that run a program's tests in the sandbox, plain or under watch, and what these say."""

from __future__ import annotations

import ast
import configparser
import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from risk_lsp.text.structure import syntax_tree

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


MARK = "\x01risk-lsp evidence\x01"
_ASSERTION_SECONDS = 0.4
_LONGEST_SHOWN = 200
_MOST_FAILURES = 5

# What the watched program prints cannot be told from this report; the report decides nothing.
_WATCHER = """\
import json, linecache, signal, sys, types
_ending, _last, _longest = {ending!r}, {last!r}, {longest!r}
_now, _failed, _passed, _failures, _first = set(), [], [], [], []


def _trace(frame, event, argument):
    code = frame.f_code
    if not code.co_filename.endswith(_ending) or code.co_firstlineno > _last:
        return None
    if event == "line" and frame.f_lineno <= _last:
        _now.add(frame.f_lineno)
    return _trace


def _stop(number, frame):
    raise TimeoutError("it does not end")


def _lines_of(error):
    found, step, before = [], error.__traceback__, None
    while step is not None:
        here = step.tb_frame, step.tb_lineno
        # Where the time ran out while a line was traced, Python lists its frame twice.
        if here != before and step.tb_frame.f_code.co_filename.endswith(_ending) and step.tb_lineno <= _last:
            found.append(step.tb_lineno)
        step, before = step.tb_next, here
    if isinstance(error, SyntaxError) and error.lineno:
        found.append(error.lineno)
    return found


def _risk_begin():
    _now.clear()
    sys.settrace(_trace)
    signal.setitimer(signal.ITIMER_PROF, {seconds!r})


def _risk_end(error=None, said=""):
    signal.setitimer(signal.ITIMER_PROF, 0)
    if error is None:
        _passed.append(sorted(_now))
        return
    _failed.append(sorted(_now))
    if len(_failures) < {most!r}:
        words = said + (": " if said and str(error) else "") + str(error)
        _failures.append([type(error).__name__, words[:_longest * 2], _lines_of(error)])
    if not _first:
        _first.append(error)


def _shown(value):
    try:
        return repr(value)[:_longest]
    except Exception:
        return "a value that cannot be shown"


def _risk_compared(actual, expected, source):
    _risk_end(AssertionError(), source + ": got " + _shown(actual) + ", expected " + _shown(expected))


def _risk_report():
    sys.settrace(None)
    signal.setitimer(signal.ITIMER_PROF, 0)
    print({mark!r} + json.dumps([_failed, _passed[-50:], _failures, len(_passed)]))
    sys.stdout.flush()


signal.signal(signal.SIGPROF, _stop)
"""

_BEHIND = """\
_source = {source!r}
_module = sys.modules["__main__"] = types.ModuleType("__main__")
_module.__dict__.update(_risk_begin=_risk_begin, _risk_end=_risk_end, _risk_compared=_risk_compared)
linecache.cache["program.py"] = (len(_source), None, _source.splitlines(True), "program.py")
try:
    _risk_begin()
    exec(compile(_source, "program.py", "exec", dont_inherit=True), _module.__dict__)
except BaseException as error:
    _risk_end(error)
finally:
    _risk_report()
if _first:
    raise _first[0]
"""

_DOCTEST = """\
import doctest, importlib.util, traceback


class _Runner(doctest.DocTestRunner):
    def report_start(self, out, test, example):
        _risk_begin()

    def report_success(self, out, test, example, got):
        _risk_end()

    def report_failure(self, out, test, example, got):
        said = example.source.strip() + ": got " + got.strip() + ", expected " + example.want.strip()
        _risk_end(AssertionError(), said)
        print(said)

    def report_unexpected_exception(self, out, test, example, exc_info):
        _risk_end(exc_info[1], example.source.strip())
        traceback.print_exception(*exc_info)


try:
    _risk_begin()
    _spec = importlib.util.spec_from_file_location({module!r}, os.path.join(_folder, _place))
    _module = importlib.util.module_from_spec(_spec)
    sys.modules[{module!r}] = _module
    _spec.loader.exec_module(_module)
    signal.setitimer(signal.ITIMER_PROF, 0)
    for _test in doctest.DocTestFinder().find(_module):
        _Runner().run(_test, out=lambda words: None)
except BaseException as error:
    _risk_end(error)
finally:
    _risk_report()
if _first:
    raise _first[0]
"""

_PYTEST = """\
import pytest
_QUIET = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]


class _Plugin:
    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item):
        _risk_begin()
        outcome = yield
        sys.settrace(None)
        signal.setitimer(signal.ITIMER_PROF, 0)
        error = outcome.excinfo[1] if outcome.excinfo else None
        if not isinstance(error, pytest.skip.Exception):
            _risk_end(error, item.name if error else "")


_options = ["-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "--color=no", *_QUIET, "--maxfail={most}"]
_status = int(pytest.main([*_options, *{files!r}], plugins=[_Plugin()]))
_risk_report()
if _status != 0:
    raise SystemExit(f"pytest: status {{_status}}")
"""


def watched_tests(program: str, tests: str) -> str:
    """Runs `tests`, Python that stands behind the program in one namespace, each assertion by itself."""
    tree = syntax_tree(tests)
    if tree is not None:  # what does not parse stays as it is
        tests = ast.unparse(ast.fix_missing_locations(_Separated().visit(tree)))
    source = f"{program}\n{tests}"
    return _watcher(program, "program.py") + _BEHIND.format(source=source)


def watched_doctests(program: str, place: str, module: str) -> str:
    """Runs the examples in the docstrings of the program at `place` in the workspace."""
    return workspace_script(program, place) + _watcher(program, place) + _DOCTEST.format(module=module)


def watched_pytest(program: str, place: str, files: tuple[str, ...]) -> str:
    """Runs pytest on `files` with the program at `place`, past the first failure."""
    script = _PYTEST.format(files=list(files), most=_MOST_FAILURES)
    return workspace_script(program, place) + _watcher(program, place) + script


def _watcher(program: str, ending: str) -> str:
    return _WATCHER.format(
        ending=ending,
        last=program.count("\n") + 1,
        seconds=_ASSERTION_SECONDS,
        most=_MOST_FAILURES,
        longest=_LONGEST_SHOWN,
        mark=MARK,
    )


class _Separated(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        """An assertion that is reported and does not end the run; an equality with both of its values."""
        test, body = node.test, ast.unparse(node)
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            left, right = ast.unparse(test.left), ast.unparse(test.comparators[0])
            script = (
                f"_risk_begin()\ntry:\n    _risk_pair = ({left}, {right})\n"
                "    _risk_same = _risk_pair[0] == _risk_pair[1]\n"
                f"except BaseException as _risk_error:\n    _risk_end(_risk_error, {left[:_LONGEST_SHOWN]!r})\n"
                f"else:\n    _risk_end() if _risk_same else _risk_compared(*_risk_pair, {left[:_LONGEST_SHOWN]!r})"
            )
        else:
            script = (
                f"_risk_begin()\ntry:\n    {body}\n"
                f"except BaseException as _risk_error:\n    _risk_end(_risk_error, {body[:_LONGEST_SHOWN]!r})\n"
                "else:\n    _risk_end()"
            )
        return ast.parse(script).body


@dataclass(frozen=True)
class Evidence:
    """What a watched run showed; lines are those of the program, from 0.

    suspicion: by line, from 0 to 1; a line without an entry ran in nothing that failed. error_lines: where exceptions
    came from, the innermost last. failures: the exception's name, and what was said with where in the program it came
    from. failed, held: how many assertions did, one in a loop each time.
    """

    suspicion: dict[int, float]
    error_lines: tuple[int, ...]
    failures: tuple[tuple[str, str], ...]
    failed: int = 0
    held: int = 0


NO_EVIDENCE = Evidence({}, (), ())


def read_evidence(stdout: str) -> Evidence:
    """What a watched run printed as evidence; NO_EVIDENCE where there is none."""
    report = stdout.rpartition(MARK)[2].partition("\n")[0]
    if MARK not in stdout:
        return NO_EVIDENCE
    try:
        failed, passed, failures, *held = json.loads(report)
        return Evidence(
            _ochiai([set(map(int, lines)) for lines in failed], [set(map(int, lines)) for lines in passed]),
            tuple(int(line) - 1 for _, _, lines in failures for line in lines[-2:]),
            tuple((str(name), _with_lines(str(said), [int(line) for line in lines])) for name, said, lines in failures),
            len(failed),
            int(held[0]) if held else len(passed),
        )
    except (ValueError, TypeError):
        return NO_EVIDENCE


def _with_lines(said: str, lines: list[int]) -> str:
    """What was said, and the program's lines in the traceback, innermost last, where the words do not name the line."""
    if not lines or f"line {lines[-1]})" in said:
        return said
    places = " -> ".join(str(line) for line in lines[-3:])
    return f"{said} (from line {places})".strip()


def _ochiai(failed: list[set[int]], passed: list[set[int]]) -> dict[int, float]:
    """Suspicion by line, from 0: failed(line) / sqrt(all failed x runs of the line) (Ochiai coefficient)."""
    weights = {}
    for line in set().union(*failed):
        in_failed = sum(line in lines for lines in failed)
        in_passed = sum(line in lines for lines in passed)
        weights[line - 1] = in_failed / math.sqrt(len(failed) * (in_failed + in_passed))
    return weights
