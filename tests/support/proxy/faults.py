"""Rules that break the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddling import cut_response

if TYPE_CHECKING:
    from mitmproxy import http


class CutEvery:
    """Every answer's connection ends after `after` bytes of its body."""

    def __init__(self, after: int, *, reset: bool = False) -> None:
        self.after = after
        self.reset = reset

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Cut it, if it is as long as that."""
        cut_response(flow, self.after, reset=self.reset)
