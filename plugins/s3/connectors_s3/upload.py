"""A multipart upload: its parts are nobody's until it is completed, and it is aborted whenever it cannot be."""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from typing import TYPE_CHECKING, Any

from connectors.errors import ConnectorError, StorageUnavailable
from connectors.storage import PartsInFlight
from connectors_s3.error_mapping import FOREIGN, UPLOAD_GONE, code_of

if TYPE_CHECKING:
    from io import BytesIO

    from connectors_s3.calls import Calls
    from connectors_s3.client import Client

__all__ = ["Upload"]

_LOG = logging.getLogger(__name__)

# What was registered last is called first when the interpreter ends. With this, uploads are aborted after whatever
# a program registers from now on, such as the `close` of a file that it has opened.
weakref.finalize(_LOG, int)


class Upload:
    """A multipart upload that has begun.

    It knows nothing of its sink, which can so be forgotten, and have the upload aborted by that.

    Args:
        calls: makes the object's requests.
        options: what the request that begins the upload says besides.

    Attributes:
        id: what S3 calls it.
        parts: the parts, to be put there.
    """

    def __init__(self, calls: Calls, **options: Any) -> None:
        self._calls = calls
        self._process = os.getpid()
        self._completed = False
        self.parts: PartsInFlight[dict[str, Any]] = PartsInFlight(self._send)
        self.id = str(self._told("create_multipart_upload", "UploadId", **options))

    def _send(self, number: int, part: BytesIO) -> dict[str, Any]:
        etag = self._told("upload_part", "ETag", UploadId=self.id, PartNumber=number, Body=part)
        return {"PartNumber": number, "ETag": etag}

    def _told(self, method: str, member: str, **arguments: Any) -> Any:
        """Return what the answer to a request must tell."""
        told = self._calls(method, **arguments).get(member)
        if not told:
            message = (
                f"S3's answer to an upload has no {member}; the object was not written, or not surely: write it again"
            )
            raise StorageUnavailable(message)
        return told

    def complete(self, **condition: Any) -> None:
        """Wait for the parts, and make the object of them."""
        parts = {"Parts": self.parts.finish()}
        # An answer without it is a success by its status alone, which is sent before S3 knows.
        self._told("complete_multipart_upload", "ETag", UploadId=self.id, MultipartUpload=parts, **condition)
        self._completed = True

    def abort(self) -> None:
        """Drop the parts, once none of them travels any more.

        Does nothing a second time, once the upload is completed, or in a forked child.
        """
        if self._process == os.getpid() and not self._completed:
            self.parts.abandon(self._abort, elsewhere=_runs_requests(self._calls.client))

    def _abort(self) -> None:
        try:
            self._calls.on(self._abort_on)
        except ConnectorError as reason:
            # Not raised: it would take the place of the error for which the upload is aborted.
            _LOG.warning("the parts of an unfinished upload stay behind, and may cost: %s", reason)

    def _abort_on(self, client: Client) -> None:
        try:
            client.call_s3("abort_multipart_upload", UploadId=self.id, **self._calls.object)
        except FOREIGN as error:
            if code_of(error) != UPLOAD_GONE:
                raise


def _runs_requests(client: Client) -> bool:
    """Tell whether this thread runs the requests, and so cannot wait for any: garbage is collected in any thread."""
    try:
        return asyncio.get_running_loop() is client.loop
    except RuntimeError:
        return False
