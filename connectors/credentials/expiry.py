"""Expiry times of credentials, shared by several backends."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

__all__ = ["sas_expiry"]


def sas_expiry(query: str) -> datetime | None:
    """Return when a shared access signature (SAS) of Azure expires, in UTC; None if it has no expiry.

    Args:
        query: the SAS, which is the query of a URL, with or without its question mark.

    >>> sas_expiry("sv=2024-11-04&se=2026-01-02T03%3A04Z&sig=0")
    datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
    """
    members: dict[str, str] = {}
    for name, value in parse_qsl(query.removeprefix("?")):
        members.setdefault(name.lower(), value)
    # `ske` ends the user delegation key that a SAS may be signed with.
    ends = [end for end in map(_utc, (members.get("se", ""), members.get("ske", ""))) if end is not None]
    return min(ends, default=None)


def _utc(text: str) -> datetime | None:
    try:
        # A plus sign that was not percent-encoded has become a space.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
