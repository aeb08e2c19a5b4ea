"""What tells versions of an object apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Version"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object.

    Attributes:
        size: its bytes.
        validator: the store's name for it.
        modified: the Last-Modified header.
        properties: what the store keeps with it for its writer; None if the store keeps none.
    """

    size: int
    validator: str
    modified: str = ""
    properties: Mapping[str, str] | None = field(default=None, compare=False)
