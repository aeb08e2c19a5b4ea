"""Rules that make the storage lie about one object: about its bytes and its metadata."""

from __future__ import annotations

import gzip
import re
import zlib
from typing import TYPE_CHECKING, Any

import brotli
from responding import put_body, send

if TYPE_CHECKING:
    from mitmproxy import http


class Flip:
    """One byte of every response's body is changed.

    Args:
        offset: which byte of the body; a negative number counts from the end.
        mask: the bits to flip.
    """

    def __init__(self, offset: int, mask: int) -> None:
        self.offset = offset
        self.mask = mask

    def response(self, flow: http.HTTPFlow) -> None:
        """Change the byte, if the body is long enough."""
        body = bytearray(flow.response.raw_content or b"")
        if body and -len(body) <= self.offset < len(body):
            body[self.offset] ^= self.mask
            flow.response.raw_content = bytes(body)


class _Chosen:
    """Selects some requests; the others are forwarded.

    Args:
        method: their method.
        path: a regular expression to search in their targets.
        after: how many of them are forwarded first.
        times: how many are selected; None selects all.
    """

    def __init__(self, *, method: str = "GET", path: str = "", after: int = 0, times: int | None = None) -> None:
        self.method = method
        self.path = re.compile(path)
        self.after = after
        self.times = times
        self.met = 0

    def is_due(self, flow: http.HTTPFlow) -> bool:
        """Tell whether a request is selected; call it once for each request."""
        if flow.request.method != self.method or not self.path.search(flow.request.path):
            return False
        self.met += 1
        return self.met > self.after and (self.times is None or self.met <= self.after + self.times)


class Serve(_Chosen):
    """Other bytes are served instead of an object, range by range, by an otherwise correct storage.

    Args:
        body: the bytes, as text in Latin-1.
        etag: their ETag; by default, that of the real object.
        chosen: which requests, as in `_Chosen`.
    """

    def __init__(self, body: str, etag: str | None = None, **chosen: Any) -> None:
        super().__init__(**chosen)
        self.body = body.encode("latin-1")
        self.etag = etag
        self.real = ""

    def response(self, flow: http.HTTPFlow) -> None:
        """Respond as if the bytes were the object."""
        self.real = self.real or flow.response.headers.get("ETag", "")
        etag = self.etag or self.real or '"etag"'
        requested = flow.request.headers.get("x-ms-range") or flow.request.headers.get("Range") or ""
        if not self.is_due(flow):
            return
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", requested)
        headers = flow.response.headers
        headers["ETag"] = etag
        for name in ("Content-MD5", "x-ms-blob-content-md5", "x-ms-error-code", "Content-Range"):
            headers.pop(name, None)
        start, stop = (int(span[1]), min(int(span[2]) + 1, len(self.body))) if span else (0, len(self.body))
        if span and start >= len(self.body):
            flow.response.status_code = 416
            headers["Content-Range"] = f"bytes */{len(self.body)}"
            put_body(flow.response, b"<Error><Code>InvalidRange</Code></Error>")
            headers["x-ms-error-code"] = "InvalidRange"
            return
        flow.response.status_code = 206 if span else 200
        if span:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(self.body)}"
        put_body(flow.response, self.body[start:stop])


class Respond(_Chosen):
    """Other bytes are sent instead of the real response, and the connection ends.

    Args:
        status: the status; by default, the real one.
        headers: headers to set, by name; null removes one; the others are the real ones.
        body: the body, as text in Latin-1; by default, the real one.
        keep: the start and stop of the part of the body that is kept.
        repeat: how often that part is sent.
        append: bytes that follow it, as text in Latin-1.
        encode: the content encoding of the body: gzip, deflate or br.
        fits: whether Content-Length is set to the length of the body that is sent; otherwise it is unchanged.
        chunked: whether the body is sent in chunks; with a Content-Length only if `headers` has one.
        raw_headers: more header lines, possibly malformed, as text in Latin-1.
        endless: bytes that are sent again and again after that, as text in Latin-1.
        unended: whether the headers do not end, so that there is no body.
        without_upstream: whether the request does not reach the real storage.
        again: whether the real response follows on the same connection, as if to the next request.
        chosen: which requests, as in `_Chosen`.
    """

    def __init__(
        self,
        *,
        status: int | None = None,
        headers: dict[str, str | None] | None = None,
        body: str | None = None,
        keep: tuple[int | None, int | None] = (None, None),
        repeat: int = 1,
        append: str = "",
        encode: str | None = None,
        fits: bool = True,
        chunked: bool = False,
        raw_headers: str = "",
        endless: str = "",
        unended: bool = False,
        without_upstream: bool = False,
        again: bool = False,
        **chosen: Any,
    ) -> None:
        super().__init__(**chosen)
        self.status = status
        self.headers = headers or {}
        self.body = body
        self.keep = slice(*keep)
        self.repeat = repeat
        self.append = append
        self.encode = encode
        self.fits = fits
        self.chunked = chunked
        self.raw_headers = raw_headers
        self.endless = endless
        self.unended = unended
        self.without_upstream = without_upstream
        self.again = again

    async def request(self, flow: http.HTTPFlow) -> None:
        """Send it at once, if the storage must not get the request."""
        if self.without_upstream and self.is_due(flow):
            await self._send(flow, 200, [], b"")

    async def response(self, flow: http.HTTPFlow) -> None:
        """Send it instead of the storage's response."""
        if not self.without_upstream and self.is_due(flow):
            real = flow.response
            fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in real.headers.fields]
            await self._send(flow, real.status_code, fields, real.raw_content or b"")

    async def _send(self, flow: http.HTTPFlow, status: int, fields: list[tuple[str, str]], real: bytes) -> None:
        body = real if self.body is None else self.body.encode("latin-1")
        body = _encoded(self.encode, body[self.keep] * self.repeat + self.append.encode("latin-1"))
        changed = {name.lower(): value for name, value in self.headers.items()}
        if self.encode:
            changed.setdefault("content-encoding", self.encode)
        if self.chunked:
            changed.setdefault("transfer-encoding", "chunked")
            changed.setdefault("content-length", None)
        elif self.fits:
            changed.setdefault("content-length", str(len(body)))
        head = f"HTTP/1.1 {self.status or status} Statement\r\n"
        kept = [(name, value) for name, value in fields if name.lower() not in {*changed, "transfer-encoding"}]
        for name, value in [*kept, *changed.items()]:
            head += "" if value is None else f"{name}: {value}\r\n"
        endless = self.endless.encode("latin-1")
        if self.chunked:
            body = _chunk(body) + (b"" if endless else b"0\r\n\r\n")
            endless = endless and _chunk(endless)
        head += self.raw_headers + ("" if self.again else "Connection: close\r\n")
        whole = head.encode("latin-1")
        if not self.unended:
            whole += b"\r\n" + (b"" if flow.request.method == "HEAD" else body)
        await send(flow, whole, endless=endless, last=not self.again)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def _encoded(how: str | None, data: bytes) -> bytes:
    match how:
        case "gzip":
            return gzip.compress(data, mtime=0)
        case "deflate":
            return zlib.compress(data)
        case "br":
            return brotli.compress(data)
        case _:
            return data
