"""The states of a request: pending, approved, declined, expired or revoked, and by whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["State", "Status"]

State = Literal["pending", "approved", "declined", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a request, and the parties that brought it there.

    Attributes:
        state: one of `State`.
        approved: the parties that have approved, by digest.
        missing: those that have not decided yet.
        against: who has declined or revoked, and why.
        late: those that approved after it had expired.
    """

    state: State
    approved: frozenset[str]
    missing: frozenset[str]
    against: dict[str, str] = field(default_factory=dict)
    late: frozenset[str] = frozenset()
