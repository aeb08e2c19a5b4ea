"""Expiry times of credentials, shared by several backends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.credentials.signed_queries import query_members

__all__ = ["not_yet_valid", "sas_expiry", "sas_start", "utc"]

_SKEW = timedelta(minutes=5)
"""What the clock of the machine that signed may be ahead of this one's."""


def sas_expiry(query: str) -> datetime | None:
    """Return when a shared access signature (SAS) of Azure expires, in UTC; None if it has no expiry.

    Args:
        query: the SAS, which is the query of a URL, with or without its question mark.

    >>> sas_expiry("sv=2024-11-04&se=2026-01-02T03%3A04Z&sig=0")
    datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
    """
    members = query_members(query)
    # `ske` ends the user delegation key that a SAS may be signed with.
    ends = [end for end in map(utc, (members.get("se", ""), members.get("ske", ""))) if end is not None]
    return min(ends, default=None)


def sas_start(query: str) -> datetime | None:
    """Return when a shared access signature becomes valid, in UTC; None if it does not say.

    Args:
        query: the SAS, which is the query of a URL, with or without its question mark.

    >>> sas_start("sv=2024-11-04&st=2026-01-02T03%3A04Z&sig=0")
    datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
    """
    members = query_members(query)
    # `skt` starts the user delegation key that a SAS may be signed with.
    starts = [start for start in map(utc, (members.get("st", ""), members.get("skt", ""))) if start is not None]
    return max(starts, default=None)


def not_yet_valid(starts_at: datetime | None) -> str | None:
    """Return a sentence about a signature that is not valid yet, or None if it is, or if clocks may differ so much."""
    if starts_at is None or starts_at <= datetime.now(UTC) + _SKEW:
        return None
    return f"it is not valid before {starts_at:%Y-%m-%d %H:%M:%S} UTC; wait, or get one that is valid now"


def utc(text: str) -> datetime | None:
    """Return the time that a parameter of a shared access signature gives, in UTC; None if it is not one."""
    try:
        # A plus sign that was not percent-encoded has become a space.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
