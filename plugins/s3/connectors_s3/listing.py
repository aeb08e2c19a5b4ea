"""Reads what S3 says about objects: pages of listings, times, and codes of errors."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from connectors.storage import Listed, Page, size_of, text_at

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["code_at", "http_time", "in_xml", "page_of"]

_NAMELESS = "it is without names or sizes,"
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)


def page_of(root: Element) -> Page:
    """Return a page of a listing.

    Raises:
        ValueError: it is invalid or incomplete.
    """
    encoded = text_at(root, "EncodingType") == "url"
    decode = (lambda text: unquote_plus(text, errors="strict")) if encoded else str
    objects = []
    for one in root.findall("Contents"):
        key = decode(text_at(one, "Key"))
        if not key:
            raise ValueError(_NAMELESS)
        key.encode()  # a lone surrogate cannot be part of a URL
        facts = {"etag": text_at(one, "ETag"), "modified": _iso_time(text_at(one, "LastModified"))}
        objects.append(Listed(key, size_of(text_at(one, "Size")), facts=facts))
    prefixes = [decode(text_at(one, "Prefix")) for one in root.findall("CommonPrefixes")]
    if root.tag != "ListBucketResult" or not all(prefixes):
        raise ValueError(_NAMELESS)
    truncated, following = text_at(root, "IsTruncated").strip(), text_at(root, "NextContinuationToken")
    more = truncated == "true"
    if truncated not in ("true", "false", "") or (following and not more):
        message = "it does not say whether it has further pages,"
        raise ValueError(message)
    if more and not following:
        message = "it has further pages, but no token for the next,"
        raise ValueError(message)
    return Page(objects, prefixes, following if more else None)


def _iso_time(text: str) -> datetime | None:
    """Return the time in a listing, or None if it has none; raises ValueError if it is invalid."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        pass
    message = "it has an invalid time,"
    raise ValueError(message)


def http_time(text: str) -> datetime | None:
    """Return the time in a header, or None if it has none.

    Raises:
        ValueError: it is invalid.
    """
    return parsedate_to_datetime(text) if text else None


def in_xml(key: str) -> str:
    """Return a key as XML text; carriage returns would else be normalised."""
    return escape(key, {"\r": "&#13;"})


def code_at(error: Element) -> str:
    """Return the code of an error, or an empty string if it does not look like one."""
    code = text_at(error, "Code")
    return code if _CODE.fullmatch(code) else ""
