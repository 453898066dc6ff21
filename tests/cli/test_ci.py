"""What CI and pre-commit run: diffs, pages, and the files and documents that tell them how."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from risk_lsp.cli.command_line import build_parser, main
from tests.risk.repositories import Repository

ROOT = Path(__file__).parents[2]
OLD = "def f(x):\n    return x\n"
NEW = "def g(y):\n    return y + 1\n"
FORMATS = ["text", "json", "sarif", "github", "svg", "html"]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The working folder: a repository with one file, to which two lines were added since the last commit."""
    made = Repository(tmp_path / "repository")
    made.commit(a=OLD)
    made.write("a.py", OLD + NEW)
    monkeypatch.chdir(made.folder)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    return made


@pytest.fixture
def model(tiny_bundle: Path) -> list[str]:
    return ["--bundle", str(tiny_bundle), "--device", "cpu", "--threads", "1"]


# --- check --diff


def test_a_diff_is_checked_in_the_working_folder_if_no_path_is_named(
    repository: Repository, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--diff", "HEAD", *model]) == 0
    out = capsys.readouterr().out
    assert out.startswith("The 2 lines worth reading in this diff\n")
    assert sorted(re.findall(r"a\.py:(\d)", out)) == ["3", "4"]


@pytest.mark.parametrize("form", FORMATS)
def test_lines_that_did_not_change_fail_no_build_in_any_format(
    repository: Repository, model: list[str], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit()
    assert main(["check", "--diff", "HEAD", "--fail-above", "0", "--format", form, *model]) == 0
    assert main(["check", "--diff", "HEAD~1", "--fail-above", "0", "--format", form, *model]) == 1
    assert capsys.readouterr().err == ""


def test_annotations_are_relative_to_the_workspace(
    repository: Repository, model: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(repository.folder.parent))
    main(["check", "--diff", "HEAD", "--fail-above", "0", "--format", "github", *model])
    assert "::notice file=repository/a.py,line=" in capsys.readouterr().out


def test_an_unknown_base_is_bad_input(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--diff", "no-such-branch"]) == 2
    assert "error: --diff no-such-branch: git knows no such commit\nhint: " in capsys.readouterr().err


def test_a_diff_outside_of_a_repository_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--diff", "HEAD"]) == 2
    assert "is not in a git repository" in capsys.readouterr().err


def test_nothing_to_check_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 2
    assert "no PATH to check" in capsys.readouterr().err


def test_a_file_name_cannot_be_a_command_to_the_workflow_s_runner(
    repository: Repository, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "x\n::set-output::y.py", "--format", "github", *model]) == 2
    captured = capsys.readouterr()
    assert not re.search(r"(?m)^\s*::", captured.out + captured.err)


# --- report


def test_a_report_is_written_to_a_file_or_to_stdout(
    repository: Repository, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "a.py", "--output", "a.html", *model]) == 0
    assert main(["report", "a.py", *model]) == 0
    page = capsys.readouterr().out
    assert page.startswith("<!doctype html>") and page == Path("a.html").read_text("utf-8")


def test_a_report_names_as_many_lines_as_it_is_told(
    repository: Repository, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["report", "a.py", "--top", "1", *model])
    assert len(re.findall(r'<li class="s', capsys.readouterr().out)) == 1


def test_what_a_report_could_not_check_is_on_stderr_too(
    repository: Repository, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "a.py", "missing.py", *model]) == 2
    captured = capsys.readouterr()
    assert "missing.py does not exist" in captured.err and "missing.py does not exist" in captured.out


# --- the hook and the documents


def test_the_hook_checks_the_python_files_that_it_is_given(repository: Repository, model: list[str]) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert (hook["id"], hook["language"], hook["types"]) == ("risk-lsp", "python", ["python"])
    command, *arguments = shlex.split(hook["entry"])
    installed = Path(sys.executable).with_name(command)
    done = subprocess.run(
        [installed, *arguments, "--diff", "HEAD", "--format", "json", *model, "a.py"], capture_output=True, check=True
    )
    assert [file["path"] for file in json.loads(done.stdout)["files"]] == ["a.py"]


def documented() -> list[Any]:
    """The YAML files in docs/ci.md, parsed."""
    return [
        yaml.safe_load(each) for each in re.findall(r"(?s)```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text("utf-8"))
    ]


def test_the_documented_workflow_runs_commands_that_exist() -> None:
    workflow, _ = documented()
    scripts = [step.get("run", "") for step in workflow["jobs"]["risk-lsp"]["steps"]]
    commands = [found for script in scripts for found in re.findall(r"bin/risk-lsp (.*?)(?: >.*)?$", script)]
    parsed = [build_parser().parse_args(shlex.split(command)) for command in commands]
    assert [(args.diff, args.format) for args in parsed] == [("HEAD^1", "github"), ("HEAD^1", "sarif")]


def test_the_documented_hook_is_the_one_that_there_is() -> None:
    _, configuration = documented()
    (hook,) = configuration["repos"][0]["hooks"]
    (defined,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert hook["id"] == defined["id"]
    args = build_parser().parse_args([*shlex.split(defined["entry"])[1:], *hook["args"], "a.py"])
    assert (args.diff, args.paths) == ("HEAD", [Path("a.py")])
