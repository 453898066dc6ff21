"""Which tests judge a file; finding them runs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.repair.harness import plugin_modules
from risk_lsp.repair.test_plan import TestPlan, find_tests
from tests.repair.models import SUM


def found(workspace: Path, **options: str | Path | None) -> TestPlan:
    plan = find_tests(workspace / "pkg" / "sums.py", SUM, workspace=workspace, **options)  # type: ignore[arg-type]
    assert plan is not None
    return plan


def test_pytest_files_that_import_the_file_are_found(workspace: Path) -> None:
    plan = found(workspace)

    assert (plan.kind, plan.files, plan.command) == (
        "pytest",
        ("tests/test_sums.py",),
        "python -m pytest -x -q tests/test_sums.py",
    )


@pytest.mark.parametrize(
    "line", ["import pkg.sums", "from pkg import sums", "from pkg.sums import add_all", "import sums"]
)
def test_every_way_of_importing_counts(workspace: Path, line: str) -> None:
    (workspace / "tests" / "test_sums.py").write_text(f"{line}\n")

    assert found(workspace).kind == "pytest"


def test_a_command_wins(workspace: Path) -> None:
    plan = found(workspace, command="  make check ")

    assert (plan.kind, plan.command) == ("command", "make check")


def test_without_test_files_the_doctests_judge(workspace: Path) -> None:
    (workspace / "tests" / "test_sums.py").unlink()

    plan = found(workspace)

    assert (plan.kind, plan.command) == ("doctest", "python -m doctest pkg/sums.py")


def test_without_any_tests_there_is_no_plan(tmp_path: Path) -> None:
    assert find_tests(tmp_path / "a.py", "def f():\n    return 1  # >>> f()\n") is None


def test_a_file_outside_of_the_workspace_is_refused(workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not lie in"):
        find_tests(tmp_path / "a.py", SUM, workspace=workspace)


def test_the_environment_of_the_workspace_runs_its_tests(workspace: Path) -> None:
    python = workspace / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("")
    (workspace / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")

    assert found(workspace).command == f"{python} -m pytest -x -q tests/test_sums.py"


def test_other_tests_need_another_consent(workspace: Path) -> None:
    plans = [found(workspace), found(workspace, command="make"), found(workspace, python=Path("/usr/bin/python3"))]

    assert len({plan.identity for plan in plans}) == 3
    assert found(workspace).identity == plans[0].identity


def test_hidden_folders_and_environments_hold_no_tests(workspace: Path) -> None:
    for folder in (".hidden", "node_modules"):
        (workspace / folder).mkdir()
        (workspace / "tests" / "test_sums.py").replace(workspace / folder / "test_sums.py")

        assert found(workspace).kind == "doctest"
        (workspace / folder / "test_sums.py").replace(workspace / "tests" / "test_sums.py")


def test_installed_plugins_are_known_without_loading_them(tmp_path: Path) -> None:
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages" / "some-1.dist-info"
    packages.mkdir(parents=True)
    (packages / "entry_points.txt").write_text("[console_scripts]\na = b:c\n\n[pytest11]\nsome = some.plugin\n")

    assert plugin_modules(tmp_path / "env" / "bin" / "python") == ("some.plugin",)
