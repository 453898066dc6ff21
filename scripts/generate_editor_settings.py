"""Writes the settings of risk_lsp/settings.py into the VS Code extension's manifest, where editors read them.

Usage: python scripts/generate_editor_settings.py [--check]

With --check nothing is written, and the exit status is 1 if the manifest is not what would be written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from risk_lsp.settings import SECTION, SETTINGS, Scope, Setting

MANIFEST = Path(__file__).parents[1] / "editors" / "vscode" / "package.json"
SERVER_CATEGORY = "riskLsp.server"

# A workspace's value of a machine setting reaches the server, which refuses it unless the user allows it.
_SCOPES = {Scope.RESOURCE: "resource", Scope.MACHINE: "machine-overridable", Scope.USER: "machine"}
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def property_of(setting: Setting, order: int) -> dict[str, Any]:
    """One setting as the manifest's JSON schema."""
    schema: dict[str, Any] = {
        "type": _TYPES[setting.type],
        "default": setting.default,
        "scope": _SCOPES[setting.scope],
        "order": order,
        "description": setting.description,
    }
    if setting.choices:
        schema["enum"] = list(setting.choices)
    if setting.minimum is not None:
        schema["minimum"] = setting.minimum
    if setting.maximum is not None:
        schema["maximum"] = setting.maximum
    return schema


def with_settings(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the server's settings as they are now, and every machine setting restricted."""
    manifest = json.loads(json.dumps(manifest))
    categories = manifest["contributes"]["configuration"]
    server = next(category for category in categories if category["id"] == SERVER_CATEGORY)
    server["properties"] = {
        f"{SECTION}.{setting.name}": property_of(setting, order) for order, setting in enumerate(SETTINGS)
    }
    manifest["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"] = [
        name
        for category in categories
        for name, schema in category["properties"].items()
        if schema["scope"].startswith("machine")
    ]
    return manifest


def text_of(manifest: dict[str, Any]) -> str:
    """The manifest's file."""
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write or check the manifest."""
    text = MANIFEST.read_text(encoding="utf-8")
    generated = text_of(with_settings(json.loads(text)))
    if "--check" not in sys.argv[1:]:
        MANIFEST.write_text(generated, encoding="utf-8")
    elif generated != text:
        print(f"{MANIFEST}: not up to date; run: python scripts/generate_editor_settings.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
