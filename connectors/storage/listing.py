"""A guard against endless listings: a storage can always return one more page."""

from __future__ import annotations

from connectors.errors import StorageUnavailable

__all__ = ["ListingGuard"]

MAX_PAGES = 10_000
"""Limit of pages per listing: ten million objects, at S3's 1,000 objects per page."""
MAX_EMPTY_PAGES = 1_000
"""Limit of pages in a row without a new name; some storages do return empty pages."""


class ListingGuard:
    """Checks the pages of one listing for repetition and limits their number.

    Args:
        where: the location that is listed, for messages.

    >>> pages = ListingGuard("s3://clinic/wards")
    >>> pages.check_page("wards/north.csv", "page-2")
    >>> pages.check_page("wards/south.csv", "page-2")
    Traceback (most recent call last):
    connectors.errors.StorageUnavailable: the listing of s3://clinic/wards repeats itself; do not trust it
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._tokens: set[str] = set()
        self._firsts: set[str] = set()
        self._pages = self._empty = 0

    def check_page(self, first: str | None, token: str | None) -> None:
        """Check a page.

        Args:
            first: the name of the first object or folder on the page; None if it is empty.
            token: the continuation token; None or empty on the last page.

        Raises:
            StorageUnavailable: the listing repeats itself, or has too many pages.
        """
        if not token:
            return
        if token in self._tokens:
            message = f"the listing of {self._where} repeats itself; do not trust it"
            raise StorageUnavailable(message)
        self._tokens.add(token)
        self._pages += 1
        self._empty += 1
        if first is not None and first not in self._firsts:
            self._firsts.add(first)
            self._empty = 0
        if self._pages > MAX_PAGES or self._empty > MAX_EMPTY_PAGES:
            message = (
                f"the listing of {self._where} does not end: gave up after {self._pages} pages; list a smaller folder"
            )
            raise StorageUnavailable(message)
