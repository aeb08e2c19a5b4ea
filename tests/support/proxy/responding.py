"""Helpers of the rules: end a connection in the middle of a body, and send a response without mitmproxy."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

from mitmproxy import ctx

if TYPE_CHECKING:
    from collections.abc import Callable

    from mitmproxy import http

__all__ = ["cut_connection", "cut_response", "put_body", "send"]


def cut_connection(flow: http.HTTPFlow, *, reset: bool = False) -> None:
    """End the connection to the client after all buffered bytes were sent; a reset drops them."""
    for handler in ctx.master.addons.get("proxyserver").connections.values():
        writer = handler.client is flow.client_conn and handler.transports[flow.client_conn].writer
        if writer:
            if reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            asyncio.get_running_loop().call_soon(writer.transport.abort if reset else writer.close)


def cut_response(flow: http.HTTPFlow, after: int, *, reset: bool = False) -> None:
    """Forward `after` bytes of the response's body, and end the connection; call it from `responseheaders`."""
    flow.response.stream = _cutting(after, lambda: cut_connection(flow, reset=reset))


def put_body(response: http.Response, body: bytes) -> None:
    """Set the body of a response, and its Content-Length."""
    response.headers.pop("Transfer-Encoding", None)
    response.headers["Content-Length"] = str(len(body))
    response.raw_content = body


async def send(flow: http.HTTPFlow, response: bytes, *, endless: bytes = b"", last: bool = True) -> None:
    """Send exactly these bytes, and end the connection: mitmproxy itself sends only well-formed responses.

    Args:
        flow: the request.
        response: status line, headers, body.
        endless: bytes that are sent again and again, until the client closes the connection.
        last: whether the connection ends; if not, mitmproxy's response follows.
    """
    (handler,) = (
        one for one in ctx.master.addons.get("proxyserver").connections.values() if one.client is flow.client_conn
    )
    writer = handler.transports[flow.client_conn].writer
    with contextlib.suppress(OSError):  # the client closed the connection
        writer.write(response)
        await writer.drain()
        while endless and not writer.is_closing():
            writer.write(endless)
            await writer.drain()
    if last:
        flow.kill()


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
