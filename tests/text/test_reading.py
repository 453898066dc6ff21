from __future__ import annotations

import os
from pathlib import Path

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.text.source_files import read_source


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "program.py"


def test_the_text_of_a_file_is_read_as_utf8(file: Path) -> None:
    file.write_bytes("x = 'é→😀'".encode())
    assert read_source(file) == "x = 'é→😀'"


def test_line_terminators_are_kept(file: Path) -> None:
    file.write_bytes(b"a\r\nb\rc\n")
    assert read_source(file) == "a\r\nb\rc\n"


def test_a_byte_order_mark_is_dropped(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfa")
    assert read_source(file) == "a"


def test_an_empty_file_is_an_empty_text(file: Path) -> None:
    file.touch()
    assert read_source(file) == ""


def test_a_file_of_exactly_the_limit_is_read(file: Path) -> None:
    file.write_bytes(b"12345")
    assert read_source(file, max_bytes=5) == "12345"


def test_a_larger_file_is_refused_with_its_size_and_the_limit(file: Path) -> None:
    file.write_bytes(b"x" * 2_000_001)
    with pytest.raises(BadInput, match=r"program\.py is too large: 2,000,001 bytes, limit 2,000,000"):
        read_source(file)


def test_a_binary_file_is_refused_with_the_place_of_its_first_nul(file: Path) -> None:
    file.write_bytes(b"\x7fELF\0\0")
    with pytest.raises(BadInput, match=r"program\.py is a binary file: byte 4 is NUL"):
        read_source(file)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_is_refused_by_its_name(file: Path, codec: str) -> None:
    file.write_bytes("\ufeffx = 1".encode(codec))
    with pytest.raises(BadInput, match=r"program\.py is UTF-16 text \(convert it to UTF-8\)"):
        read_source(file)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "byte order mark"])
def test_invalid_utf8_is_refused_with_its_byte_offset_and_line(file: Path, mark: bytes) -> None:
    file.write_bytes(mark + "é\r\nb\r".encode() + b"x\xff")
    with pytest.raises(BadInput, match=rf"program\.py is not valid UTF-8 at byte {7 + len(mark)}, line 3"):
        read_source(file)


def test_a_missing_file_is_refused(file: Path) -> None:
    with pytest.raises(BadInput, match=r"program\.py does not exist"):
        read_source(file)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is a folder \(give a file in it\)"):
        read_source(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_refused(file: Path) -> None:
    file.touch(mode=0)
    with pytest.raises(BadInput, match=r"program\.py cannot be read: permission denied"):
        read_source(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(file: Path) -> None:
    os.mkfifo(file)
    with pytest.raises(BadInput, match=r"program\.py is not a regular file"):
        read_source(file)


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b"], ids=["too long", "NUL"])
def test_a_path_that_no_file_can_have_is_refused(path: str) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_source(path)


def test_a_path_through_a_file_is_refused(file: Path) -> None:
    file.touch()
    with pytest.raises(BadInput, match="cannot be read"):
        read_source(file / "inner.py")
