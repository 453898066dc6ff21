"""Files that are written whole or not at all, and folders with one writer at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from risk_lsp.files import lock_folder, write_whole


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    write_whole(path, b"old")
    write_whole(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept"
    write_whole(path, b"old")

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="the disk is full"):
        write_whole(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_the_file_has_the_permissions_that_were_asked_for(tmp_path: Path, mode: int) -> None:
    write_whole(tmp_path / "kept", b"", mode)

    assert (tmp_path / "kept").stat().st_mode & 0o777 == mode


def test_a_folder_has_one_writer_at_a_time_and_the_next_one_does_not_wait_for_ever(tmp_path: Path) -> None:
    with (
        lock_folder(tmp_path, 0.0),
        pytest.raises(OSError, match="another program is writing there"),
        lock_folder(tmp_path, 0.05),
    ):
        pass
    with lock_folder(tmp_path, 0.0):
        assert (tmp_path / "lock").exists()
