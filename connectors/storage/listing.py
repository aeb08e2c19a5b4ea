"""Listings that come page by page, from a storage that may always have one more."""

from __future__ import annotations

from connectors.errors import StorageUnavailable

__all__ = ["ListingGuard"]

MOST_PAGES = 10_000
"""Pages of one listing: with 1,000 objects on each, as S3 has them, ten million objects."""
MOST_BARREN = 1_000
"""Pages in a row with nothing on them that was not on an earlier one: some storages do have pages with nothing."""


class ListingGuard:
    """Watches over the pages of one listing.

    Args:
        where: what is listed, for messages.

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
        self._pages = self._barren = 0

    def check_page(self, first: str | None, token: str | None) -> None:
        """Take note of a page.

        Args:
            first: the name of the first object or folder on it; None if there is none.
            token: what leads to the next page; None or nothing if this is the last.

        Raises:
            StorageUnavailable: this leads nowhere.
        """
        if not token:
            return
        if token in self._tokens:
            message = f"the listing of {self._where} repeats itself; do not trust it"
            raise StorageUnavailable(message)
        self._tokens.add(token)
        self._pages += 1
        self._barren += 1
        if first is not None and first not in self._firsts:
            self._firsts.add(first)
            self._barren = 0
        if self._pages > MOST_PAGES or self._barren > MOST_BARREN:
            message = (
                f"the listing of {self._where} does not end: gave up after {self._pages} pages; list a smaller folder"
            )
            raise StorageUnavailable(message)
