"""Reads what a server lists: the responses to PROPFIND, which are not trusted."""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from connectors.storage import parse_xml, text_at, texts_at

if TYPE_CHECKING:
    from datetime import datetime
    from xml.etree.ElementTree import Element

__all__ = ["PROPERTIES", "Found", "members_of", "parse_multistatus"]

PROPERTIES = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>'
    b"<resourcetype/><getcontentlength/><getetag/><getlastmodified/></prop></propfind>"
)
"""The body of a PROPFIND: what it asks for."""
_SUCCESS = re.compile(r"HTTP/[0-9.]+ 200\b")
_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Found:
    """A file or a folder on the server.

    Attributes:
        path: the absolute path, decoded, without a slash at its end.
        folder: whether it is a folder.
        size: the bytes of a file, as the server claims; None if it does not say.
        etag: its ETag, or an empty string.
        modified: when it was last written, or None.
    """

    path: str
    folder: bool
    size: int | None
    etag: str
    modified: datetime | None


def parse_multistatus(body: bytes) -> list[Found]:
    """Return what a response to PROPFIND describes.

    Raises:
        ValueError: it is no such response, or leaves something out. The message ends in a comma and quotes nothing.
    """
    root = parse_xml(body)
    if root.tag != "multistatus":
        message = "it is not a multistatus document,"
        raise ValueError(message)
    return [_found(response) for response in root.findall("response")]


def members_of(path: str, found: list[Found]) -> list[Found]:
    """Return the members of a folder, or the file itself.

    Raises:
        ValueError: the listing has names outside the folder, with which other files would be read or removed.
    """
    prefix = path if path == "/" else f"{path}/"
    members = {one.path: one for one in found}
    itself = members.pop(path, None)
    if itself is None or len(members) + 1 != len(found):
        message = "it has a name twice, or not the folder's own,"
        raise ValueError(message)
    names = [name.removeprefix(prefix) for name in members if name.startswith(prefix)]
    if len(names) != len(members) or any("/" in name or name in (".", "..") for name in names):
        message = "it has names outside the folder,"
        raise ValueError(message)
    if not itself.folder:
        return [itself]
    return list(members.values())


def _found(response: Element) -> Found:
    path = _path_of(text_at(response, "href").strip())
    # Properties that a resource does not have come in a propstat of their own, with another status.
    found = next((one for one in response.findall("propstat") if _SUCCESS.match(text_at(one, "status"))), None)
    kind = None if found is None else found.find("prop/resourcetype")
    if found is None or kind is None:
        message = "it has a name without its properties,"
        raise ValueError(message)
    size = text_at(found, "prop/getcontentlength").strip()
    modified = None
    for text in texts_at(found, "prop/getlastmodified"):
        try:
            modified = email.utils.parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            continue
    return Found(
        path,
        kind.find("collection") is not None,
        int(size) if _SIZE.fullmatch(size) else None,
        text_at(found, "prop/getetag").strip(),
        modified,
    )


def _path_of(href: str) -> str:
    """Return the path of a URL, or of a path with escapes. Its host does not matter: nothing is sent there."""
    parts = urlsplit(href)
    path = unquote(parts.path, errors="strict")
    if not path.startswith("/") or "%2f" in parts.path.lower() or _UNSAFE.search(path) or parts.query:
        message = "it has an invalid name,"
        raise ValueError(message)
    return path.rstrip("/") or "/"
