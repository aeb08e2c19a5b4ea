"""What rules need besides mitmproxy's hooks: to end a connection in the middle of a body."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from mitmproxy import ctx

if TYPE_CHECKING:
    from collections.abc import Callable

    from mitmproxy import http

__all__ = ["cut_connection", "cut_response"]


def cut_connection(flow: http.HTTPFlow, *, reset: bool = False) -> None:
    """End the connection to the client once what was given to it so far is sent; a reset drops what is not."""
    for handler in ctx.master.addons.get("proxyserver").connections.values():
        writer = handler.client is flow.client_conn and handler.transports[flow.client_conn].writer
        if writer:
            if reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            asyncio.get_running_loop().call_soon(writer.transport.abort if reset else writer.close)


def cut_response(flow: http.HTTPFlow, after: int, *, reset: bool = False) -> None:
    """Pass on `after` bytes of the answer's body, and end the connection; call it from `responseheaders`."""
    flow.response.stream = _cutting(after, lambda: cut_connection(flow, reset=reset))


def _cutting(after: int, cut: Callable[[], None]) -> Callable[[bytes], bytes]:
    left = after

    def stream(data: bytes) -> bytes:
        nonlocal left
        passed = data[: max(left, 0)]
        left -= len(data)
        if left <= 0 < left + len(data):
            cut()
        return passed

    return stream
