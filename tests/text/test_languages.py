from __future__ import annotations

from pathlib import Path

import pytest

from risk_lsp.text.source_files import language_of


@pytest.mark.parametrize(
    ("path", "language_id"),
    [("a/b.py", "python"), ("stubs.pyi", "python"), ("app.tsx", "typescriptreact"), ("run.sh", "shellscript")],
)
def test_a_suffix_names_the_language(path: str, language_id: str) -> None:
    assert language_of(path) == language_id


def test_the_case_of_a_suffix_does_not_matter() -> None:
    assert language_of(Path("SETUP.PY")) == "python"


@pytest.mark.parametrize("path", ["notes.unknown", "Makefile", ".py", ""])
def test_a_file_without_a_known_suffix_is_plain_text(path: str) -> None:
    assert language_of(path) == "plaintext"
