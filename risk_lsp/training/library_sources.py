"""Library code to learn from: the standard library, installed distributions, and packages fetched by name."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

from risk_lsp.errors import BadInput
from risk_lsp.training.documents import TrainingDocument, is_held_out

PERMISSIVE = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|0BSD|Unlicense|Zlib|HPND|Biopython)\b", re.I
)
COPYLEFT = re.compile(r"\b(A?GPL|LGPL|MPL|EPL|CDDL|Mozilla|GNU)\b|General Public", re.I)

_UNREADABLE = (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, zlib.error)


def listed_packages(path: Path) -> list[str]:
    """The package names in a list file: one a line, `#` starts a comment."""
    lines = (line.split("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def standard_library() -> Iterator[TrainingDocument]:
    """The running interpreter's standard library, its tests included (they are short functions, like the domain)."""
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root).as_posix()
        if "site-packages" in relative or "lib2to3/tests/data" in relative:
            continue
        text = _decoded(path.read_bytes())
        if text is not None:
            yield _document("python-standard-library", "PSF-2.0", relative, text)


def installed_distributions() -> Iterator[TrainingDocument]:
    """Python files of the permissively licensed distributions that are installed beside this one."""
    for distribution in sorted(metadata.distributions(), key=lambda item: item.metadata["Name"].lower()):
        name, licence = distribution.metadata["Name"], licence_of(distribution.metadata)
        if licence is None or name == "risk-lsp":
            continue
        for file in distribution.files or []:
            if file.suffix == ".py":
                located = Path(str(file.locate()))
                text = _decoded(located.read_bytes()) if located.is_file() else None
                if text is not None:
                    yield _document(f"{name}=={distribution.version}", licence, str(file), text)


def fetch_packages(names: list[str], folder: Path) -> None:
    """Download each named package once into its own folder below `folder`; nothing is installed or run."""
    for name in names:
        target = folder / name
        if target.is_dir() and any(target.iterdir()):
            continue
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(target), name]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode:
            tail = finished.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
            print(f"left out {name}: {tail[0]}", file=sys.stderr)


def fetched_packages(folder: Path) -> Iterator[TrainingDocument]:
    """Python files inside the archives below `folder`; a package without a permissive licence is left out."""
    if not folder.is_dir():
        raise BadInput(f"no package folder at {folder}", "fetch the packages first, or leave --packages out")
    for archive in sorted(folder.glob("*/*")):
        try:
            members = dict(_python_members(archive))
        except _UNREADABLE as error:
            print(f"left out {archive.name}: it is damaged ({error})", file=sys.stderr)
            continue
        # A package can carry others, with metadata of their own, further inside.
        own = min(filter(_is_metadata, members), key=lambda path: (path.count("/"), path), default="")
        about = HeaderParser().parsestr(members.get(own, ""))
        licence = licence_of(about)
        if licence is None:
            print(f"left out {archive.name}: no permissive licence in its metadata", file=sys.stderr)
            continue
        source = f"{about['Name']}=={about['Version']}"
        for path, text in sorted(members.items()):
            if path.endswith(".py"):
                yield _document(source, licence, path, text)


def licence_of(about: object) -> str | None:
    """The licence named by a distribution's metadata when it is permissive, else None."""
    get_all = getattr(about, "get_all")  # noqa: B009  (email.message.Message and its stand-in in importlib.metadata)
    fields = [str(value)[:200] for name in ("License-Expression", "License") for value in get_all(name) or []]
    fields += [str(value) for value in get_all("Classifier") or [] if str(value).startswith("License ::")]
    named = [field for field in fields if PERMISSIVE.search(field)]
    if not named or any(COPYLEFT.search(field) for field in fields):
        return None
    # Some hold the whole text of a licence, which may begin with a rule or a list of files.
    lines = named[0].split("\n")
    named_in = next((line.strip() for line in lines if PERMISSIVE.search(line)), lines[0])
    return named_in.removeprefix("License: ").strip()


def _document(source: str, licence: str, path: str, text: str) -> TrainingDocument:
    return TrainingDocument(source, licence, path, "library", text, is_held_out(f"{source}:{path}"))


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None


def _is_metadata(path: str) -> bool:
    return path.endswith((".dist-info/METADATA", "PKG-INFO"))


def _python_members(archive: Path) -> Iterator[tuple[str, str]]:
    """(path, text) of the Python and metadata files of a wheel or source archive, read in memory."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if name.endswith(".py") or _is_metadata(name):
                    text = _decoded(wheel.read(name))
                    if text is not None:
                        yield name, text
    elif archive.name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(archive) as source:
            for member in source:
                stream = source.extractfile(member) if member.isfile() else None
                if stream is not None and (member.name.endswith(".py") or _is_metadata(member.name)):
                    text = _decoded(stream.read())
                    if text is not None:
                        yield member.name, text
