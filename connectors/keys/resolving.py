"""Resolves references to keys: once for each reference in a process, when the key is first used."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from connectors.keys.contract import KeyReference
from connectors.keys.registry import source_of
from connectors.secrets import SecretKey
from connectors.system.locks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["forget", "resolve"]

_HELD: dict[bytes, SecretKey] = {}
"""The keys of this process, by a digest of their references."""
_LOCKS: dict[bytes, ForkSafeLock] = {}


def resolve(key: SecretKey | KeyReference, root: str | None = None) -> SecretKey:
    """Return a key, from its source if it is a reference that this process has not resolved yet.

    Args:
        key: the key, or a reference to it.
        root: the folder that files in the reference are below; see `KeySource.unwrap`.

    Raises:
        KeyRefused, KeyUnavailable, InvalidKey, ConfigError: as the source's `unwrap` does.
        BackendNotFound: the source is not installed.
    """
    if isinstance(key, SecretKey):
        return key
    identity = _identity(key, root)
    # One thread asks the service; the others wait for its answer.
    with _LOCKS.setdefault(identity, ForkSafeLock()).current:
        held = _HELD.get(identity)
        if held is None:
            held = _HELD[identity] = source_of(key.source).unwrap(key, root)
        return held


def forget(keys: Iterable[SecretKey | KeyReference], root: str | None = None) -> None:
    """Forget what references led to, and those in them: their next use asks the source again."""
    for key in keys:
        if isinstance(key, KeyReference):
            _HELD.pop(_identity(key, root), None)
            forget((value for _, value in key if isinstance(value, KeyReference)), root)


def _identity(reference: KeyReference, root: str | None) -> bytes:
    return hashlib.sha256(json.dumps([root, reference.document()], sort_keys=True).encode()).digest()
