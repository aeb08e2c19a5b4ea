"""Rules that break the network."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from meddling import cut_connection

if TYPE_CHECKING:
    from mitmproxy import http


def _cut(flow: http.HTTPFlow, after: int, *, reset: bool) -> None:
    """Pass on `after` bytes of the answer's body, and end the connection; the log tells what was passed on."""
    entry = flow.metadata["entry"]
    entry["passed"] = 0

    def stream(data: bytes) -> bytes:
        passed = data[: max(0, after - entry["passed"])]
        entry["passed"] += len(passed)
        if data and entry["passed"] == after and "cut" not in entry:
            entry["cut"] = True
            cut_connection(flow, reset=reset)
        return passed

    flow.response.stream = stream


class CutEvery:
    """Every answer's connection ends after `after` bytes of its body."""

    def __init__(self, after: int, *, reset: bool = False) -> None:
        self.after = after
        self.reset = reset

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Cut it, if it is as long as that."""
        _cut(flow, self.after, reset=self.reset)


class CutConnections:
    """Every connection ends after `after` bytes of answers' bodies, however many these are."""

    def __init__(self, after: int, *, reset: bool = False) -> None:
        self.after = after
        self.reset = reset
        self.promised: Counter[str] = Counter()

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Cut it, if that is reached with this answer."""
        connection = flow.client_conn.id
        _cut(flow, self.after - self.promised[connection], reset=self.reset)
        self.promised[connection] += int(flow.response.headers.get("Content-Length", 0))
