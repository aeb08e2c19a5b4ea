"""What OpenSSL refuses, in our words: one in FIPS mode has only the algorithms that its provider approves."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from cryptography.exceptions import InternalError, UnsupportedAlgorithm

from connectors.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["asks_openssl"]

P = ParamSpec("P")
R = TypeVar("R")

_FETCHED = re.compile(r"Algorithm \(([A-Za-z0-9._/-]{1,64}) ")
"""How OpenSSL names the algorithm that it could not fetch; the rest of its text may be anything."""


def asks_openssl(name: str, hmac: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for a method of the format `name` that takes a cipher or a hash from OpenSSL.

    The method then raises `NotSupported` where `cryptography` raises errors of its own.

    Args:
        name: the format's.
        hmac: what the format derives keys with: `cryptography` refuses it without an algorithm's name.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(method)
        def asking(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except UnsupportedAlgorithm:
                refused = hmac or "an algorithm"
            except InternalError as error:
                fetched = _FETCHED.search(str(error))
                refused = fetched[1] if fetched else hmac or "an algorithm"
            message = (
                f"the format {name} cannot be used: the OpenSSL of the package cryptography has no {refused}; if it is "
                "in FIPS mode (fips=yes), its FIPS provider is missing or does not approve this: see docs/fips.md"
            )
            raise NotSupported(message)

        return asking

    return decorate
