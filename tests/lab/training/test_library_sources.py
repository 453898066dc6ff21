"""Library code with its licence: only what is permissive by its own metadata, read in memory."""

from __future__ import annotations

import io
import sys
import sysconfig
import tarfile
import zipfile
from email.message import Message
from itertools import islice
from pathlib import Path

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.training_documents import (
    fetch_packages,
    fetched_packages,
    installed_distributions,
    licence_of,
    listed_packages,
    standard_library,
)

MIT = "Name: some\nVersion: 1.2\nLicense-Expression: MIT\n"
ISC = "License :: OSI Approved :: ISC License (ISCL)"
GPL = "Name: other\nVersion: 3\nLicense: GPL-3.0\n"


def metadata(**fields: str | list[str]) -> Message:
    message = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            message[name.replace("_", "-")] = value
    return message


def save_wheel(path: Path, members: dict[str, str | bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)


def save_source_archive(path: Path, members: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))


@pytest.mark.parametrize(
    ("about", "licence"),
    [
        (metadata(License_Expression="MIT"), "MIT"),
        (metadata(License_Expression="Apache-2.0 OR BSD-3-Clause"), "Apache-2.0 OR BSD-3-Clause"),
        (metadata(License="BSD"), "BSD"),
        (metadata(License="MIT License\n\nCopyright somebody"), "MIT License"),
        (
            metadata(License="=======\n The terms\n=======\n The Modified BSD License, as follows:"),
            "The Modified BSD License, as follows:",
        ),
        (metadata(License="Files: *\nCopyright: somebody\nLicense: BSD-3-Clause"), "BSD-3-Clause"),
        (metadata(Classifier=["Programming Language :: Python", ISC]), ISC),
        (metadata(License="see LICENSE", Classifier=ISC), ISC),
    ],
)
def test_a_permissive_licence_is_named(about: Message, licence: str) -> None:
    assert licence_of(about) == licence


@pytest.mark.parametrize(
    "about",
    [
        metadata(),
        metadata(License="GPL-3.0"),
        metadata(License="Proprietary"),
        metadata(License_Expression="MIT AND LGPL-2.1-only"),
        metadata(License="MIT", Classifier="License :: OSI Approved :: GNU Affero General Public License v3"),
        metadata(Classifier="License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"),
        metadata(License="permit everything, submit nothing"),
    ],
)
def test_copyleft_and_unknown_licences_are_refused(about: Message) -> None:
    assert licence_of(about) is None


def test_the_python_files_of_a_wheel_are_documents(tmp_path: Path) -> None:
    save_wheel(
        tmp_path / "some" / "some-1.2-py3-none-any.whl",
        {"some/core.py": "x = 1\r\n", "some/data.txt": "no code", "some-1.2.dist-info/METADATA": MIT},
    )

    (found,) = fetched_packages(tmp_path)
    assert (found.source, found.licence, found.path, found.kind) == ("some==1.2", "MIT", "some/core.py", "library")
    assert found.text == "x = 1\n"


def test_the_python_files_of_a_source_archive_are_documents(tmp_path: Path) -> None:
    save_source_archive(
        tmp_path / "some" / "some-1.2.tar.gz", {"some-1.2/PKG-INFO": MIT, "some-1.2/some.py": "x = 1\n"}
    )

    assert [(found.path, found.text) for found in fetched_packages(tmp_path)] == [("some-1.2/some.py", "x = 1\n")]


def test_reading_an_archive_writes_nothing(tmp_path: Path) -> None:
    save_wheel(tmp_path / "some" / "some.whl", {"../evil.py": "x = 1\n", "some-1.2.dist-info/METADATA": MIT})
    list(fetched_packages(tmp_path))

    assert [path.name for path in tmp_path.rglob("*")] == ["some", "some.whl"]


def test_a_file_that_is_not_utf8_is_left_out(tmp_path: Path) -> None:
    save_wheel(
        tmp_path / "some" / "some.whl",
        {"a.py": b"\xff\xfe", "b.py": "x = 1\n", "some-1.2.dist-info/METADATA": MIT},
    )

    assert [found.path for found in fetched_packages(tmp_path)] == ["b.py"]


def test_a_package_without_a_permissive_licence_is_left_out_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_wheel(tmp_path / "other" / "other.whl", {"other.py": "x = 1\n", "other-3.dist-info/METADATA": GPL})

    assert list(fetched_packages(tmp_path)) == []
    assert "left out other.whl: no permissive licence" in capsys.readouterr().err


def test_the_licence_is_not_that_of_a_package_carried_inside(tmp_path: Path) -> None:
    save_wheel(
        tmp_path / "other" / "other.whl",
        {
            "other/_vendor/some-1.2.dist-info/METADATA": MIT,
            "other/core.py": "x = 1\n",
            "other-3.dist-info/METADATA": GPL,
        },
    )

    assert list(fetched_packages(tmp_path)) == []


def test_a_damaged_archive_is_left_out_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("broken.whl", "broken.tar.gz"):
        (tmp_path / "broken").mkdir(exist_ok=True)
        (tmp_path / "broken" / name).write_bytes(b"half of a download")
    save_wheel(tmp_path / "some" / "some.whl", {"some.py": "x = 1\n", "some-1.2.dist-info/METADATA": MIT})

    assert [found.path for found in fetched_packages(tmp_path)] == ["some.py"]
    assert capsys.readouterr().err.count("it is damaged") == 2


def test_a_missing_package_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no package folder"):
        list(fetched_packages(tmp_path / "nowhere"))


def test_a_package_that_was_fetched_before_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_wheel(tmp_path / "some" / "some.whl", {})
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    fetch_packages(["some"], tmp_path)

    with pytest.raises(FileNotFoundError):
        fetch_packages(["other"], tmp_path)


def test_a_package_that_cannot_be_fetched_is_left_out_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "false")

    fetch_packages(["some"], tmp_path)

    assert capsys.readouterr().err == "left out some: pip gave no reason\n"


def test_a_list_of_packages_may_hold_comments_and_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# first\nattrs\n\nrich  # second\n")

    assert listed_packages(tmp_path / "list.txt") == ["attrs", "rich"]


def test_the_standard_library_comes_without_what_is_installed_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json/decoder.py", "site-packages/other/core.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})

    found = [(each.source, each.licence, each.path) for each in standard_library()]
    assert found == [("python-standard-library", "PSF-2.0", "json/decoder.py")]


def test_installed_distributions_come_with_their_versions_and_licences() -> None:
    found = list(islice(installed_distributions(), 20))

    assert found and all("==" in each.source and each.licence and each.path.endswith(".py") for each in found)
