"""Google Cloud Storage as the engine needs it: listings, and what is done with a single object."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from connectors.errors import ConnectorError, StorageUnavailable
from connectors.storage import BucketStore, HttpClient, Listed, Origin, Page, RetryPolicy, size_of, split_path
from connectors_gcs.api import (
    CONTENT_TYPE,
    DONE,
    GONE,
    MAX_RESPONSE,
    UPLOAD,
    GcsApi,
    members_of,
    objects_of,
    resource_of,
)
from connectors_gcs.location import GOOGLE, LOCATION
from connectors_gcs.signer import AGENT, STORAGE, signer_of
from connectors_gcs.upload import UNFINISHED, Upload, md5_of

if TYPE_CHECKING:
    from connectors.storage import Action, Reply, Request
    from connectors_gcs.credentials import GcsCredentials

__all__ = ["GcsStore"]

_FIELDS = "kind,name,size,generation,md5Hash,timeCreated,updated"
"""The fields that are requested of each object."""
_OBJECT, _OBJECTS, _REWRITE = "storage#object", "storage#objects", "storage#rewriteResponse"
"""The kinds of an object's metadata, of a page of a listing and of a step of a copy: Cloud Storage JSON API reference.
Without this check, any JSON object, such as an error's, would be an empty listing."""
_PAGE = 1_000
"""Names in one response: Cloud Storage JSON API reference, "Objects: list"."""
_MAX_STEPS = (5 << 40) // (1 << 20)
"""Steps of the longest copy: 5 TiB ("Quotas and limits"), in the smallest steps that a request can ask for ("Objects:
rewrite", maxBytesRewrittenPerCall)."""
_MAX_IDLE_STEPS = 100
"""Steps in a row in which a copy may make no progress; with the pauses between them, some 25 minutes."""
_JSON = "application/json; charset=UTF-8"
_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)
_LOG = logging.getLogger(__name__)


