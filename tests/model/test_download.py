"""Fetching one file: whole, broken off, gone on with, and what must not be taken for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from risk_lsp.errors import ModelError
from risk_lsp.model import store as download
from risk_lsp.model.registry import catalogue_model
from risk_lsp.model.store import fetch_file, file_url, partial_file
from tests.model.hub import Hub

CONTENT = os.urandom(3_000_000)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another try follows at once."""
    monkeypatch.setattr(download, "_PAUSES", (0.0, 0.0))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_a_file_is_fetched_whole(hub: Hub, target: Path) -> None:
    fetch_file(hub.offer(CONTENT), target)
    assert target.read_bytes() == CONTENT


def test_progress_ends_at_the_whole_size(hub: Hub, target: Path) -> None:
    seen: list[int] = []
    fetch_file(hub.offer(CONTENT), target, seen.append)
    assert seen == sorted(seen) and seen[-1] == len(CONTENT) and len(seen) > 3


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub: Hub, target: Path) -> None:
    hub.breaks_after = [1_000_000, 500_000]
    fetch_file(hub.offer(CONTENT), target)
    assert target.read_bytes() == CONTENT
    assert hub.ranges == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_person_who_interrupts_keeps_what_has_come(hub: Hub, target: Path) -> None:
    def interrupt(done: int) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_file(hub.offer(CONTENT), target, interrupt)
    kept = partial_file(target).stat().st_size
    assert 1_000_000 < kept < len(CONTENT) and not target.exists()
    fetch_file(hub.offer(CONTENT), target)
    assert hub.ranges == [None, f"bytes={kept}-"]
    assert target.read_bytes() == CONTENT


def test_a_hub_that_knows_no_ranges_is_asked_for_the_whole(hub: Hub, target: Path) -> None:
    partial_file(target).write_bytes(CONTENT[:1000])
    hub.ignores_ranges = True
    fetch_file(hub.offer(CONTENT), target)
    assert target.read_bytes() == CONTENT


def test_what_is_left_of_a_larger_file_is_thrown_away(hub: Hub, target: Path) -> None:
    partial_file(target).write_bytes(CONTENT + b"more")
    fetch_file(hub.offer(CONTENT), target)
    assert target.read_bytes() == CONTENT


def test_another_file_of_the_same_size_is_refused_and_removed(hub: Hub, target: Path) -> None:
    model = hub.offer(CONTENT, served=b"x" + CONTENT[1:])
    with pytest.raises(ModelError, match="its hash is sha256:"):
        fetch_file(model, target)
    assert list(target.parent.iterdir()) == []


def test_a_larger_file_is_refused(hub: Hub, target: Path) -> None:
    with pytest.raises(ModelError, match="larger than the catalogue says"):
        fetch_file(hub.offer(CONTENT, served=CONTENT + b"more"), target)


def test_a_shorter_file_is_given_up(hub: Hub, target: Path) -> None:
    with pytest.raises(ModelError, match="the connection ended too early"):
        fetch_file(hub.offer(CONTENT, served=b""), target)


@pytest.mark.parametrize(("status", "way_out"), [(401, "asks for an account"), (410, "may have moved")])
def test_a_refusal_is_not_tried_again(hub: Hub, target: Path, status: int, way_out: str) -> None:
    hub.status = status
    with pytest.raises(ModelError, match=rf"was refused: {status} .*{way_out}"):
        fetch_file(hub.offer(CONTENT), target)
    assert len(hub.ranges) == 1


def test_a_hub_in_trouble_is_tried_again_and_given_up(hub: Hub, target: Path) -> None:
    hub.status = 503
    with pytest.raises(ModelError, match=r"503.*the same command goes on"):
        fetch_file(hub.offer(CONTENT), target)
    assert len(hub.ranges) == 3


def test_a_hub_that_is_not_there_is_named_with_the_way_out(
    hub: Hub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = hub.offer(CONTENT)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"could not be fetched: .*refused.*check the network"):
        fetch_file(model, target)


def test_a_full_disk_is_noticed_before_anything_is_fetched(
    hub: Hub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 100_000_000))
    with pytest.raises(ModelError, match=r"takes 3 MB more, .* has 100 MB.*RISK_LSP_MODELS"):
        fetch_file(hub.offer(CONTENT), target)
    assert hub.ranges == []


def test_a_hub_that_is_no_web_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(ModelError, match="HF_ENDPOINT is file:///etc"):
        file_url(catalogue_model("smollm2-135m"))


def test_the_public_hub_is_asked_for_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert file_url(catalogue_model("qwen2.5-coder-0.5b")) == (
        "https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/"
        "ebb2015119c907b064c512bf053e945850b5875f/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
    )


def test_the_hub_hears_no_account_and_no_machine(hub: Hub, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch_file(hub.offer(CONTENT), target)
    assert set(hub.headers_seen[0]) == {"Accept-Encoding", "Host", "User-Agent", "Connection"}
    assert hub.headers_seen[0]["User-Agent"].startswith("risk-lsp/")
