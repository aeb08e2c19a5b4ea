"""What every target holds its parser to: only our own errors leave it, and none of them shows a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["ACCEPTED", "MARK", "Broken", "attempt", "hold", "is_hidden_value"]

ACCEPTED = "accepted"
"""The outcome of what a parser takes."""
MARK = "hunter2"
"""Stands in every secret of the kept inputs; wherever mutation carries it, an error must not show it as a secret."""


class Broken(AssertionError):
    """A parser did what it must not."""


def hold(promise: object, otherwise: str) -> None:
    """Raise `Broken` unless a promise holds."""
    if not promise:
        raise Broken(otherwise)


def attempt(call: Callable[[], object], *, hidden: bool = False) -> str:
    """Return what comes of a call: that it succeeded, or the name of the error of ours that left it.

    Args:
        call: what to do. Any other error than ours passes, and is what fuzzing looks for.
        hidden: `MARK` is in something secret, and must not be seen in the error nor in those that it drags along.
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
        hold(MARK not in shown, f"a secret stands in {type(seen).__name__}")
        seen = seen.__cause__ or seen.__context__


def is_hidden_value(document: Any, shown: Collection[str] = ("type",)) -> bool:
    """Tell whether `MARK` stands in some values of a document, and nowhere in it where it may be quoted.

    Args:
        document: parsed JSON.
        shown: members whose values may be.
    """
    return MARK in str(document) and not _is_shown(document, shown)


def _is_shown(document: Any, shown: Collection[str]) -> bool:
    """Tell whether `MARK` stands in the name of a member, or in one whose value may be shown."""
    if isinstance(document, dict):
        return any(
            MARK in str(name) or (name in shown and MARK in str(value)) or _is_shown(value, shown)
            for name, value in document.items()
        )
    return isinstance(document, list) and any(_is_shown(one, shown) for one in document)