class GcsStore(GcsApi, BucketStore):
    """The objects in Google Cloud Storage that one account can see.

    Args:
        credentials: the account's.
    """

    location = LOCATION
    parts_at_once = 1
    """The chunks of an upload arrive in order."""

    def __init__(self, credentials: GcsCredentials) -> None:
        self.endpoint = (credentials.endpoint_url or GOOGLE).rstrip("/")
        origin = Origin.of(self.endpoint)
        super().__init__(HttpClient(AGENT), signer_of(credentials, STORAGE), origin, credentials.billed_project)

    def list_page(self, path: str, prefix: str, delimiter: str, token: str | None, most: int | None) -> Page:
        """Return a page of the objects in a bucket."""
        request = self.request(
            "GET",
            objects_of(path),
            prefix=prefix or None,
            delimiter=delimiter or None,
            maxResults=most or _PAGE,
            pageToken=token,
            fields=f"kind,items({_FIELDS}),prefixes,nextPageToken",
        )
        page = self._members(request, path, "list", _OBJECTS)
        items, prefixes, following = page.get("items", []), page.get("prefixes", []), page.get("nextPageToken")
        if not isinstance(items, list) or not isinstance(prefixes, list) or not all(map(_is_name, prefixes)):
            raise self.invalid(path, "sent an invalid response")
        return Page([self._listed(item, path) for item in items], prefixes, str(following or ""))

    def describe(self, path: str) -> Listed:
        """Return the object at a path."""
        request = self.request("GET", resource_of(path), fields=_FIELDS)
        listed = self._listed(self._members(request, path, "read", _OBJECT), path)
        if listed.key != split_path(path)[1]:
            raise self.invalid(path, "sent an invalid response")
        return listed

    def remove(self, path: str) -> None:
        """Remove an object."""
        reply = self.call(self.request("DELETE", resource_of(path)), path, "remove", accept=GONE)
        # After a retry, the object was removed by a request whose response was lost.
        if reply.status >= HTTPStatus.BAD_REQUEST and not reply.retries:
            raise self.refusal(reply.status, "", path, "remove").error

    def copy(self, path: str, target: str) -> None:
        """Copy an object, in as many steps as the storage needs.

        Raises:
            StorageUnavailable: the copy makes no progress, or does not end.
        """
        resource = f"{resource_of(path)}/rewriteTo{resource_of(target)}"
        message = f"{self.name} does not finish the copy of {self.shown(path)}; try again later"
        policy = RetryPolicy(attempts=_MAX_IDLE_STEPS, first_pause=self.first_pause, longest_pause=self.longest_pause)
        token, copied = None, 0
        for _ in range(_MAX_STEPS):
            progress = self._members(self.request("POST", resource, rewriteToken=token), path, "copy", _REWRITE)
            if progress.get("done") is True:
                return
            token, total = progress.get("rewriteToken"), str(progress.get("totalBytesRewritten"))
            if not isinstance(token, str) or not token or not _SIZE.fullmatch(total):
                raise self.invalid(path, "sent an invalid response")
            # A token may come back unchanged; what must grow is the number of bytes.
            if int(total) > copied:
                policy.received(int(total) - copied)
                copied = int(total)
            else:
                policy.wait(StorageUnavailable(message))
        raise StorageUnavailable(message)

    def put(self, path: str, data: memoryview, *, exclusive: bool) -> None:
        """Write an object in one request, with its digest, which the storage checks before the object appears."""
        md5, boundary = md5_of(hashlib.md5(data, usedforsecurity=False).digest()), secrets.token_hex(16)
        told = json.dumps({"name": split_path(path)[1], "contentType": CONTENT_TYPE, "md5Hash": md5})
        head = (
            f"--{boundary}\r\nContent-Type: {_JSON}\r\n\r\n{told}\r\n"
            f"--{boundary}\r\nContent-Type: {CONTENT_TYPE}\r\n\r\n"
        )
        request = self.request(
            "POST",
            objects_of(path),
            {"Content-Type": f"multipart/related; boundary={boundary}"},
            b"".join((head.encode(), data, f"\r\n--{boundary}--".encode())),
            root=UPLOAD,
            uploadType="multipart",
            ifGenerationMatch=_generation(exclusive=exclusive),
        )
        reply = self.call(request, path, "write", accept=DONE | {HTTPStatus.PRECONDITION_FAILED})
        if reply.status != HTTPStatus.PRECONDITION_FAILED:
            self._check_stored(path, reply, data.nbytes, md5)
        # The stored object may be from an earlier request whose response was lost.
        elif not reply.retries or self.describe(path).facts["md5Hash"] != md5:
            raise self.refusal(reply.status, "", path, "write").error

    def start_upload(self, path: str, *, exclusive: bool) -> Upload:
        """Open a resumable upload."""
        request = self.request(
            "POST",
            objects_of(path),
            {"Content-Type": _JSON, "X-Upload-Content-Type": CONTENT_TYPE},
            json.dumps({"contentType": CONTENT_TYPE}).encode(),
            root=UPLOAD,
            uploadType="resumable",
            name=split_path(path)[1],
            ifGenerationMatch=_generation(exclusive=exclusive),
        )
        return Upload(self, path, self.call(request, path, "write", accept=DONE).headers)

    def send_part(self, path: str, upload: Upload, number: int, data: memoryview, *, last: bool) -> Reply:
        """Send a chunk; the object appears with the last one."""
        reply = upload.send_chunk(number, data, last=last)
        if reply.status != UNFINISHED and not last:
            self._remove_stored(path, reply)
            message = f"{self.name} finished the upload of {self.shown(path)} too early; write it again"
            raise StorageUnavailable(message)
        return reply

    def complete_upload(self, path: str, upload: Upload, parts: list[Reply], *, exclusive: bool) -> None:  # noqa: ARG002 - the last chunk had the condition
        """Check the object, which appeared with the last chunk."""
        self._check_stored(path, parts[-1], upload.size, upload.md5)

    def abort_upload(self, path: str, upload: Upload) -> None:  # noqa: ARG002 - the upload knows it
        """Cancel an upload."""
        upload.cancel()

    def _check_stored(self, path: str, reply: Reply, size: int, md5: str) -> None:
        """Check the stored object's metadata against what was sent.

        Raises:
            StorageUnavailable: they differ. The stored object is removed, and the previous object is lost.
        """
        stored = members_of(reply.body) or {}
        if str(stored.get("size")) == str(size) and stored.get("md5Hash") in (None, md5):
            return
        self._remove_stored(path, reply)
        message = f"{self.name} stored other bytes at {self.shown(path)} than were sent; write it again"
        raise StorageUnavailable(message)

    def _remove_stored(self, path: str, reply: Reply) -> None:
        """Remove the very generation of the object that a response describes."""
        generation = str((members_of(reply.body) or {}).get("generation"))
        if not _SIZE.fullmatch(generation):
            return
        try:
            self.call(self.request("DELETE", resource_of(path), generation=generation), path, "remove", accept=GONE)
        except ConnectorError as reason:
            _LOG.warning("cannot remove an object that differs from what was written: %s", reason)

    def _members(self, request: Request, path: str, action: Action, kind: str) -> dict[str, Any]:
        """Send a request and return the members of the JSON object in the response, which is of this kind."""
        members = members_of(self.call(request, path, action, limit=MAX_RESPONSE).body)
        if members is None or members.get("kind") != kind:
            raise self.invalid(path, "sent an invalid response")
        return members

    def _listed(self, item: Any, path: str) -> Listed:
        """Return an object as its metadata describe it."""
        return self.valid(path, partial(_listed, item))


def _listed(item: Any) -> Listed:
    try:
        facts = {
            "created": datetime.fromisoformat(item["timeCreated"]),
            "modified": datetime.fromisoformat(item["updated"]),
            "generation": item["generation"],
            "md5Hash": item.get("md5Hash"),
        }
        if _is_name(item["name"]):
            return Listed(item["name"], size_of(item["size"]), facts=facts)
    except (AttributeError, KeyError, TypeError):
        pass
    message = "these are no metadata of an object"
    raise ValueError(message)


def _generation(*, exclusive: bool) -> int | None:
    """Return the generation that a new object may replace: 0 for none, None for any."""
    return 0 if exclusive else None


def _is_name(name: object) -> bool:
    """Return whether this is an object's name; a lone surrogate has no UTF-8 form, and cannot be part of a URL."""
    try:
        return isinstance(name, str) and bool(name.encode())
    except UnicodeEncodeError:
        return False
