"""A multipart upload: its parts are invisible until it is completed; if it cannot be completed, it is aborted."""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from typing import TYPE_CHECKING, Any

from connectors.errors import ConnectorError, StorageUnavailable
from connectors.storage import PartsInFlight
from connectors_s3.error_mapping import LIBRARY_ERRORS, NO_SUCH_UPLOAD, code_of

if TYPE_CHECKING:
    from io import BytesIO

    from connectors_s3.client import Client
    from connectors_s3.object_requests import ObjectRequests

__all__ = ["Upload"]

_LOG = logging.getLogger(__name__)

# At interpreter exit, the latest registered function runs first. This registers weakref's own exit function now, so
# that uploads are aborted after everything that a program registers later, such as the `close` of a file it opens.
weakref.finalize(_LOG, int)


class Upload:
    """An open multipart upload.

    It has no reference to its sink, so that the sink can be collected; collecting the sink aborts the upload.

    Args:
        requests: sends the object's requests.
        options: further arguments of the request that starts the upload.

    Attributes:
        id: the upload's ID.
        parts: sends the parts that are put into it.
    """

    def __init__(self, requests: ObjectRequests, **options: Any) -> None:
        self._requests = requests
        self._process = os.getpid()
        self._completed = False
        self.parts: PartsInFlight[dict[str, Any]] = PartsInFlight(self._send)
        self.id = str(self._send_for("create_multipart_upload", "UploadId", **options))

    def _send(self, number: int, part: BytesIO) -> dict[str, Any]:
        etag = self._send_for("upload_part", "ETag", UploadId=self.id, PartNumber=number, Body=part)
        return {"PartNumber": number, "ETag": etag}

    def _send_for(self, method: str, member: str, **arguments: Any) -> Any:
        """Send a request, and return the member that its response must have."""
        value = self._requests.send(method, **arguments).get(member)
        if not value:
            message = (
                f"S3 sent an invalid response to an upload: it has no {member}, and the object may not have been "
                "written; write it again"
            )
            raise StorageUnavailable(message)
        return value

    def complete(self, **condition: Any) -> None:
        """Wait for the parts, and create the object from them."""
        parts = {"Parts": self.parts.finish()}
        # The ETag shows success. The status does not, because S3 sends it before the upload is completed.
        self._send_for("complete_multipart_upload", "ETag", UploadId=self.id, MultipartUpload=parts, **condition)
        self._completed = True

    def abort(self) -> None:
        """Drop the parts, as soon as none is being sent any more.

        Does nothing when called again, if the upload is completed, or in a forked child.
        """
        if self._process == os.getpid() and not self._completed:
            self.parts.abandon(self._abort, elsewhere=_runs_requests(self._requests.client))

    def _abort(self) -> None:
        try:
            self._requests.run(self._abort_with)
        except ConnectorError as reason:
            # Not raised, because it would hide the error that led to the abort.
            _LOG.warning("cannot abort an unfinished upload, whose parts remain stored and may cost money: %s", reason)

    def _abort_with(self, client: Client) -> None:
        try:
            client.call_s3("abort_multipart_upload", UploadId=self.id, **self._requests.object)
        except LIBRARY_ERRORS as error:
            if code_of(error) != NO_SUCH_UPLOAD:
                raise


def _runs_requests(client: Client) -> bool:
    """Return whether this thread runs the requests, and so must not wait for one: any thread can collect garbage."""
    try:
        return asyncio.get_running_loop() is client.loop
    except RuntimeError:
        return False
