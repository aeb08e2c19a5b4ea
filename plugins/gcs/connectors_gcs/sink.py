"""An object in the making: nothing of it can be seen until it is committed.

A small object is one upload. A larger one goes to a resumable session, in chunks, and is nobody's until the last of
them; a session that cannot be finished is cancelled.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    CredentialsExpired,
    NotAnObject,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors_gcs.location import shown, split_path
from connectors_gcs.session import CHUNK_UNIT, CONTENT_TYPE, DONE, GONE, UNFINISHED, Session

if TYPE_CHECKING:
    from connectors_gcs.client import Answer, Client

__all__ = ["CHUNK_SIZE", "CHUNK_UNIT", "MAX_SIZE", "GcsSink"]

_LOG = logging.getLogger(__name__)

CHUNK_SIZE = 1 << 24
"""Bytes in a chunk; one is held in memory. Any number of them makes an object, so they need not grow."""
MAX_SIZE = 5 << 40
"""Bytes in the largest object: Cloud Storage documentation, "Quotas & limits", "Objects"."""


class GcsSink:
    """One object in the making.

    Args:
        client: requests of an account.
        path: ``bucket/key``.
        exclusive: refuse to replace an object, also one that appears while this one is being written.
        chunk_size: bytes in a chunk, a multiple of `CHUNK_UNIT`.

    Raises:
        ObjectExists: exclusive, and there is one.
        NotAnObject: the path names a bucket or a folder.
    """

    def __init__(self, client: Client, path: str, *, exclusive: bool = False, chunk_size: int = CHUNK_SIZE) -> None:
        self._client = client
        self._path = path
        # No generation at all is what an object that does not exist has.
        self._generation = 0 if exclusive else None
        self._chunk_size = chunk_size
        self._pending = bytearray()
        self._size = 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self._session: Session | None = None
        self._state = "open"
        self._key = split_path(path)[1]
        if not self._key or self._key.endswith("/"):
            message = f"{shown(path)} is a bucket or a folder; name an object in it"
            raise NotAnObject(message)
        if exclusive:
            self._check_absent()

    def _check_absent(self) -> None:
        """Fail now rather than after all has been sent; the condition on commit is what decides."""
        try:
            self._stored()
        except CredentialsExpired:
            raise
        except (ObjectNotFound, AccessDenied):
            return  # writing does not take the permission to look
        raise self._exists()

    def _exists(self) -> ObjectExists:
        return ObjectExists(f"{shown(self._path)} exists already, and it was to be created")

    def _check_size(self) -> None:
        if self._size > MAX_SIZE:
            message = f"{shown(self._path)} is too large: an object has {MAX_SIZE} bytes at most; nothing was written"
            raise StorageError(message)

    def _stored(self) -> Answer:
        """Return what is told of the object that stands there."""
        target = self._client.target(self._path, fields="size,md5Hash,generation")
        return self._client.request("GET", target, self._path, "read")

    def write(self, data: memoryview) -> None:
        """Take all of `data`, and send what makes up whole chunks.

        Raises:
            StorageError: Google Cloud Storage did not take a chunk. The upload is cancelled then, and nothing more can
                be written.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            self._digest.update(view)
            self._size += len(view)
            self._check_size()
            while view:
                # One byte more than a chunk has to be there: it shows that the chunk is not the last.
                room = self._chunk_size + 1 - len(self._pending)
                self._pending += view[:room]
                view = view[room:]
                if len(self._pending) > self._chunk_size:
                    self._send_chunk()
        except BaseException:
            self.discard()
            raise

    def commit(self) -> None:
        """Make the object appear, whole, in the place of what stood there.

        Raises:
            ObjectExists: exclusive, and there is one.
            StorageUnavailable: no answer came, or what was stored is not what was sent. Without an answer it is not
                known whether the object appeared; all of it or nothing.
        """
        self._check_open()
        try:
            session = self._session
            answer = session.send(bytes(self._pending), self._md5()) if session else self._upload()
        except BaseException:
            self.discard()
            raise
        self._state = "committed"
        self._pending = bytearray()
        self._check_stored(answer)

    def _upload(self) -> Answer:
        """Upload a small object, with its digest, which the storage checks before the object appears."""
        boundary = secrets.token_hex(16)
        metadata = json.dumps({"name": self._key, "contentType": CONTENT_TYPE, "md5Hash": self._md5()})
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n"
            f"--{boundary}\r\nContent-Type: {CONTENT_TYPE}\r\n\r\n"
        )
        target = self._client.target(
            self._path, upload=True, uploadType="multipart", ifGenerationMatch=self._generation
        )
        answer = self._client.request(
            "POST",
            target,
            self._path,
            "write",
            accept=(*DONE, HTTPStatus.PRECONDITION_FAILED),
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            body=b"".join((head.encode(), self._pending, f"\r\n--{boundary}--".encode())),
        )
        if answer.status != HTTPStatus.PRECONDITION_FAILED:
            return answer
        # What stands there may be what was sent before, and whose answer was lost.
        stored = self._stored() if answer.again else answer
        if (stored.members() or {}).get("md5Hash") != self._md5():
            raise self._exists()
        return stored

    def _md5(self) -> str:
        return base64.b64encode(self._digest.digest()).decode()

    def _send_chunk(self) -> None:
        if self._session is None:
            self._session = Session(self._client, self._path, self._generation)
        with memoryview(self._pending) as pending:
            chunk = bytes(pending[: self._chunk_size])
        answer = self._session.send(chunk)
        if answer.status != UNFINISHED:
            self._remove(answer)
            message = f"Google Cloud Storage took {shown(self._path)} for whole before it was; write it anew"
            raise StorageUnavailable(message)
        del self._pending[: self._chunk_size]

    def _check_stored(self, answer: Answer) -> None:
        """Hold what is told of the stored object against what was sent.

        Raises:
            StorageUnavailable: it is another one. It is removed, and what stood there before is lost.
        """
        stored = answer.members() or {}
        if str(stored.get("size")) == str(self._size) and stored.get("md5Hash") in (None, self._md5()):
            return
        self._remove(answer)
        message = f"Google Cloud Storage stored something else than was sent as {shown(self._path)}; write it anew"
        raise StorageUnavailable(message)

    def _remove(self, answer: Answer) -> None:
        """Remove the object that an answer tells of, and no other."""
        generation = str((answer.members() or {}).get("generation"))
        if not generation.isdecimal():
            return
        target = self._client.target(self._path, generation=generation)
        try:
            self._client.request("DELETE", target, self._path, "write", accept=GONE)
        except ConnectorError as reason:
            _LOG.warning("an object that is not what was written stays behind: %s", reason)

    def discard(self) -> None:
        """Leave what stood there; cancel the upload. Does nothing a second time."""
        if self._state != "open":
            return
        self._state = "discarded"
        self._pending = bytearray()
        if self._session is not None:
            self._session.cancel()

    def _check_open(self) -> None:
        if self._state != "open":
            message = f"{shown(self._path)} was {self._state} already"
            raise StorageUnavailable(message) if self._state == "discarded" else ValueError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)} {self._state}>"
