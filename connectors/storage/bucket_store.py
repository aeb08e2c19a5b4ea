"""The dialect of a store of buckets: pages of listings, and what is done with a single object."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from connectors.errors import NotAnObject, NotSupported, ObjectChanged, ObjectNotFound
from connectors.storage.listing import ListingGuard
from connectors.storage.location import split_path
from connectors.storage.multipart import MultipartStore
from connectors.storage.store import ObjectStore
from connectors.streams.executor import submit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from connectors.storage.location import BucketLocation

__all__ = ["BucketStore", "Listed", "Page", "prefix_of"]

T = TypeVar("T")

_REMOVERS = 8
"""Objects that are removed at once."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a listing.

    Attributes:
        key: its name in the bucket.
        size: its bytes, as the store claims.
        folder: whether it marks a folder.
        facts: what else fsspec's `info` shows, such as the version and the times.
    """

    key: str
    size: int
    folder: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class Page(NamedTuple):
    """One page of a listing.

    Attributes:
        objects: the objects on it.
        prefixes: the folders on it, each with a slash at its end.
        following: the token of the next page; None or empty on the last one.
    """

    objects: Sequence[Listed]
    prefixes: Sequence[str]
    following: str | None


class BucketStore(ObjectStore, MultipartStore, ABC):
    """A store of buckets, in its dialect. Paths are ``bucket/key``, with the key literal.

    Attributes:
        location: the form of its locations.
        lists: whether the credentials can list; those for a single object cannot, so no folder is seen with them.
        endpoint: the server's URL, for reprs.
    """

    location: ClassVar[BucketLocation]
    lists = True
    endpoint = ""

    @property
    def bucket_word(self) -> str:
        """What the store calls a bucket."""
        return self.location.words[0]

    def shown(self, path: str) -> str:
        """Return the location of ``bucket/key`` for messages."""
        return self.location.shown(path)

    @abstractmethod
    def list_page(self, path: str, prefix: str, delimiter: str, token: str | None, most: int | None) -> Page:
        """Return a page of the objects in a bucket.

        Args:
            path: the folder that is listed, for errors; its first part is the bucket.
            prefix: the start of their keys, or an empty string.
            delimiter: a slash for the direct members of the folder, or an empty string for all below it.
            token: the token of the page, or None for the first one.
            most: the most names on it, or None for the store's own limit.
        """

    @abstractmethod
    def describe(self, path: str) -> Listed:
        """Return the object at a path.

        Raises:
            ObjectNotFound: there is none.
        """

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove an object.

        Raises:
            ObjectNotFound: the store says that there is none.
        """

    @abstractmethod
    def copy(self, path: str, target: str) -> None:
        """Copy an object within the store; it appears whole, or not at all."""

    def pages(self, path: str, delimiter: str = "", most: int | None = None) -> Iterator[Page]:
        """Yield the pages of a folder's listing; a guard ends one that repeats itself. The arguments are `list_page`'s.

        Raises:
            ObjectNotFound: there is no such bucket.
            StorageUnavailable: the listing is invalid: it repeats itself, or has names outside the folder, with which
                others would be read, copied or removed.
        """
        prefix, token = prefix_of(path), None
        guard = ListingGuard(self.shown(path))
        missing: ObjectNotFound | ObjectChanged | None
        while True:
            try:
                page = self.list_page(path, prefix, delimiter, token, most)
            except ObjectNotFound as error:
                missing = error
            else:
                missing = None
            if missing is not None:
                if token is not None:  # what was listed before is no whole listing
                    missing = ObjectChanged(f"{self.shown(path)} was removed while it was being listed; list it again")
                raise missing
            names = [*(one.key for one in page.objects), *page.prefixes]
            if not all(name.startswith(prefix) for name in names):
                raise self.invalid(path, "sent a listing with names outside the folder,")
            token = page.following
            guard.check_page(next(iter(names), None), token)
            yield page
            if not token:
                return

    def buckets(self) -> list[str]:
        """Return the names of all buckets of the account.

        Raises:
            NotSupported: the store has no such list.
        """
        message = f"{self.name} does not list its {self.bucket_word}s; name one"
        raise NotSupported(message)

    def remove_all(self, paths: Sequence[str]) -> None:
        """Remove objects; those that are gone already are no error."""
        with ThreadPoolExecutor(_REMOVERS, "connectors-remove") as pool:
            for done in [submit(pool, self._remove_quietly, path) for path in paths]:
                done.result()

    def _remove_quietly(self, path: str) -> None:
        with contextlib.suppress(ObjectNotFound):  # another client removed it first
            self.remove(path)

    def valid(self, path: str, read: Callable[[], T], what: str = "sent an invalid response") -> T:
        """Return what `read` reads from a response.

        Raises:
            StorageUnavailable: it raised ValueError or OverflowError; `what` says what the store did.
        """
        with contextlib.suppress(ValueError, OverflowError):
            return read()
        raise self.invalid(path, what)

    def find_object(self, path: str) -> object:
        """Return the object at a path."""
        return self.describe(path)

    def check_object(self, path: str) -> None:
        """Check that a path names an object.

        Raises:
            NotAnObject: it names a bucket or a folder.
        """
        key = split_path(path)[1]
        if not key or key.endswith("/"):
            message = f"{self.shown(path)} is a {self.bucket_word} or a folder; name an object in it"
            raise NotAnObject(message)


def prefix_of(path: str) -> str:
    """Return the start of the keys of the objects in a folder."""
    key = split_path(path)[1]
    return f"{key}/" if key else ""
