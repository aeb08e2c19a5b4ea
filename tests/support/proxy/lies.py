"""Rules by which the storage lies about one object: about its bytes, and in what it says of them."""

from __future__ import annotations

import gzip
import re
import zlib
from typing import TYPE_CHECKING, Any

import brotli
from meddling import put_body, say

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


class _Chosen:
    """Meddles with some requests only.

    Args:
        method: of which method.
        path: a regular expression that is found in their targets.
        after: so many of them are passed on first.
        times: so many are meddled with; None is all.
    """

    def __init__(self, *, method: str = "GET", path: str = "", after: int = 0, times: int | None = None) -> None:
        self.method = method
        self.path = re.compile(path)
        self.after = after
        self.times = times
        self.met = 0

    def is_due(self, flow: http.HTTPFlow) -> bool:
        """Tell whether a request is one of them; to be asked once for each."""
        if flow.request.method != self.method or not self.path.search(flow.request.path):
            return False
        self.met += 1
        return self.met > self.after and (self.times is None or self.met <= self.after + self.times)


class Serve(_Chosen):
    """Other bytes are served in an object's place, range by range, by a storage that otherwise behaves well.

    Args:
        body: the bytes, as text in Latin-1.
        etag: what they are called; if not given, what the real object is called.
        chosen: which requests.
    """

    def __init__(self, body: str, etag: str | None = None, **chosen: Any) -> None:
        super().__init__(**chosen)
        self.body = body.encode("latin-1")
        self.etag = etag
        self.real = ""

    def response(self, flow: http.HTTPFlow) -> None:
        """Answer as if they were the object."""
        self.real = self.real or flow.response.headers.get("ETag", "")
        etag = self.etag or self.real or '"etag"'
        asked = flow.request.headers.get("x-ms-range") or flow.request.headers.get("Range") or ""
        if not self.is_due(flow):
            return
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
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


class Answer(_Chosen):
    """Something is said in the place of the real answer, byte for byte, and the connection ends.

    Args:
        status: its status; if not given, the real one's.
        headers: what they are, by name; null takes one out; the others are the real ones.
        body: its body, as text in Latin-1; if not given, the real one's.
        keep: from where to where of that is kept.
        repeat: how often that is sent.
        append: what comes after it, as text in Latin-1.
        encode: a content encoding, gzip, deflate or br, in which it is sent.
        fits: Content-Length is that of what is sent; else it is left as it was.
        chunked: sent in chunks, with or without a Content-Length, as `headers` has it.
        raw_headers: lines of the head that are no headers as they should be, as text in Latin-1.
        for_ever: what follows again and again, as text in Latin-1.
        unended: there is no end of the head, and so no body.
        unheard: the real storage is not asked at all.
        again: the real answer follows, on the same connection, as if to the next request.
        chosen: which requests.
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
        for_ever: str = "",
        unended: bool = False,
        unheard: bool = False,
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
        self.for_ever = for_ever
        self.unended = unended
        self.unheard = unheard
        self.again = again

    async def request(self, flow: http.HTTPFlow) -> None:
        """Say it at once, if the storage is not to be asked."""
        if self.unheard and self.is_due(flow):
            await self._say(flow, 200, [], b"")

    async def response(self, flow: http.HTTPFlow) -> None:
        """Say it instead of what the storage said."""
        if not self.unheard and self.is_due(flow):
            real = flow.response
            fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in real.headers.fields]
            await self._say(flow, real.status_code, fields, real.raw_content or b"")

    async def _say(self, flow: http.HTTPFlow, status: int, fields: list[tuple[str, str]], real: bytes) -> None:
        body = real if self.body is None else self.body.encode("latin-1")
        body = _encoded(self.encode, body[self.keep] * self.repeat + self.append.encode("latin-1"))
        said = {name.lower(): value for name, value in self.headers.items()}
        if self.encode:
            said.setdefault("content-encoding", self.encode)
        if self.chunked:
            said.setdefault("transfer-encoding", "chunked")
            said.setdefault("content-length", None)
        elif self.fits:
            said.setdefault("content-length", str(len(body)))
        head = f"HTTP/1.1 {self.status or status} Statement\r\n"
        kept = [(name, value) for name, value in fields if name.lower() not in {*said, "transfer-encoding"}]
        for name, value in [*kept, *said.items()]:
            head += "" if value is None else f"{name}: {value}\r\n"
        for_ever = self.for_ever.encode("latin-1")
        if self.chunked:
            body = _chunk(body) + (b"" if for_ever else b"0\r\n\r\n")
            for_ever = for_ever and _chunk(for_ever)
        head += self.raw_headers + ("" if self.again else "Connection: close\r\n")
        whole = head.encode("latin-1")
        if not self.unended:
            whole += b"\r\n" + (b"" if flow.request.method == "HEAD" else body)
        await say(flow, whole, for_ever=for_ever, last=not self.again)


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
