"""Writes the object at a URL: spools the sealed bytes, and sends them in one PUT on commit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from connectors.errors import NotSupported, ObjectExists, StorageUnavailable
from connectors.storage import Failure, PutSink

if TYPE_CHECKING:
    from connectors.storage import FileBody
    from connectors_https.signature import Flavour
    from connectors_https.store import PresignedStore

__all__ = ["MAX_OBJECT", "PresignedSink"]

MAX_OBJECT: dict[Flavour, int] = {"s3": 5 << 30, "gcs": 5 << 30, "azure": 5000 << 20}
"""The most bytes of one PUT: 5 GiB with S3 and GCS, 5000 MiB with Azure's Put Blob since its version 2019-12-12."""
_DONE = frozenset({200, 201, 204})
_TAKEN = frozenset({409, 412})
_ERROR = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?<Error[\s>]")
"""The start of an error of S3 or Azure: S3 has been known to send one with a status of success."""
_KNOWN_HEADERS = {
    # Every PUT sends the object's size. If another size was signed, the server refuses the request.
    "content-length": "",
    "content-type": "application/octet-stream",
    "accept-encoding": "identity",
    "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    "x-ms-blob-type": "BlockBlob",
}
_ONLY_CREATE = {"if-none-match": "*", "x-goog-if-generation-match": "0"}
"""Headers that let a PUT create an object and never replace one."""


class PresignedSink(PutSink):
    """One object at a URL that is being written. No request is sent before `commit`; `discard` sends none.

    Args:
        store: the object's server.
        exclusive: do not replace an object.

    Raises:
        NotSupported: the signature covers headers whose values are not known here, or does not allow what
            `exclusive` says, or the query fixes the checksum of the body, which no sealed object can have.
        CredentialsExpired: the query has expired.
    """

    def __init__(self, store: PresignedStore, *, exclusive: bool = False) -> None:
        self._store = store
        self._exclusive = exclusive
        self._headers = self._choose_headers()
        store.check_expiry()
        super().__init__()

    def _choose_headers(self) -> dict[str, str]:
        signature, location = self._store.signature, self._store.place.location
        obstacle = signature.obstacle(writing=True)
        if obstacle is not None:
            message = f"no object can be written to {location}: {obstacle}"
            raise NotSupported(message)
        headers = self._store.known_headers({**_KNOWN_HEADERS, **_ONLY_CREATE})
        # commit sets the size when it is known; http.client would send this header as it is.
        headers.pop("content-length", None)
        signed_create = headers.keys() & _ONLY_CREATE.keys()
        if signed_create and not self._exclusive:
            message = f"the query for {location} was signed to create an object, not to replace one; open it with 'xb'"
            raise NotSupported(message)
        if self._exclusive and not signed_create:
            if signature.flavour == "gcs":
                message = (
                    f"mode 'xb' for {location} in Google Cloud Storage needs a signature that covers the header "
                    "x-goog-if-generation-match; get a URL signed with its value 0, or open it with 'wb'"
                )
                raise NotSupported(message)
            headers["if-none-match"] = "*"
        if signature.flavour == "azure":
            headers["x-ms-blob-type"] = "BlockBlob"
        return headers | dict(signature.sent_headers)

    def write(self, data: memoryview) -> None:
        """Take all of `data`.

        Raises:
            NotSupported: the object is larger than one PUT may be.
            MachineFailed: there is not enough space in ``$TMPDIR``.
        """
        limit = MAX_OBJECT.get(self._store.signature.flavour)
        if limit is not None and self.size + len(data) > limit:
            message = (
                f"{self._store.place.location} would be larger than {limit} bytes, the most that one PUT to a signed "
                "URL may have; write several objects, or use the storage's own backend"
            )
            raise NotSupported(message)
        super().write(data)

    def send(self, body: FileBody) -> None:
        """Send the object.

        Raises:
            ObjectExists: `exclusive`, and the object exists.
            AccessDenied, CredentialsExpired: the server refuses the object.
            StorageUnavailable: the server cannot be reached, or fails, even after retries. The complete object may
                or may not have been written.
        """
        location, unsure, policy = self._store.place.location, False, self._store.retry_policy()
        request = self._store.write_request(self._headers, body)
        while True:
            reply = self._store.attempt(request, location, "write", accept=_DONE)
            if not isinstance(reply, Failure):
                break
            if self._exclusive and reply.status in _TAKEN and not reply.transient:
                said = f"{reply.status} {reply.code}".strip()
                message = f"{location} already exists, and mode 'xb' does not replace it ({said})"
                if unsure:
                    message += (
                        "; but an earlier attempt of this write broke off, so the object may be the one that was sent: "
                        "read it to find out"
                    )
                raise ObjectExists(message)
            unsure = unsure or reply.transient
            self._store.wait(reply, policy)
        if _ERROR.match(reply.body):
            message = (
                f"the server of {location} answered {reply.status} to the PUT, but with an error in the body: the "
                "object may not have been written; read it to find out, or write it again"
            )
            raise StorageUnavailable(message)
