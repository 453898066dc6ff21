"""What tests of several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.model.hub import Hub
from tests.model.hub import hub as hub_at_work

# How long an example takes says how busy the machine is, nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Device "auto" means the CPU in float32 on every machine that runs the tests.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
# As an engine has it: on a busy machine, threads that wait for each other in a loop take all the time there is.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Faults and fuzzers are short in everyday runs."""
    parser.addoption("--long", action="store_true", help="run fault tests and fuzzers at full length")


FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session", autouse=True)
def own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Risks that tests leave on disk are kept apart from the user's; other processes inherit that."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in for the hub, asked instead of it."""
    with hub_at_work() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture(scope="session", autouse=True)
def own_model_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests neither see nor change the models of the person who runs them, or which one that person uses."""
    os.environ["RISK_LSP_MODELS"] = str(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle with a random model and a random hazard probe: right in form, worthless in substance."""
    # Imported here, so that tests that need no model do not wait for torch.
    from tests.bundles import save_tiny_bundle

    return save_tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def sandboxed() -> None:
    """For tests in which programs run."""
    from risk_lsp.sandbox.isolation import SandboxError
    from risk_lsp.sandbox.sandbox import Sandbox

    with Sandbox() as sandbox:
        try:
            sandbox.run("")
        except SandboxError as error:
            pytest.skip(f"untrusted code cannot be run here: {error}")
