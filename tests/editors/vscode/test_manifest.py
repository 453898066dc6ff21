"""The VS Code extension's manifest against what it is made from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.settings import SECTION, SETTINGS, Scope

ROOT = Path(__file__).parents[3]
EXTENSION = ROOT / "editors" / "vscode"


@pytest.fixture(scope="module")
def manifest() -> Any:
    return json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))


def test_settings_are_those_of_settings_py() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate_editor_settings.py"), "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_every_setting_that_chooses_what_runs_is_restricted_in_untrusted_workspaces(manifest: Any) -> None:
    untrusted = manifest["capabilities"]["untrustedWorkspaces"]
    chooses = {f"{SECTION}.{setting.name}" for setting in SETTINGS if setting.scope is not Scope.RESOURCE}
    chooses |= {f"{SECTION}.server.command", f"{SECTION}.server.interpreter"}
    assert untrusted["supported"] == "limited"
    assert chooses == set(untrusted["restrictedConfigurations"])


def test_a_workspace_cannot_set_the_command_that_starts_the_server(manifest: Any) -> None:
    properties = manifest["contributes"]["configuration"][0]["properties"]
    names = (f"{SECTION}.server.command", f"{SECTION}.server.interpreter")
    assert [properties[name]["scope"] for name in names] == ["machine", "machine"]


def test_the_lock_file_names_no_host_that_packages_come_from() -> None:
    assert '"resolved"' not in (EXTENSION / "package-lock.json").read_text(encoding="utf-8")


def test_the_lock_file_knows_the_packages_of_every_platform() -> None:
    """`npm ci` refuses one that does not, and npm writes such a one where a registry lacks some of them."""
    packages = json.loads((EXTENSION / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    wanted = {name for package in packages.values() for name in package.get("optionalDependencies", {})}
    assert wanted - {name.rpartition("node_modules/")[2] for name in packages} == set()


def test_every_command_that_is_linked_exists(manifest: Any) -> None:
    contributes = manifest["contributes"]
    names = {command["command"] for command in contributes["commands"]}
    linked = json.dumps(contributes["walkthroughs"]).split("command:risk-lsp.")[1:]
    assert {"risk-lsp." + rest.split(")")[0] for rest in linked} <= names
