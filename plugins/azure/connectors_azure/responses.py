"""Reads the XML that Azure Storage sends, which may be anyone's, and writes the lists of blocks that it takes."""

from __future__ import annotations

import email.utils
from typing import TYPE_CHECKING
from urllib.parse import unquote

from connectors.storage import Listed, Page, parse_xml, size_of, text_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from xml.etree.ElementTree import Element

    from connectors.storage import Headers

__all__ = ["BLOCKS", "LISTING", "block_list", "described", "names", "page"]

BLOCKS = "BlockList"
"""The root element of a list of blocks."""
LISTING = "EnumerationResults"
"""The root element of a page of a listing."""
_FOLDER_MARK = "hdi_isfolder"
"""Metadata that mark an empty blob as a folder; accounts with a hierarchical namespace and other tools set them."""


def page(body: bytes) -> Page:
    """Return a page of List Blobs.

    Raises:
        ValueError: it is invalid.
    """
    root = parse_xml(body, LISTING)
    objects = [_blob(one) for one in root.iterfind("Blobs/Blob")]
    prefixes = [_name(one) for one in root.iterfind("Blobs/BlobPrefix")]
    return Page(objects, prefixes, text_at(root, "NextMarker") or None)


def names(body: bytes, root: str, path: str) -> tuple[list[str], str | None]:
    """Return the names of the elements at a path, and the token of the next page.

    Args:
        body: the document.
        root: the name of its root element.
        path: the path of the elements below it.

    Raises:
        ValueError: they are invalid, or it is another document.
    """
    found = parse_xml(body, root)
    return [_name(one) for one in found.iterfind(path)], text_at(found, "NextMarker") or None


def described(key: str, headers: Headers) -> Listed:
    """Return the blob that the headers of a response describe.

    Raises:
        ValueError: its size is invalid.
    """
    found = {name: headers.get(name, "") for name in ("Content-Length", "Etag", "Last-Modified")}
    found["Creation-Time"] = headers.get("x-ms-creation-time", "")
    return _listed(key, found, headers.get(f"x-ms-meta-{_FOLDER_MARK}"))


def _blob(element: Element) -> Listed:
    found = {one.tag: one.text or "" for one in element.iterfind("Properties/*")}
    metadata = {one.tag.lower(): one.text for one in element.iterfind("Metadata/*")}
    return _listed(_name(element), found, metadata.get(_FOLDER_MARK))


def _listed(key: str, found: Mapping[str, str], folder: str | None) -> Listed:
    facts = {
        "etag": f'"{found.get("Etag", "").strip(chr(34))}"',  # only as a header it has the quotes
        "created": _time(found.get("Creation-Time")),
        "modified": _time(found.get("Last-Modified")),
    }
    return Listed(key, size_of(found.get("Content-Length")), folder == "true", facts)


def _name(element: Element) -> str:
    """Return the name in an element. One with characters that XML has not is percent-encoded."""
    found = element.find("Name")
    text = "" if found is None else found.text or ""
    if found is not None and found.get("Encoded") == "true":
        text = unquote(text, errors="strict")
    if not text:
        message = "an element has no name"
        raise ValueError(message)
    return text


def _time(text: str | None) -> datetime | None:
    try:
        return email.utils.parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None


def block_list(ids: list[str]) -> bytes:
    """Return the body of Put Block List."""
    blocks = "".join(f"<Latest>{one}</Latest>" for one in ids)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{blocks}</BlockList>'.encode()
