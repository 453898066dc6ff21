"""Where a bundle is, by the name that a person gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_lsp.errors import BundleError
from risk_lsp.probe import manifest as locate
from risk_lsp.probe.manifest import bundle_path, default_bundle_path


def install(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the package believe that it is installed below `root`; returns its folder."""
    package = root / "risk_lsp"
    monkeypatch.setattr(locate, "__file__", str(package / "probe" / "locate.py"))
    return package


def make_bundle(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return folder


def test_the_default_of_a_checkout_stands_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = install(tmp_path, monkeypatch)
    beside = make_bundle(package.parent / "probe_weights" / "default")

    assert default_bundle_path() == beside


def test_the_default_of_an_installation_is_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = install(tmp_path, monkeypatch)
    make_bundle(package.parent / "probe_weights" / "default")
    inside = make_bundle(package / "probe_weights" / "default")

    assert default_bundle_path() == inside


def test_an_installation_without_the_default_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)

    with pytest.raises(BundleError, match="embedded default bundle is missing"):
        default_bundle_path()


@pytest.mark.parametrize("name", [None, "default"])
def test_no_name_and_the_name_default_mean_the_embedded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    package = install(tmp_path, monkeypatch)
    inside = make_bundle(package / "probe_weights" / "default")

    assert bundle_path(name) == inside


def test_any_other_name_is_a_path_and_may_start_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")

    assert bundle_path("~/bundles/mine") == Path("/home/somebody/bundles/mine")


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(BundleError, match="no such user"):
        bundle_path("~nobody-of-this-name/bundle")
