"""Rules by which the storage lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mitmproxy import http


class Flip:
    """One byte of every answer's body is changed.

    Args:
        offset: which byte of the body; counted from its end if negative.
        mask: the bits of it that are flipped.
    """

    def __init__(self, offset: int, mask: int) -> None:
        self.offset = offset
        self.mask = mask

    def response(self, flow: http.HTTPFlow) -> None:
        """Change it, if the body is as long as that."""
        body = bytearray(flow.response.raw_content or b"")
        if body and -len(body) <= self.offset < len(body):
            body[self.offset] ^= self.mask
            flow.response.raw_content = bytes(body)
