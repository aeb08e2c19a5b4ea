"""Rules that break the network."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from mitmproxy import ctx, http
from mitmproxy.net.http.http1 import assemble
from responding import cut_connection

if TYPE_CHECKING:
    from collections.abc import Iterable


def _cut(flow: http.HTTPFlow, after: int, *, reset: bool) -> None:
    """Forward `after` bytes of the response's body, and end the connection; the log has the number of forwarded bytes."""
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
    """The connection ends after `after` bytes of every response's body."""

    def __init__(self, after: int, *, reset: bool = False) -> None:
        self.after = after
        self.reset = reset

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Cut the connection, if the body is that long."""
        _cut(flow, self.after, reset=self.reset)


class CutConnections:
    """Every connection ends after `after` bytes of response bodies in total."""

    def __init__(self, after: int, *, reset: bool = False) -> None:
        self.after = after
        self.reset = reset
        self.promised: Counter[str] = Counter()

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Cut the connection, if this response reaches the limit."""
        connection = flow.client_conn.id
        _cut(flow, self.after - self.promised[connection], reset=self.reset)
        self.promised[connection] += int(flow.response.headers.get("Content-Length", 0))


def _raw(response: http.Response) -> bytes:
    """Return a response as it is sent: its headers, and its body with the declared length."""
    return bytes(assemble.assemble_response_head(response) + (response.raw_content or b""))


def _writer(flow: http.HTTPFlow) -> Any:
    """Return the writer of the client's connection, to bypass mitmproxy, which must be paused meanwhile."""
    handlers = ctx.master.addons.get("proxyserver").connections.values()
    (handler,) = (one for one in handlers if one.client is flow.client_conn)
    return handler.transports[flow.client_conn].writer


class _Some:
    """Selects some requests of some methods; the others are forwarded.

    Args:
        methods: which methods; an upload often starts and ends with other ones.
        times: how many requests; None selects all.
        target: a text that the path and query must contain.
    """

    def __init__(self, methods: Iterable[str] = ("GET",), times: int | None = None, target: str = "") -> None:
        self.methods = list(methods)
        self.times = times
        self.target = target
        self.met = 0

    def is_due(self, flow: http.HTTPFlow) -> bool:
        """Tell whether a request is selected; call it once for each request."""
        if flow.request.method not in self.methods or self.target not in flow.request.path:
            return False
        self.met += 1
        return self.times is None or self.met <= self.times


class CutResponses(_Some):
    """Responses end after `after` bytes, headers included; a negative number counts from the end."""

    def __init__(self, after: int, *, reset: bool = False, **some: Any) -> None:
        super().__init__(**some)
        self.after = after
        self.reset = reset

    def response(self, flow: http.HTTPFlow) -> None:
        """Send a part of the response."""
        if self.is_due(flow):
            raw = _raw(flow.response)
            flow.metadata["entry"]["response_length"] = len(raw)
            flow.intercept()
            _writer(flow).write(raw[: self.after])
            cut_connection(flow, reset=self.reset)


class CutRequests(_Some):
    """Connections end after `after` bytes of a request's body were forwarded; with 0, before the request."""

    def __init__(self, after: int, *, reset: bool = False, **some: Any) -> None:
        super().__init__(**some)
        self.after = after
        self.reset = reset

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Cut the connection, if the body is that long."""
        if not self.is_due(flow):
            return
        if not self.after:
            flow.intercept()
            cut_connection(flow, reset=self.reset)
            return
        left = self.after

        def stream(data: bytes) -> bytes:
            nonlocal left
            passed = data[: max(0, left)]
            left -= len(data)
            if data and left <= 0 < left + len(data):
                cut_connection(flow, reset=self.reset)
            return passed

        flow.request.stream = stream


class Overload(_Some):
    """Requests get a response with a status, and do not reach the storage."""

    def __init__(self, status: int, *, headers: dict[str, str] | None = None, body: str = "", **some: Any) -> None:
        super().__init__(**some)
        self.status = status
        self.headers = headers or {}
        self.body = body

    def request(self, flow: http.HTTPFlow) -> None:
        """Respond to the request."""
        if self.is_due(flow):
            flow.response = http.Response.make(self.status, self.body, self.headers)


class Expired(_Some):
    """Requests whose headers contain a text get S3's response to an expired token."""

    def __init__(self, text: str = "", **some: Any) -> None:
        super().__init__(**some)
        self.text = text

    def request(self, flow: http.HTTPFlow) -> None:
        """Respond to the request."""
        if self.text in str(dict(flow.request.headers)) and self.is_due(flow):
            flow.response = http.Response.make(400, "<Error><Code>ExpiredToken</Code></Error>")


class Drip(_Some):
    """After `after` bytes, headers included, a response continues byte by byte, or stalls.

    Args:
        after: the number of bytes that are sent at once; a negative number counts from the end.
        every: seconds between two bytes; None stalls.
        some: which requests, as in `_Some`.
    """

    def __init__(self, after: int, every: float | None = None, **some: Any) -> None:
        super().__init__(**some)
        self.after = after
        self.every = every
        self.tasks: set[asyncio.Task[None]] = set()

    def response(self, flow: http.HTTPFlow) -> None:
        """Start the response."""
        if self.is_due(flow):
            raw = _raw(flow.response)
            flow.intercept()
            writer = _writer(flow)
            writer.write(raw[: self.after])
            task = asyncio.ensure_future(self._drip(writer, raw[self.after :]))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _drip(self, writer: Any, rest: bytes) -> None:
        for byte in rest if self.every else b"":
            await asyncio.sleep(self.every)
            if writer.is_closing():
                break
            writer.write(bytes([byte]))
