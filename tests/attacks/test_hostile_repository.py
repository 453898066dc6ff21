"""Opening a repository runs nothing of it, reads nothing of it for settings, and believes nothing it says of models."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.server.lsp_client import LspClient

SCRIPT = Path(sys.executable).parent / "risk-lsp"
TEXT = "def f(a):\n    return a - 1\n"
Connect = Callable[[], "LspClient"]


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that exists once code of the repository has run."""
    return tmp_path / "canary"


@pytest.fixture
def repository(tmp_path: Path, canary: Path) -> Path:
    """A folder with modules of the names that this program imports, and project files that never end."""
    folder = tmp_path / "repository"
    for name in ("json", "numpy", "torch", "sitecustomize", "usercustomize", "tokenizers", "risk_lsp", "lsprotocol"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"open({str(canary)!r}, 'w').close()\n", encoding="utf-8")
    for name in ("pyproject.toml", "setup.cfg", ".env", "risk-lsp.toml", ".risk-lsp.json", "pyrightconfig.json"):
        os.mkfifo(folder / name)  # who opens one waits for ever
    return folder


@pytest.fixture
async def client(repository: Path, tmp_path: Path) -> AsyncIterator[LspClient]:
    """The installed server with the built-in model, started in the repository as an editor would."""
    home = {"HOME": str(tmp_path / "home"), "XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""}
    connected = await LspClient.start([str(SCRIPT), "serve"], env={**os.environ, **home}, cwd=repository)
    yield connected
    await connected.kill()


async def test_opening_a_repository_runs_nothing_of_it_and_reads_none_of_its_project_files(
    client: LspClient, repository: Path, canary: Path
) -> None:
    await client.initialize("emacs30-eglot", rootUri=repository.as_uri(), initializationOptions={"threshold": 0.0})
    client.open((repository / "a.py").as_uri(), TEXT)
    assert await client.diagnostics((repository / "a.py").as_uri(), 1)
    assert not canary.exists()


async def test_a_document_is_never_run(client: LspClient, repository: Path, canary: Path) -> None:
    await client.initialize("emacs30-eglot", initializationOptions={"threshold": 0.0})
    client.open((repository / "a.py").as_uri(), f"open({str(canary)!r}, 'w').close()\nimport json\n")
    assert await client.diagnostics((repository / "a.py").as_uri(), 1)
    await client.hover((repository / "a.py").as_uri(), line=0)
    assert not canary.exists()


async def test_nothing_is_written_into_the_repository(client: LspClient, repository: Path) -> None:
    before = sorted(repository.rglob("*"))
    await client.initialize("emacs30-eglot", initializationOptions={"threshold": 0.0})
    client.open((repository / "a.py").as_uri(), TEXT)
    await client.diagnostics((repository / "a.py").as_uri(), 1)
    await client.execute("riskLsp.ignoreLine", (repository / "a.py").as_uri(), 1, "stored")
    assert await client.shut_down() == 0
    assert sorted(repository.rglob("*")) == before


def test_checking_a_repository_from_within_runs_nothing_of_it(repository: Path, canary: Path) -> None:
    (repository / "a.py").write_text(TEXT, encoding="utf-8")
    done = subprocess.run([SCRIPT, "check", "a.py"], cwd=repository, capture_output=True, text=True, check=False)
    assert "a.py" in done.stdout
    assert not canary.exists()


def test_the_canary_sings_when_python_is_let_loose(repository: Path, canary: Path) -> None:
    subprocess.run([sys.executable, "-c", "import risk_lsp"], cwd=repository, check=True)
    assert canary.exists()
