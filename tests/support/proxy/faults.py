"""Rules that break the network."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from meddling import cut_connection
from mitmproxy import ctx, http
from mitmproxy.net.http.http1 import assemble

if TYPE_CHECKING:
    from collections.abc import Iterable


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


def _raw(response: http.Response) -> bytes:
    """Return an answer as it goes over the wire: its head, and its body of the length that it tells."""
    return bytes(assemble.assemble_response_head(response) + (response.raw_content or b""))


def _writer(flow: http.HTTPFlow) -> Any:
    """Return what writes to the client's connection, past mitmproxy, which is to be held up meanwhile."""
    handlers = ctx.master.addons.get("proxyserver").connections.values()
    (handler,) = (one for one in handlers if one.client is flow.client_conn)
    return handler.transports[flow.client_conn].writer


class _Some:
    """Meddles with so many requests of some methods, and passes the others on.

    Args:
        methods: which ones; those of an upload's end and beginning are often others.
        times: how many; None is all of them.
        target: what must stand in the path and query, too.
    """

    def __init__(self, methods: Iterable[str] = ("GET",), times: int | None = None, target: str = "") -> None:
        self.methods = list(methods)
        self.times = times
        self.target = target
        self.met = 0

    def is_due(self, flow: http.HTTPFlow) -> bool:
        """Tell whether a request is one of them; to be asked once for each."""
        if flow.request.method not in self.methods or self.target not in flow.request.path:
            return False
        self.met += 1
        return self.times is None or self.met <= self.times


class CutAnswers(_Some):
    """Answers end after `after` bytes, counted from the first one of their heads; negative ones from their ends."""

    def __init__(self, after: int, *, reset: bool = False, **some: Any) -> None:
        super().__init__(**some)
        self.after = after
        self.reset = reset

    def response(self, flow: http.HTTPFlow) -> None:
        """Say a part of it."""
        if self.is_due(flow):
            raw = _raw(flow.response)
            flow.metadata["entry"]["answer"] = len(raw)
            flow.intercept()
            _writer(flow).write(raw[: self.after])
            cut_connection(flow, reset=self.reset)


class CutRequests(_Some):
    """Connections end after `after` bytes of a request's body have been passed on; before any of it with 0."""

    def __init__(self, after: int, *, reset: bool = False, **some: Any) -> None:
        super().__init__(**some)
        self.after = after
        self.reset = reset

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Cut it, if it is as long as that."""
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


class Storm(_Some):
    """Requests are answered with a status, and the storage does not hear of them."""

    def __init__(self, status: int, *, headers: dict[str, str] | None = None, body: str = "", **some: Any) -> None:
        super().__init__(**some)
        self.status = status
        self.headers = headers or {}
        self.body = body

    def request(self, flow: http.HTTPFlow) -> None:
        """Answer it."""
        if self.is_due(flow):
            flow.response = http.Response.make(self.status, self.body, self.headers)


class Expired(_Some):
    """Requests in whose headers a text stands are answered as S3 answers to a token that has expired."""

    def __init__(self, text: str = "", **some: Any) -> None:
        super().__init__(**some)
        self.text = text

    def request(self, flow: http.HTTPFlow) -> None:
        """Answer it."""
        if self.text in str(dict(flow.request.headers)) and self.is_due(flow):
            flow.response = http.Response.make(400, "<Error><Code>ExpiredToken</Code></Error>")


class Drip(_Some):
    """After `after` bytes, of which some are its head, an answer goes on byte by byte, and takes longer than anybody has.

    Args:
        after: so many come at once; negative ones are counted from its end.
        every: seconds between two bytes; None is never.
        some: which requests.
    """

    def __init__(self, after: int, every: float | None = None, **some: Any) -> None:
        super().__init__(**some)
        self.after = after
        self.every = every
        self.tasks: set[asyncio.Task[None]] = set()

    def response(self, flow: http.HTTPFlow) -> None:
        """Begin to answer."""
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
