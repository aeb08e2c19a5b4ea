"""The keys of objects that each have their own, for the life of a filesystem."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

from connectors.errors import ConnectorError
from connectors.keys.registry import source_of
from connectors.system.locks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.keys.contract import KeyReference
    from connectors.secrets import SecretKey

__all__ = ["ObjectKeys"]

T = TypeVar("T")

MOST_KEPT = 1024
"""Keys that are kept; that of an object that was not read for the longest time is forgotten first."""


class ObjectKeys:
    """Opens and wraps the keys of a dataset's objects; each wrapped key is asked for once. Safe in threads.

    Args:
        wrapping: what wraps them, an `ObjectWrapping` of its source.
        root: the folder that files in `wrapping` are below; see `KeySource.unwrap`.
        member: the name of the document's member, for errors.

    Raises:
        BackendNotFound: the source is not installed.
    """

    def __init__(self, wrapping: KeyReference, root: str | None, member: str) -> None:
        self._service = source_of(wrapping.source).object_keys(wrapping, root)
        self._member = member
        self._kept: OrderedDict[bytes, SecretKey] = OrderedDict()
        self._lock = ForkSafeLock()

    @property
    def context(self) -> Mapping[str, str]:
        """What the document binds to each of the keys."""
        return self._service.context

    def open(self, wrapped: bytes, context: Mapping[str, str]) -> SecretKey:
        """Return a key that was wrapped with a context.

        Raises:
            KeyRefused, KeyUnavailable, InvalidKey: it is not given.
        """
        identity = hashlib.sha256(json.dumps([wrapped.hex(), dict(context)], sort_keys=True).encode()).digest()
        with self._lock.current:
            kept = self._kept.pop(identity, None)
            if kept is not None:
                self._kept[identity] = kept
                return kept
        # Not under the lock: a folder's objects are opened at once.
        return self._keep(identity, self._named(lambda: self._service.open(wrapped, context)))

    def seal(self, key: SecretKey, context: Mapping[str, str]) -> bytes:
        """Return a key, wrapped with a context. The errors are those of `open`."""
        return self._named(lambda: self._service.seal(key, context))

    def _keep(self, identity: bytes, key: SecretKey) -> SecretKey:
        with self._lock.current:
            self._kept[identity] = key
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return key

    def _named(self, ask: Callable[[], T]) -> T:
        """Return the result of `ask`; an error of it is of the same type, and names the member."""
        try:
            return ask()
        except ConnectorError as error:
            named = type(error)(f"{self._member}: {error}")
        raise named
