"""Loads what distributions have registered under an entry point: a broken one is described, and breaks no other."""

from __future__ import annotations

import functools
import importlib.metadata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

__all__ = ["Registered", "declared", "registered"]


@dataclass(frozen=True, slots=True)
class Registered:
    """What one entry point leads to.

    Attributes:
        name: the entry point's name.
        distribution: the name of the distribution that registered it.
        version: the version of that distribution.
        problem: why it cannot be used, or None.
        value: what was registered; None if it cannot be used.
    """

    name: str
    distribution: str
    version: str
    problem: str | None
    value: Any


def registered(group: str, problem_with: Callable[[Any, EntryPoint], str | None]) -> list[Registered]:
    """Load all entry points of a group.

    Args:
        group: the group.
        problem_with: returns why what was registered cannot be used, or None.
    """
    return [_load(point, problem_with) for point in importlib.metadata.entry_points(group=group)]


def _load(point: EntryPoint, problem_with: Callable[[Any, EntryPoint], str | None]) -> Registered:
    value: Any = None
    try:
        value = point.load()
        problem = problem_with(value, point)
    except Exception as error:  # noqa: BLE001 - a broken plugin must not break the others; its reason is shown
        problem = f"{type(error).__name__}: {error}"
    return Registered(point.name, *_owner(point), problem, value if problem is None else None)


def _owner(point: EntryPoint) -> tuple[str, str]:
    """Return the name and version of the distribution that registered `point`; its metadata may be damaged."""
    if point.dist is None:
        return "(unknown)", ""
    try:
        metadata = point.dist.metadata
        return str(metadata["Name"] or "(unnamed)"), str(metadata["Version"] or "")
    except (OSError, LookupError, TypeError, ValueError):
        return "(damaged metadata)", ""


@functools.cache
def declared(group: str) -> dict[str, str]:
    """Return the names in a group of this project's own metadata, with the extra of each. Nothing is loaded."""
    try:
        points = importlib.metadata.distribution("enclave-connectors").entry_points.select(group=group)
    except importlib.metadata.PackageNotFoundError:
        return {}
    return {point.name: extra for point in points for extra in point.extras}
