"""Reads what the query of a signed URL says about its signature: the vendor, the expiry, the headers, the conditions.

`diagnosis` finds what is missing or contradictory, and `conditions` what a request must meet.

Facts from the vendors' references: AWS "Authenticating Requests: Using Query Parameters" (Signature Version 4, and the
older Version 2), CloudFront "Use signed URLs", Azure "Create a service SAS", Google Cloud Storage "Signed URLs" (V4 and
V2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from connectors.storage import not_yet_valid, query_members, sas_expiry, sas_start
from connectors_https.conditions import (
    Condition,
    conditions_of,
    headers_of,
    hints_of,
    obstacle,
    unknown_headers,
)
from connectors_https.diagnosis import form_of, problems_of
from connectors_https.policy import policy_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Flavour", "Signature", "expiry"]

Flavour = Literal["s3", "azure", "gcs", "plain"]
"""The vendor whose rules a signed URL follows; ``plain`` is a URL without a signature of a known kind."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
_ENCODINGS = frozenset({"response-content-encoding", "rsce"})
_HEADER_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a query says about its own signature; none of it is secret.

    Attributes:
        flavour: the vendor.
        expires_at: when the signature expires, in UTC, or None if the query does not say. It can expire earlier: with
            the session that signed it, or the policy that it refers to.
        signed_headers: the lower-case names of the request headers that it covers, which must be sent as signed.
        starts_at: when the signature becomes valid, in UTC, or None if the query does not say.
        problems: what is missing or contradictory, and what to do, in sentences; empty if nothing is.
        conditions: what the query demands of a request.
        sent_headers: the names and values of headers that a write must send because the query gives them.
        hints: what may explain a refusal: the method, or an empty string for any, and a sentence.
        renames_encoding: whether the query overrides the Content-Encoding of responses, which then says nothing.
    """

    flavour: Flavour = "plain"
    expires_at: datetime | None = None
    signed_headers: frozenset[str] = frozenset()
    starts_at: datetime | None = None
    problems: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    sent_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    hints: tuple[tuple[str, str], ...] = ()
    renames_encoding: bool = False

    @classmethod
    def of(cls, query: str | None, location: str | None = None) -> Signature:
        """Return what `query` says about its signature; the defaults if there is no signature or no query.

        Args:
            query: the query, or None.
            location: the URL that it is for, if known; `problems` then also says how the two contradict each other.

        >>> Signature.of("X-Goog-Date=20260102T030405Z&X-Goog-Expires=60&X-Goog-Signature=0a").flavour
        'gcs'
        """
        query = query or ""
        members = query_members(query)
        flavour, form = _flavour(members), form_of(query)
        starts, ends = _starts_and_ends(query, flavour, members)
        headers = _signed_headers(members)
        conditions = conditions_of(form, members, headers)
        policy = policy_of(members.get("policy", "")) if form == "cloudfront" else None
        addresses = policy is not None and policy.addresses
        found = [*problems_of(query, location), obstacle(conditions), unknown_headers(headers)]
        return cls(
            flavour,
            ends,
            headers,
            starts_at=starts,
            problems=tuple(one for one in found if one),
            conditions=conditions,
            sent_headers=headers_of(form, conditions),
            hints=tuple(hints_of(form, members, headers, addresses=addresses)),
            renames_encoding=form is not None and not members.keys().isdisjoint(_ENCODINGS),
        )

    def obstacle(self, *, writing: bool) -> str | None:
        """Return why no sealed object can be read, or written, with this query, whatever the storage says; or None."""
        return obstacle(self.conditions, writing=writing)

    def explanation(self, method: str) -> str:
        """Return what may explain that the storage refuses a request, to be added to an error; empty if nothing does.

        >>> Signature.of("sv=2024-11-04&sr=b&sp=r&se=2099-01-02").explanation("GET")
        '; the query: sig, the signature, is missing; copy the URL again, to its end'
        """
        said = [*self.problems, *(hint for of, hint in self.hints if of in ("", method))]
        early = not_yet_valid(self.starts_at)
        said += [early] if early else []
        return f"; the query: {'; '.join(said)}" if said else ""


def expiry(query: str) -> datetime | None:
    """Return when a signed URL's query expires, in UTC, or None if it does not say.

    >>> expiry("X-Amz-Date=20260102T030405Z&X-Amz-Expires=3600&X-Amz-Signature=0a")
    datetime.datetime(2026, 1, 2, 4, 4, 5, tzinfo=datetime.timezone.utc)
    >>> expiry("sv=2024-11-04&se=2026-01-02T03%3A04Z&sig=0a")
    datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
    """
    return Signature.of(query).expires_at


def _starts_and_ends(
    query: str, flavour: Flavour, members: Mapping[str, str]
) -> tuple[datetime | None, datetime | None]:
    if flavour == "azure":
        return sas_start(query), sas_expiry(query)
    policy = policy_of(members["policy"]) if "policy" in members and "signature" in members else None
    if policy is not None and flavour == "plain":
        return policy.starts_at, policy.expires_at
    vendor = {"s3": "x-amz", "gcs": "x-goog"}.get(flavour)
    starts = _basic_iso(members.get(f"{vendor}-date", ""))
    if f"{vendor}-date" in members:
        return starts, _after(starts, members.get(f"{vendor}-expires"))
    # S3 and GCS version 2, and CloudFront: seconds since 1970.
    return starts, _after(_EPOCH, members.get("expires") if "signature" in members else None)


def _flavour(members: Mapping[str, str]) -> Flavour:
    if "x-amz-signature" in members or {"awsaccesskeyid", "signature"} <= members.keys():
        return "s3"
    if "x-goog-signature" in members or {"googleaccessid", "signature"} <= members.keys():
        return "gcs"
    return "azure" if {"sig", "sv"} <= members.keys() else "plain"


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
