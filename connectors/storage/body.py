"""An open response with bytes of an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.storage.http.messages import Response

__all__ = ["Body"]


@dataclass(slots=True)
class Body:
    """An open response.

    Attributes:
        response: the response, its body read up to `position`.
        position: the position of its next byte in the object.
        end: the position after its last byte in the object, according to its headers.
        whole: whether it is the whole object.
    """

    response: Response
    position: int
    end: int
    whole: bool
