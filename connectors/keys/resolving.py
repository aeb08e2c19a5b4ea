"""Resolves references to keys: once for each reference in a process, when the key is first used."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

from connectors.errors import ConnectorError
from connectors.keys.contract import KeyReference
from connectors.keys.registry import source_of
from connectors.secrets import SecretKey
from connectors.system.locks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["forget", "resolve"]


class _Answer:
    """What the source of one reference has answered in this process."""

    def __init__(self) -> None:
        self.lock = ForkSafeLock()
        self.key: SecretKey | None = None
        self.failures: list[ConnectorError] = []  # the last one; a new list for each


_ANSWERS: dict[bytes, _Answer] = {}
"""The answers of this process, by a digest of the references."""
_MOST_ANSWERS = 4096
"""Answers that are kept: the oldest is asked for again."""


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
    answer = _ANSWERS.setdefault(_identity(key, root), _Answer())
    if len(_ANSWERS) > _MOST_ANSWERS:  # of documents that were renewed since
        with contextlib.suppress(StopIteration, KeyError, RuntimeError):  # other threads do the same
            del _ANSWERS[next(iter(_ANSWERS))]
    failures = answer.failures
    # One thread asks the source. The others wait for its answer, and share an error rather than each its own timeout.
    with answer.lock.current:
        if answer.key is not None:
            return answer.key
        if failures is not answer.failures:
            shared = answer.failures[0]
            raise type(shared)(*shared.args)
        try:
            answer.key = source_of(key.source).unwrap(key, root)
        except ConnectorError as error:
            answer.failures = [type(error)(*error.args)]  # without a traceback, which holds frames
            raise
        return answer.key


def forget(keys: Iterable[SecretKey | KeyReference], root: str | None = None) -> None:
    """Forget what references led to, and those in them: their next use asks the source again."""
    for key in keys:
        if isinstance(key, KeyReference):
            _ANSWERS.pop(_identity(key, root), None)
            forget((value for _, value in key if isinstance(value, KeyReference)), root)


def _identity(reference: KeyReference, root: str | None) -> bytes:
    return hashlib.sha256(json.dumps([root, reference.document()], sort_keys=True).encode()).digest()
