"""Writing the object behind a URL: collected first, sealed as it comes, then sent in one request."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from typing import TYPE_CHECKING

from connectors.errors import NotSupported, ObjectExists, StorageUnavailable
from connectors.storage import spooled
from connectors_https.answers import Failure, excerpt
from connectors_https.client import RetryPolicy, finish, known_headers

if TYPE_CHECKING:
    from connectors_https.client import Client
    from connectors_https.signature import Flavour

__all__ = ["MAX_OBJECT", "PresignedSink"]

MAX_OBJECT: dict[Flavour, int] = {"s3": 5 << 30, "gcs": 5 << 30, "azure": 5000 << 20}
"""Most bytes of one PUT: 5 GiB with S3 and GCS, 5000 MiB with Azure's Put Blob since its version 2019-12-12."""
_IN_MEMORY = 1 << 24
"""Bytes held in memory until the rest goes to an unnamed temporary file."""
_DONE = frozenset({200, 201, 204})
_ERROR = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?<Error[\s>]")
"""What S3 and Azure begin an error with: S3 has been known to send one under the status of a success."""
_KNOWN_HEADERS = {
    # Sent by every PUT anyway, with the object's size: whoever signed one either knew it, or the server will say so.
    "content-length": "",
    "content-type": "application/octet-stream",
    "accept-encoding": "identity",
    "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    "x-ms-blob-type": "BlockBlob",
}
_ONLY_CREATE = {"if-none-match": "*", "x-goog-if-generation-match": "0"}
"""Headers that let a PUT create an object and never replace one."""


class PresignedSink:
    """One object behind a URL, in the making.

    What is written waits in memory and in an unnamed temporary file, as it is sealed: a PUT wants to know its size at
    the start, and may have to be sent again. Nothing is requested before `commit`, and nothing at all by `discard`.

    Args:
        client: requests for the object.
        exclusive: create the object, and fail where one stands.

    Raises:
        NotSupported: the signature covers headers whose values only its maker knows, or the URL cannot do what
            `exclusive` says.
        CredentialsExpired: the query's time is over.
    """

    def __init__(self, client: Client, *, exclusive: bool = False) -> None:
        self._client = client
        self._exclusive = exclusive
        self._headers = self._choose_headers()
        self._size = 0
        client.check_expiry()
        self._spool = spooled(
            lambda: tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - commit or discard closes it
        )

    def _choose_headers(self) -> dict[str, str]:
        signature, location = self._client.signature, self._client.place.location
        headers = known_headers(self._client, {**_KNOWN_HEADERS, **_ONLY_CREATE})
        # http.client counts a header that is there as given: the size is set when it is known.
        headers.pop("content-length", None)
        signed_create = headers.keys() & _ONLY_CREATE.keys()
        if signed_create and not self._exclusive:
            message = (
                f"the query for {location} was signed to create an object, never to replace one; open it with 'xb'"
            )
            raise NotSupported(message)
        if self._exclusive and not signed_create:
            if signature.flavour == "gcs":
                message = (
                    f"Google Cloud Storage creates {location} without replacing only under a signature that covers "
                    "x-goog-if-generation-match; have it signed so, with the value 0, or open it with 'wb'"
                )
                raise NotSupported(message)
            headers["if-none-match"] = "*"
        if signature.flavour == "azure":
            headers["x-ms-blob-type"] = "BlockBlob"
        return headers

    def write(self, data: memoryview) -> None:
        """Take all of `data`.

        Raises:
            NotSupported: the object grows larger than one PUT may be.
            MachineFailed: there is no room for it in ``$TMPDIR``.
        """
        self._size += len(data)
        limit = MAX_OBJECT.get(self._client.signature.flavour)
        if limit is not None and self._size > limit:
            message = (
                f"{self._client.place.location} would be larger than the {limit} bytes that one PUT to a signed URL "
                "may hold; write several objects, or use the storage's own backend"
            )
            raise NotSupported(message)
        spooled(lambda: self._spool.write(data))

    def commit(self) -> None:
        """Send the object.

        Raises:
            ObjectExists: it was to be created, and something stands there.
            AccessDenied, CredentialsExpired: the server will not have it.
            StorageUnavailable: the server cannot be reached, or fails, also after several tries. Then the object may
                have been written nevertheless: whole, or not at all.
        """
        spooled(self._spool.flush)
        retry_policy = RetryPolicy(self._client.limits)
        headers = {**self._headers, "Content-Length": str(self._size)}
        unsure = False
        while True:
            self._spool.seek(0, os.SEEK_SET)
            answer = self._client.request("PUT", headers, accept=_DONE, body=self._spool, exclusive=self._exclusive)
            if not isinstance(answer, Failure):
                break
            if unsure and isinstance(answer.error, ObjectExists):
                message = (
                    f"{answer.error}; but an earlier try of this very write broke off, so that the object may be "
                    "this one: read it to find out"
                )
                raise ObjectExists(message)
            unsure = unsure or answer.transient
            retry_policy.wait_or_raise(answer)
        said = excerpt(answer)  # so that the connection can be kept, too
        finish(answer)
        self._spool.close()
        if _ERROR.match(said):
            message = (
                f"the server of {self._client.place.location} answered {answer.status} to the PUT, and an error below "
                "it: the object was not written, or not surely; read it to find out, or write it again"
            )
            raise StorageUnavailable(message)

    def discard(self) -> None:
        """Drop what was written."""
        with contextlib.suppress(OSError):  # it would write the rest to a full disk first
            self._spool.close()
