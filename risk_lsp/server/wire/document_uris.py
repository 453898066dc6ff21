"""URIs of documents as clients write them: the path that one means, its name for people, and one spelling for all."""

from __future__ import annotations

import os
import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

_PARTS = re.compile(r"(?s)(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(.*)")  # RFC 3986, appendix B
_DRIVE = re.compile(rb"/([A-Za-z]):(?=/|\Z)")
_UNRESERVED = b"/~"  # beside letters, digits and "_.-", which are never encoded


def path_of(uri: str, *, windows: bool = os.name == "nt") -> str | None:
    """The path of a file: URI on this kind of system; None for another URI, or if no file can have that path.

    Bytes that are not UTF-8 come out as Python writes them in paths. A host other than localhost makes a UNC path.
    """
    scheme, host, path = _read(uri)
    if scheme != "file" or not path.startswith(b"/") or b"\0" in path:
        return None
    if host not in ("", "localhost"):
        path = b"//" + os.fsencode(host) + path
    elif windows and _DRIVE.match(path):
        path = path[1:2].lower() + path[2:]
    text = path.decode("utf-8", "surrogateescape")
    return text.replace("/", "\\") if windows else text


def name_of(uri: str) -> str:
    """The last part of the path, for people: unprintable characters are replaced."""
    name = _read(uri)[2].rstrip(b"/").rpartition(b"/")[2].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in name)


def normal_uri(uri: str) -> str:
    """One spelling for all that mean the same: clients differ in what they encode, and in the case of drive letters.

    A path with a drive letter, or on another host, is taken without regard to case, as Windows takes it.
    """
    scheme, host, path = _read(uri)
    if not scheme:
        return uri  # no URI at all
    rest = _PARTS.fullmatch(uri)[4]  # type: ignore[index]  # which any text matches
    if scheme == "file" and host == "localhost":
        host = ""
    if scheme == "file" and (host or _DRIVE.match(path)):
        path = path.decode("utf-8", "surrogateescape").casefold().encode("utf-8", "surrogateescape")
    authority = f"//{host}" if host or scheme == "file" else ""
    return f"{scheme}:{authority}{quote_from_bytes(path, safe=_UNRESERVED)}{rest}"


def _read(uri: str) -> tuple[str, str, bytes]:
    """Scheme and host in lower case, and the decoded path. `;` is part of a path, as in RFC 3986."""
    found = _PARTS.fullmatch(uri)
    assert found is not None  # every part may be empty
    scheme, host, path, _ = found.groups()
    return (scheme or "").lower(), (host or "").lower(), unquote_to_bytes(path.encode("utf-8", "surrogatepass"))
