"""Reads who registered an entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["owner_of"]


def owner_of(point: EntryPoint) -> tuple[str, str]:
    """Return the name and version of the distribution that registered `point`; its metadata may be damaged."""
    if point.dist is None:
        return "(unknown)", ""
    try:
        metadata = point.dist.metadata
        return str(metadata["Name"] or "(unnamed)"), str(metadata["Version"] or "")
    except (OSError, LookupError, TypeError, ValueError):
        return "(damaged metadata)", ""
