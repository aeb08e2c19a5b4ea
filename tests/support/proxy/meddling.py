"""What rules need besides mitmproxy's hooks: to end a connection in the middle of a body, and to answer by themselves."""

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

__all__ = ["cut_connection", "cut_response", "put_body", "say"]


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


def put_body(response: http.Response, body: bytes) -> None:
    """Put another body into an answer, and say how long it is."""
    response.headers.pop("Transfer-Encoding", None)
    response.headers["Content-Length"] = str(len(body))
    response.raw_content = body


async def say(flow: http.HTTPFlow, answer: bytes, *, for_ever: bytes = b"", last: bool = True) -> None:
    """Answer with these very bytes, and end the connection: mitmproxy's own answers are well-formed.

    Args:
        flow: what is answered.
        answer: status line, headers, body.
        for_ever: bytes that follow again and again, until the client has enough.
        last: whether the connection ends; if not, what mitmproxy would have answered follows.
    """
    (handler,) = (
        one for one in ctx.master.addons.get("proxyserver").connections.values() if one.client is flow.client_conn
    )
    writer = handler.transports[flow.client_conn].writer
    with contextlib.suppress(OSError):  # the client has hung up
        writer.write(answer)
        await writer.drain()
        while for_ever and not writer.is_closing():
            writer.write(for_ever)
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
