"""The checks of every target: a parser raises only our own errors, and none of them shows a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["ACCEPTED", "MARK", "Broken", "attempt", "hold", "is_hidden_value"]

ACCEPTED = "accepted"
"""The outcome of an input that a parser accepts."""
MARK = "hunter2"
"""A text in every secret of the kept inputs; wherever mutations move it, no error may show it as a secret."""


class Broken(AssertionError):
    """A parser broke a promise."""


def hold(promise: object, otherwise: str) -> None:
    """Raise `Broken` unless a promise holds."""
    if not promise:
        raise Broken(otherwise)


def attempt(call: Callable[[], object], *, hidden: bool = False) -> str:
    """Return the outcome of a call: `ACCEPTED`, or the name of our error that it raised.

    Args:
        call: the call. Errors that are not ours propagate: they are what fuzzing looks for.
        hidden: whether `MARK` is part of a secret, so that neither the error nor its causes and contexts may show it.
    """
    try:
        call()
    except ConnectorError as error:
        if hidden:
            _check_hidden(error)
        return type(error).__name__
    return ACCEPTED


def _check_hidden(error: BaseException) -> None:
    seen: BaseException | None = error
    while seen is not None:
        shown = f"{seen} {seen!r} {vars(seen)} {getattr(seen, '__notes__', '')}"
        if isinstance(seen, UnicodeError | json.JSONDecodeError):
            shown += str(getattr(seen, "doc", "")) + str(getattr(seen, "object", ""))
        hold(MARK not in shown, f"{type(seen).__name__} shows a secret")
        seen = seen.__cause__ or seen.__context__


def is_hidden_value(document: Any, shown: Collection[str] = ("type",)) -> bool:
    """Tell whether `MARK` is in some values of a document, and nowhere that an error may quote.

    Args:
        document: parsed JSON.
        shown: members whose values may be quoted.
    """
    return MARK in str(document) and not _is_shown(document, shown)


def _is_shown(document: Any, shown: Collection[str]) -> bool:
    """Tell whether `MARK` is in the name of a member, or in a value that may be shown."""
    if isinstance(document, dict):
        return any(
            MARK in str(name) or (name in shown and MARK in str(value)) or _is_shown(value, shown)
            for name, value in document.items()
        )
    return isinstance(document, list) and any(_is_shown(one, shown) for one in document)
