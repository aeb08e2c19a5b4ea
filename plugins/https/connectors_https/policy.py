"""Reads the custom policy of a CloudFront URL: when it starts and ends, and whether it is bound to addresses."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["Policy", "decoded", "policy_of"]

_ALPHABET = str.maketrans("-_~", "+=/")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a policy says.

    Attributes:
        starts_at: when it becomes valid, in UTC, or None.
        expires_at: when it expires, in UTC, or None if it does not say so in a valid form.
        addresses: whether only certain IP addresses may use it.
    """

    starts_at: datetime | None
    expires_at: datetime | None
    addresses: bool


def decoded(text: str) -> bytes | None:
    """Return what a parameter holds in base64, or None if it is not that.

    CloudFront writes base64 with -, _ and ~, and a plus sign that was not percent-encoded has become a space.
    """
    try:
        return base64.b64decode(text.replace(" ", "+").translate(_ALPHABET), validate=True)
    except (binascii.Error, ValueError):
        return None


def policy_of(text: str) -> Policy | None:
    """Return the policy that the parameter Policy holds; None if it holds none.

    >>> policy_of("e30_") is None
    True
    """
    try:
        document = json.loads(decoded(text) or b"")
        condition = document["Statement"][0]["Condition"]
        if not isinstance(condition, dict):
            return None
        return Policy(
            _moment(condition, "DateGreaterThan"), _moment(condition, "DateLessThan"), "IpAddress" in condition
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _moment(condition: dict[str, Any], name: str) -> datetime | None:
    seconds = condition.get(name, {}).get("AWS:EpochTime") if isinstance(condition.get(name, {}), dict) else None
    if not isinstance(seconds, int):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
