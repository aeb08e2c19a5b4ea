"""The status of a request: pending, approved, declined, expired or revoked, and by which parties."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["State", "Status"]

State = Literal["pending", "approved", "declined", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a request, and the parties behind it.

    Attributes:
        state: one of `State`.
        approved: the digests of the parties that have approved.
        missing: the digests of those that have not decided yet.
        against: the digests of those that declined or revoked, with their reasons.
        late: the digests of those that approved after the request had expired.
    """

    state: State
    approved: frozenset[str]
    missing: frozenset[str]
    against: dict[str, str] = field(default_factory=dict)
    late: frozenset[str] = frozenset()
