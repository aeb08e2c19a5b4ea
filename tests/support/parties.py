"""Three parties and what they own, for tests of workflows: those of the shipped contract."""

from __future__ import annotations

from connectors.testing.parties import (
    MEASUREMENT,
    NOW,
    Person,
    Story,
    approved,
    bundle_of,
    decided,
    edge,
    person,
    requested,
    story,
    submitted,
)

__all__ = [
    "MEASUREMENT",
    "NOW",
    "Person",
    "Story",
    "approved",
    "bundle_of",
    "decided",
    "edge",
    "person",
    "requested",
    "story",
    "submitted",
]
