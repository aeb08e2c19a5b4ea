"""Reads what the query of a signed URL says about its signature: the vendor, the expiry, the signed headers.

Facts from the vendors' references: AWS "Authenticating Requests: Using Query Parameters" (Signature Version 4, and
the older Version 2), Azure "Create a service SAS", Google Cloud Storage "Signed URLs" (V4 and V2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl

from connectors.storage import sas_expiry

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Flavour", "Signature", "expiry"]

Flavour = Literal["s3", "azure", "gcs", "plain"]
"""The vendor whose rules a signed URL follows; ``plain`` is a URL without a signature of a known kind."""

_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
_HEADER_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a query says about its own signature; none of it is secret.

    Attributes:
        flavour: the vendor.
        expires_at: when the signature expires, in UTC, or None if the query does not say. It can expire earlier: with
            the session that signed it, or the policy that it refers to.
        signed_headers: the lower-case names of the request headers that it covers, which must be sent as signed.
    """

    flavour: Flavour = "plain"
    expires_at: datetime | None = None
    signed_headers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, query: str | None) -> Signature:
        """Return what `query` says about its signature; the defaults if there is no signature or no query.

        >>> Signature.of("X-Goog-Date=20260102T030405Z&X-Goog-Expires=60&X-Goog-Signature=0a").flavour
        'gcs'
        """
        members = _members(query or "")
        flavour = _flavour(members)
        ends = sas_expiry(query or "") if flavour == "azure" else _expires_at(flavour, members)
        return cls(flavour, ends, _signed_headers(members))


def expiry(query: str) -> datetime | None:
    """Return when a signed URL's query expires, in UTC, or None if it does not say.

    >>> expiry("X-Amz-Date=20260102T030405Z&X-Amz-Expires=3600&X-Amz-Signature=0a")
    datetime.datetime(2026, 1, 2, 4, 4, 5, tzinfo=datetime.timezone.utc)
    >>> expiry("sv=2024-11-04&se=2026-01-02T03%3A04Z&sig=0a")
    datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
    """
    return Signature.of(query).expires_at


def _members(query: str) -> dict[str, str]:
    """Return the query's parameters by lower-case name; of a repeated name, the first."""
    members: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        members.setdefault(name.lower(), value)
    return members


def _flavour(members: Mapping[str, str]) -> Flavour:
    if "x-amz-signature" in members or {"awsaccesskeyid", "signature"} <= members.keys():
        return "s3"
    if "x-goog-signature" in members or {"googleaccessid", "signature"} <= members.keys():
        return "gcs"
    if {"sig", "sv"} <= members.keys():
        return "azure"
    return "plain"


def _expires_at(flavour: Flavour, members: Mapping[str, str]) -> datetime | None:
    vendor = {"s3": "x-amz", "gcs": "x-goog"}.get(flavour)
    if vendor is not None and f"{vendor}-date" in members:
        return _after(_basic_iso(members[f"{vendor}-date"]), members.get(f"{vendor}-expires"))
    # S3 and GCS version 2, and CloudFront: seconds since 1970.
    if "signature" in members:
        return _after(datetime(1970, 1, 1, tzinfo=UTC), members.get("expires"))
    return None


def _basic_iso(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _after(start: datetime | None, seconds: str | None) -> datetime | None:
    if start is None or seconds is None or not _SECONDS.fullmatch(seconds):
        return None
    try:
        return start + timedelta(seconds=int(seconds))
    except OverflowError:
        return None


def _signed_headers(members: Mapping[str, str]) -> frozenset[str]:
    listed = members.get("x-amz-signedheaders") or members.get("x-goog-signedheaders") or ""
    # An invalid name could not be sent, nor safely shown.
    return frozenset(name for name in listed.lower().split(";") if _HEADER_NAME.fullmatch(name))
