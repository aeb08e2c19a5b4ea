"""Locations in stores of buckets: ``scheme://bucket/key``, with the key literal, not percent-encoded.

Stores differ in their words, names and limits, so a `BucketLocation` describes those of one store as data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from connectors.errors import InvalidLocation
from connectors.secrets import redact_url

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BucketLocation", "BucketPlace", "split_path"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BucketPlace(NamedTuple):
    """Where an object or a folder is.

    Attributes:
        bucket: the bucket.
        key: the object's key, unquoted, or the common prefix of a folder's keys; empty for the whole bucket.
        host: the host that the location names after ``bucket@``, in lower case; empty for most stores.
    """

    bucket: str
    key: str
    host: str = ""

    @property
    def path(self) -> str:
        """``bucket/key``."""
        return f"{self.bucket}/{self.key}"

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder or a whole bucket."""
        return not self.key or self.key.endswith("/")


@dataclass(frozen=True, slots=True)
class BucketLocation:
    """The form of the locations in one store.

    Attributes:
        store: the store's name in messages, such as S3.
        schemes: the schemes of its locations, which all mean the same; messages show the first.
        bucket: the names that buckets have.
        bucket_rule: what such a name consists of, for the message about an invalid one.
        key_limit: the longest key, in `key_unit`.
        key_unit: UTF-8 bytes, or characters, which are UTF-16's.
        words: what the store calls a bucket, a key, and the object at a key.
        hosts: the hosts that may follow ``bucket@``; None if none may.
        host_rule: what the text after the @ is not, for the message about an invalid host.
        misplaced: returns what is wrong with a text in place of the bucket, such as a host, or None.
        unsafe: returns what else is wrong with a key, or None.
    """

    store: str
    schemes: tuple[str, ...]
    bucket: re.Pattern[str]
    bucket_rule: str
    key_limit: int
    key_unit: Literal["bytes", "characters"] = "bytes"
    words: tuple[str, str, str] = ("bucket", "key", "key")
    hosts: re.Pattern[str] | None = None
    host_rule: str = ""
    misplaced: Callable[[str], str | None] = lambda _: None
    unsafe: Callable[[str], str | None] = lambda _: None

    def shown(self, path: str) -> str:
        """Return the location of ``bucket/key`` for messages and logs."""
        return redact_url(f"{self.schemes[0]}://{path}")

    def parse(self, location: str) -> BucketPlace:
        """Parse ``scheme://bucket/key``; that of a folder is ``scheme://bucket/key/`` or ``scheme://bucket/``.

        The key is the same in the location and in the bucket: ``%``, ``?``, ``#``, spaces and the rest of Unicode are
        literal.

        Raises:
            InvalidLocation: it has another scheme, no bucket, no key, user information or another host than `hosts`,
                or a key that servers or libraries would change on the way.

        >>> clinic = BucketLocation("Shelf", ("shelf",), re.compile("[a-z]+"), "letters", key_limit=100)
        >>> clinic.parse("shelf://clinic/2026/50% of patients?.csv").key
        '2026/50% of patients?.csv'
        """
        scheme, separator, rest = location.partition("://")
        authority, slash, key = rest.partition("/")
        bucket, at, host = authority.partition("@") if self.hosts else (authority, "", "")
        word, key_word, object_word = self.words
        if not separator or scheme.lower() not in self.schemes:
            *others, last = (f"{one}://" for one in self.schemes)
            problem = f"it does not start with {', '.join(others)}{' or ' if others else ''}{last}"
        elif "@" in bucket:
            problem = "it contains user information; put that into the credentials document"
        elif misplaced := self.misplaced(bucket):
            problem = misplaced
        elif not bucket:
            problem = f"it does not name a {word}"
        elif not self.bucket.fullmatch(bucket):
            problem = f"its {word} has an invalid name; use {self.bucket_rule}"
        elif at and self.hosts and not self.hosts.fullmatch(host.lower()):
            problem = f"the part after the @ is not {self.host_rule}"
        elif not key and not slash:
            problem = f"it does not name a {object_word}; for the whole {word}, put a slash at the end"
        else:
            problem = self._key_problem(key) or ""
        if problem:
            # redact_url, because text before an @ may be a password.
            form = f"{self.schemes[0]}://{word}/{key_word}"
            message = f"a location in {self.store} is {form}, and {redact_url(location)!r} is not: {problem}"
            raise InvalidLocation(message)
        return BucketPlace(bucket, key, host.lower())

    def split(self, path: str) -> tuple[str, str]:
        """Return the bucket and the key of ``bucket/key``, as `split_path` does, and check them.

        Raises:
            InvalidLocation: the bucket or the key is invalid.
        """
        bucket, key = split_path(path)
        problem = self._key_problem(key)
        if bucket and not self.bucket.fullmatch(bucket):
            problem = f"it does not start with a {self.words[0]}'s name"
        if problem:
            message = f"{self.shown(path)!r} is not {self.words[0]}/{self.words[1]}: {problem}"
            raise InvalidLocation(message)
        return bucket, key

    def _key_problem(self, key: str) -> str | None:
        """Return what is wrong with a key, or None."""
        named = f"its {self.words[1]}"
        if _CONTROL.search(key):
            return f"{named} contains control characters"
        # HTTP clients, proxies and file-based stores resolve these segments, some of them to a path outside the bucket.
        if {".", ".."} & set(key.split("/")):
            return f"{named} contains a segment . or .."
        try:
            size = len(key.encode()) if self.key_unit == "bytes" else len(key.encode("utf-16-le")) // 2
        except UnicodeEncodeError:
            return f"{named} is not Unicode text"
        if size > self.key_limit:
            return f"{named} has {size} {self.key_unit}; the limit is {self.key_limit}"
        return self.unsafe(key)


def split_path(path: str) -> tuple[str, str]:
    """Return the bucket and the key of ``bucket/key``; the key is literal and may be empty."""
    bucket, _, key = path.partition("/")
    return bucket, key
