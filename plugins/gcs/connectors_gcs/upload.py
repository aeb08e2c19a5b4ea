"""A resumable upload: sends an object in chunks that stay invisible until the last one arrives.

Cloud Storage documentation, "Resumable uploads" and "Perform resumable uploads".
"""

from __future__ import annotations

import base64
import hashlib
import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from connectors.errors import StorageUnavailable
from connectors.secrets import SecretText
from connectors.storage import Failure, Request, Unsigned
from connectors_gcs.api import DONE, GONE, GcsApi

if TYPE_CHECKING:
    from connectors.storage import Action, Headers, Reply

__all__ = ["UNFINISHED", "Upload", "md5_of"]

UNFINISHED = 308
"""The status of an upload that expects more bytes; elsewhere in HTTP, a redirect."""
_CANCELLED = 499
"""The status of a cancelled upload."""

_TARGET = re.compile(r"/[!$%&'()*+,.0-9:;=@A-Z_a-z~-][!$%&'()*+,./0-9:;=?@A-Z_a-z~-]{0,8000}")
_ARRIVED = re.compile(r"bytes=0-([0-9]{1,15})", re.ASCII)


class Upload(GcsApi):
    """One resumable upload. Its URL is secret, because anyone who knows it can write to the upload; no token is sent.

    Args:
        store: the store in which the upload was opened.
        path: ``bucket/key``.
        opened: the headers of the response that opened it.

    Attributes:
        size: the bytes that have arrived in whole chunks.

    Raises:
        StorageUnavailable: the response holds no usable URL.
    """

    def __init__(self, store: GcsApi, path: str, opened: Headers) -> None:
        super().__init__(store.client, Unsigned(), store.origin)
        self.size = 0
        self._path = path
        self._target = SecretText(_target(opened.get("Location", "")))
        self._digest = hashlib.md5(usedforsecurity=False)
        self._number = 0
        self._finished = False
        if not self._target.reveal():
            raise self.invalid(path, "returned no usable URL for the upload")

    @property
    def md5(self) -> str:
        """The MD5 of these bytes, as Google writes it."""
        return md5_of(self._digest.digest())

    def send_chunk(self, number: int, chunk: memoryview, *, last: bool) -> Reply:
        """Send a chunk; after an interruption, resume where the upload stopped.

        Args:
            number: its number; a chunk may be sent again if that failed.
            chunk: its bytes.
            last: whether it is the last one. It carries the size and the MD5 of all bytes, which the storage checks.

        Returns:
            The response: it has the finished object's metadata, or the status `UNFINISHED`.

        Raises:
            StorageUnavailable: the bytes did not arrive.
        """
        start, end = self.size, self.size + chunk.nbytes
        digest = self._digest.copy()
        digest.update(chunk)
        md5 = md5_of(digest.digest()) if last else None
        position, asking, policy = start, number == self._number, self.retry_policy()
        self._number = number
        while True:
            outcome = self._put(position, None if asking else chunk[position - start :], end, md5)
            if isinstance(outcome, Failure):
                self.wait(outcome, policy)
                asking = True  # ask how many bytes have arrived
                continue
            arrived = _arrived(outcome.headers)
            if outcome.status != UNFINISHED or (arrived == end and not last):
                self.size, self._digest, self._finished = end, digest, outcome.status != UNFINISHED
                return outcome
            if not start <= arrived <= end:
                message = f"{self.name} lost part of the upload of {self.shown(self._path)}; write it again"
                raise StorageUnavailable(message)
            if arrived <= position and not asking:
                message = f"{self.name} accepts no more bytes of {self.shown(self._path)}; try again later"
                policy.wait(StorageUnavailable(message))
            policy.received(max(0, arrived - position))
            position, asking = arrived, False

    def _put(self, position: int, data: memoryview | None, end: int, md5: str | None) -> Reply | Failure:
        """Send `data` for `position`; without any, ask how many bytes have arrived, or finish the upload."""
        span = f"{position}-{end - 1}" if data else "*"
        headers = {"Content-Range": f"bytes {span}/{'*' if md5 is None else end}"}
        if md5 is not None:
            headers["X-Goog-Hash"] = f"md5={md5}"
        request = Request("PUT", self.origin, self._target, headers, data or b"")
        return self.attempt(request, self._path, "write", accept=DONE | {UNFINISHED})

    def cancel(self) -> None:
        """Cancel the upload, unless it is finished."""
        if not self._finished:
            request = Request("DELETE", self.origin, self._target)
            self.call(request, self._path, "write", accept=GONE | {_CANCELLED})

    def refusal(self, status: int, code: str, path: str, action: Action, headers: Headers | None = None) -> Failure:
        """Return the failure that an error response means: here, what is missing is the upload."""
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            said = f"{status} {code}".strip()
            message = f"the upload of {self.shown(path)} was cancelled or has expired ({said}); write it again"
            return Failure(StorageUnavailable(message), status=status, code=code)
        return super().refusal(status, code, path, action, headers)


def md5_of(digest: bytes) -> str:
    """Return an MD5 as Google writes it."""
    return base64.b64encode(digest).decode()


def _target(url: str) -> str:
    """Return the path and query of the upload's URL, or an empty string if it is unusable.

    Its host is ignored: the sealed bytes go only to the host that the document names.
    """
    try:
        place = urlsplit(url)
    except ValueError:
        return ""
    target = urlunsplit(("", "", place.path, place.query, ""))
    return target if _TARGET.fullmatch(target) else ""


def _arrived(headers: Headers) -> int:
    """Return how many bytes have arrived according to a response, or -1 if it is invalid."""
    text = headers.get("Range")
    match = _ARRIVED.fullmatch(text or "")
    return int(match[1]) + 1 if match else 0 if text is None else -1
