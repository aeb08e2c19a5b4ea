"""Writes an object that is invisible until commit.

A small object is uploaded in one request. A larger one is a resumable upload in chunks, which appears with its last
chunk and is cancelled if it cannot be finished.
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
    from connectors_gcs.client import Client, Response

__all__ = ["CHUNK_SIZE", "CHUNK_UNIT", "MAX_SIZE", "GcsSink"]

_LOG = logging.getLogger(__name__)

CHUNK_SIZE = 1 << 24
"""Bytes in a chunk; one is held in memory. An object may have any number of chunks, so they need not grow."""
MAX_SIZE = 5 << 40
"""Bytes in the largest object: Cloud Storage documentation, "Quotas & limits", "Objects"."""


class GcsSink:
    """One object that is being written.

    Args:
        client: the account's client.
        path: ``bucket/key``.
        exclusive: do not replace an object, even one that appears while this one is being written.
        chunk_size: bytes in a chunk, a multiple of `CHUNK_UNIT`.

    Raises:
        ObjectExists: `exclusive`, and the object exists.
        NotAnObject: the path names a bucket or a folder.
    """

    def __init__(self, client: Client, path: str, *, exclusive: bool = False, chunk_size: int = CHUNK_SIZE) -> None:
        self._client = client
        self._path = path
        # An object that does not exist has generation 0.
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
        """Fail before anything is sent; the precondition on commit is what decides."""
        try:
            self._stored()
        except CredentialsExpired:
            raise
        except (ObjectNotFound, AccessDenied):
            return  # writing does not need permission to read
        raise self._exists()

    def _exists(self) -> ObjectExists:
        return ObjectExists(f"{shown(self._path)} already exists, and mode 'xb' does not replace it")

    def _check_size(self) -> None:
        if self._size > MAX_SIZE:
            message = f"{shown(self._path)} is too large: an object has at most {MAX_SIZE} bytes; nothing was written"
            raise StorageError(message)

    def _stored(self) -> Response:
        """Return a response with the metadata of the object that is stored now."""
        target = self._client.target(self._path, fields="size,md5Hash,generation")
        return self._client.request("GET", target, self._path, "read")

    def write(self, data: memoryview) -> None:
        """Take all of `data`, and send the chunks that are complete.

        Raises:
            StorageError: Google Cloud Storage did not accept a chunk. The upload is cancelled, and the sink accepts
                nothing more.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            self._digest.update(view)
            self._size += len(view)
            self._check_size()
            while view:
                # Only a byte after the chunk shows that the chunk is not the last.
                room = self._chunk_size + 1 - len(self._pending)
                self._pending += view[:room]
                view = view[room:]
                if len(self._pending) > self._chunk_size:
                    self._send_chunk()
        except BaseException:
            self.discard()
            raise

    def commit(self) -> None:
        """Make the complete object appear, in place of the previous object.

        Raises:
            ObjectExists: `exclusive`, and the object exists.
            StorageUnavailable: no response came, so the complete object may or may not have appeared; or what was
                stored is not what was sent.
        """
        self._check_open()
        try:
            session = self._session
            response = session.send(bytes(self._pending), self._md5()) if session else self._upload()
        except BaseException:
            self.discard()
            raise
        self._state = "committed"
        self._pending = bytearray()
        self._check_stored(response)

    def _upload(self) -> Response:
        """Upload a small object with its digest, which the storage checks before the object appears."""
        boundary = secrets.token_hex(16)
        metadata = json.dumps({"name": self._key, "contentType": CONTENT_TYPE, "md5Hash": self._md5()})
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n"
            f"--{boundary}\r\nContent-Type: {CONTENT_TYPE}\r\n\r\n"
        )
        target = self._client.target(
            self._path, upload=True, uploadType="multipart", ifGenerationMatch=self._generation
        )
        response = self._client.request(
            "POST",
            target,
            self._path,
            "write",
            accept=(*DONE, HTTPStatus.PRECONDITION_FAILED),
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            body=b"".join((head.encode(), self._pending, f"\r\n--{boundary}--".encode())),
        )
        if response.status != HTTPStatus.PRECONDITION_FAILED:
            return response
        # The stored object may be from an earlier request whose response was lost.
        stored = self._stored() if response.retries else response
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
        response = self._session.send(chunk)
        if response.status != UNFINISHED:
            self._remove(response)
            message = f"Google Cloud Storage finished the upload of {shown(self._path)} too early; write it again"
            raise StorageUnavailable(message)
        del self._pending[: self._chunk_size]

    def _check_stored(self, response: Response) -> None:
        """Check the stored object's metadata against what was sent.

        Raises:
            StorageUnavailable: they differ. The stored object is removed, and the previous object is lost.
        """
        stored = response.members() or {}
        if str(stored.get("size")) == str(self._size) and stored.get("md5Hash") in (None, self._md5()):
            return
        self._remove(response)
        message = f"Google Cloud Storage stored other bytes at {shown(self._path)} than were sent; write it again"
        raise StorageUnavailable(message)

    def _remove(self, response: Response) -> None:
        """Remove the very generation of the object that a response describes."""
        generation = str((response.members() or {}).get("generation"))
        if not generation.isdecimal():
            return
        target = self._client.target(self._path, generation=generation)
        try:
            self._client.request("DELETE", target, self._path, "write", accept=GONE)
        except ConnectorError as reason:
            _LOG.warning("cannot remove an object that differs from what was written: %s", reason)

    def discard(self) -> None:
        """Keep the previous object and cancel the upload. Does nothing when called again."""
        if self._state != "open":
            return
        self._state = "discarded"
        self._pending = bytearray()
        if self._session is not None:
            self._session.cancel()

    def _check_open(self) -> None:
        if self._state != "open":
            message = f"{shown(self._path)} was already {self._state}"
            raise StorageUnavailable(message) if self._state == "discarded" else ValueError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)} {self._state}>"
