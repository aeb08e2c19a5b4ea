"""A resumable upload: sends an object in chunks that stay invisible until the last one arrives.

Cloud Storage documentation, "Resumable uploads" and "Perform resumable uploads".
"""

from __future__ import annotations

import json
import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from connectors.errors import ConnectorError, StorageUnavailable
from connectors_gcs.error_mapping import Failure
from connectors_gcs.location import shown, split_path

if TYPE_CHECKING:
    from connectors_gcs.client import Client, Response

__all__ = ["CHUNK_UNIT", "CONTENT_TYPE", "DONE", "GONE", "UNFINISHED", "Session"]

_LOG = logging.getLogger(__name__)

CHUNK_UNIT = 1 << 18
"""Every chunk's size but the last's is a multiple of this: "Perform resumable uploads", "Multiple chunk upload"."""
CONTENT_TYPE = "application/octet-stream"
DONE = (HTTPStatus.OK, HTTPStatus.CREATED)
"""The statuses of an upload that has created its object."""
CANCELLED = 499
"""The status of a cancelled upload."""
GONE = (CANCELLED, HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
"""The statuses after which nothing is left to remove."""
UNFINISHED = 308
"""The status of an upload that expects more bytes; elsewhere in HTTP, a redirect."""

_TARGET = re.compile(r"/[!$%&'()*+,.0-9:;=@A-Z_a-z~-][!$%&'()*+,./0-9:;=?@A-Z_a-z~-]{0,8000}")
_ARRIVED = re.compile(r"bytes=0-([0-9]{1,15})")


class Session:
    """One resumable upload. Its URL is never logged or shown, because anyone who knows it can write to the upload.

    Args:
        client: the account's client.
        path: ``bucket/key``.
        generation: the generation that the upload may replace: 0 for none, None for any.

    Raises:
        StorageError: the upload cannot be opened.
    """

    def __init__(self, client: Client, path: str, generation: int | None) -> None:
        self._client = client
        self._path = path
        self._sent = 0
        target = client.target(
            path, upload=True, uploadType="resumable", name=split_path(path)[1], ifGenerationMatch=generation
        )
        headers = {"Content-Type": "application/json; charset=UTF-8", "X-Upload-Content-Type": CONTENT_TYPE}
        body = json.dumps({"contentType": CONTENT_TYPE}).encode()
        response = client.request("POST", target, path, "write", accept=DONE, headers=headers, body=body)
        self._target = _target(response)
        if not self._target:
            message = f"Google Cloud Storage returned no usable URL for the upload of {shown(path)}"
            raise StorageUnavailable(message)

    def send(self, chunk: bytes, digest: str | None = None) -> Response:
        """Send the next chunk; after an interruption, resume where the upload stopped.

        Args:
            chunk: a multiple of `CHUNK_UNIT` in size; the last one may have any size.
            digest: with the last chunk, the MD5 of all bytes in base64, which the storage checks.

        Returns:
            The response: it has the finished object's metadata, or the status `UNFINISHED`.

        Raises:
            StorageUnavailable: the bytes did not arrive.
        """
        start, end = self._sent, self._sent + len(chunk)
        position, asking, retry_policy = start, False, self._client.retry_policy()
        while True:
            outcome = self._put(position, b"" if asking else chunk[position - start :], end, digest)
            if isinstance(outcome, Failure):
                self._client.wait(outcome, retry_policy)
                asking = True  # ask how many bytes have arrived
                continue
            if outcome.status != UNFINISHED:
                return outcome
            arrived = _arrived(outcome)
            if not start <= arrived <= end:
                message = f"Google Cloud Storage lost part of the upload of {shown(self._path)}; write it again"
                raise StorageUnavailable(message)
            if arrived == end and digest is None:
                self._sent = end
                return outcome
            if arrived <= position and not asking:
                message = f"Google Cloud Storage accepts no more bytes of {shown(self._path)}; try again later"
                retry_policy.wait(StorageUnavailable(message))
            retry_policy.received(max(0, arrived - position))
            position, asking = arrived, False

    def _put(self, position: int, data: bytes, end: int, digest: str | None) -> Response | Failure:
        """Send `data` for `position`; if it is empty, ask how many bytes have arrived, or finish the upload."""
        total = "*" if digest is None else str(end)
        headers = {"Content-Range": f"bytes {position}-{end - 1}/{total}" if data else f"bytes */{total}"}
        if digest is not None:
            headers["X-Goog-Hash"] = f"md5={digest}"
        # Without the token: the URL is authorization enough, even after the token has expired.
        return self._client.send(
            "PUT",
            self._target,
            self._path,
            "upload",
            accept=(*DONE, UNFINISHED),
            headers=headers,
            body=data,
            authorized=False,
        )

    def cancel(self) -> None:
        """Cancel the upload, and log a warning if that fails."""
        try:
            self._client.request("DELETE", self._target, self._path, "upload", accept=GONE, authorized=False)
        except ConnectorError as reason:
            # Not raised, because it would hide the error that led to the cancellation.
            _LOG.warning("cannot cancel an unfinished upload, which expires after a week: %s", reason)


def _target(response: Response) -> str:
    """Return the path and query of the upload's URL, or an empty string if it is unusable.

    Its host is ignored: the sealed bytes go only to the host that the document names.
    """
    try:
        place = urlsplit(response.headers.get("Location", ""))
    except ValueError:
        return ""
    target = urlunsplit(("", "", place.path, place.query, ""))
    return target if _TARGET.fullmatch(target) else ""


def _arrived(response: Response) -> int:
    """Return how many bytes have arrived according to a response, or -1 if it is invalid."""
    if "Range" not in response.headers:
        return 0
    match = _ARRIVED.fullmatch(response.headers["Range"])
    return int(match[1]) + 1 if match else -1
