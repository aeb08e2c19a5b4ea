"""Small parts of stores' dialects: queries, the headers of a read, and sizes that a store tells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["query_of", "range_headers", "size_of"]

_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)


def query_of(parameters: Mapping[str, str | int | None]) -> str:
    """Return a query with its question mark, without the parameters that are None; empty if there are none.

    >>> query_of({"prefix": "2026/a b", "marker": None})
    '?prefix=2026%2Fa%20b'
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"?{urlencode(given, quote_via=quote, safe='')}" if given else ""


def range_headers(span: str | None, etag: str | None) -> dict[str, str]:
    """Return the headers for a range of one version. A weak ETag is left out, because it never matches."""
    headers = {"Range": span, "If-Match": None if (etag or "").startswith("W/") else etag}
    return {name: value for name, value in headers.items() if value is not None}


def size_of(text: object) -> int:
    """Return a size that a store tells as text, or as a JSON number, which could be infinite or negative.

    Raises:
        ValueError: it is no size.
    """
    if not _SIZE.fullmatch(str(text)):
        message = "a size is missing or invalid,"
        raise ValueError(message)
    return int(str(text))
