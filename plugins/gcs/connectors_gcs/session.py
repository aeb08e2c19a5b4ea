"""A resumable upload: chunks that are nobody's until the last of them.

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
    from connectors_gcs.client import Answer, Client

__all__ = ["CHUNK_UNIT", "CONTENT_TYPE", "DONE", "GONE", "UNFINISHED", "Session"]

_LOG = logging.getLogger(__name__)

CHUNK_UNIT = 1 << 18
"""What the size of every chunk but the last is a multiple of: "Perform resumable uploads", "Multiple chunk upload"."""
CONTENT_TYPE = "application/octet-stream"
DONE = (HTTPStatus.OK, HTTPStatus.CREATED)
"""The statuses that tell of an object which is there now."""
CANCELLED = 499
"""The status that answers a session's cancellation."""
GONE = (CANCELLED, HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
"""The statuses after which there is nothing left to remove."""
UNFINISHED = 308
"""The status of a session that expects more; in the rest of HTTP, a redirect."""

_TARGET = re.compile(r"/[!$%&'()*+,.0-9:;=@A-Z_a-z~-][!$%&'()*+,./0-9:;=?@A-Z_a-z~-]{0,8000}")
_ARRIVED = re.compile(r"bytes=0-([0-9]{1,15})")


class Session:
    """One resumable upload. Whoever knows its URL can write to it, so nothing logs or shows that.

    Args:
        client: requests of an account.
        path: ``bucket/key``.
        generation: what stands there, for a condition on that; 0 where it is nothing, None for no condition.

    Raises:
        StorageError: the storage opens no upload.
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
        answer = client.request("POST", target, path, "write", accept=DONE, headers=headers, body=body)
        self._target = _target(answer)
        if not self._target:
            message = f"Google Cloud Storage opened no upload that could be written to, for {shown(path)}"
            raise StorageUnavailable(message)

    def send(self, chunk: bytes, digest: str | None = None) -> Answer:
        """Send the next bytes, as often as it takes, and go on from wherever the session stands.

        Args:
            chunk: a multiple of `CHUNK_UNIT`; the last one has any size.
            digest: with the last chunk, the MD5 of all bytes, in base64, which the storage checks.

        Returns:
            The answer: it tells of the finished object, or has the status `UNFINISHED`.

        Raises:
            StorageUnavailable: the bytes did not arrive.
        """
        start, end = self._sent, self._sent + len(chunk)
        position, asking, retry_policy = start, False, self._client.retry_policy()
        while True:
            outcome = self._put(position, b"" if asking else chunk[position - start :], end, digest)
            if isinstance(outcome, Failure):
                self._client.wait(outcome, retry_policy)
                asking = True  # how far did it get?
                continue
            if outcome.status != UNFINISHED:
                return outcome
            arrived = _arrived(outcome)
            if not start <= arrived <= end:
                message = f"Google Cloud Storage lost a part of {shown(self._path)} on the way; write it anew"
                raise StorageUnavailable(message)
            if arrived == end and digest is None:
                self._sent = end
                return outcome
            if arrived <= position and not asking:
                message = f"Google Cloud Storage takes nothing more of {shown(self._path)}; try again later"
                retry_policy.wait(StorageUnavailable(message))
            retry_policy.arrived(max(0, arrived - position))
            position, asking = arrived, False

    def _put(self, position: int, data: bytes, end: int, digest: str | None) -> Answer | Failure:
        """Put bytes that belong at `position`; without any, ask how many have arrived, or say that these were all."""
        total = "*" if digest is None else str(end)
        headers = {"Content-Range": f"bytes {position}-{end - 1}/{total}" if data else f"bytes */{total}"}
        if digest is not None:
            headers["X-Goog-Hash"] = f"md5={digest}"
        # Without the token: the URL is enough, also when the token has ended meanwhile.
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
        """Have the storage forget what it was sent; that it does not is told in the log."""
        try:
            self._client.request("DELETE", self._target, self._path, "upload", accept=GONE, authorized=False)
        except ConnectorError as reason:
            # Not raised: it would take the place of the error for which the upload is cancelled.
            _LOG.warning("an unfinished upload stays behind, for a week: %s", reason)


def _target(answer: Answer) -> str:
    """Return path and query of the session that an answer opens, or nothing.

    Whatever host it names, the sealed bytes go to the one that the document names.
    """
    try:
        place = urlsplit(answer.headers.get("Location", ""))
    except ValueError:
        return ""
    target = urlunsplit(("", "", place.path, place.query, ""))
    return target if _TARGET.fullmatch(target) else ""


def _arrived(answer: Answer) -> int:
    """Return how many bytes a session has, as its answer tells."""
    if "Range" not in answer.headers:
        return 0
    match = _ARRIVED.fullmatch(answer.headers["Range"])
    return int(match[1]) + 1 if match else -1
