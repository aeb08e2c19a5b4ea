"""The dialect of WebDAV, RFC 4918: how its requests look, and what its refusals mean."""

from __future__ import annotations

import importlib.metadata
import re
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, urlsplit

from connectors.errors import (
    NotAnObject,
    NotSupported,
    ObjectExists,
    ObjectNotFound,
    StorageError,
)
from connectors.secrets import SecretText
from connectors.storage import Failure, HttpClient, ObjectStore, Reply, Request, meaning
from connectors_webdav.listing import PROPERTIES, Found, members_of, parse_multistatus
from connectors_webdav.location import parent_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import Action, FileBody, Headers, Limits, Meaning, Signer
    from connectors_webdav.location import Place

__all__ = ["WebDavStore"]

_AGENT = f"enclave-connectors-webdav/{importlib.metadata.version('enclave-connectors-webdav')}"
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,1000}"')
_DONE = frozenset({200, 201, 204})
_NO_FILE = frozenset({405, 501})
"""What servers that do not redirect a GET of a folder answer."""
_STAGED = re.compile(r"\.[0-9a-f]{32}\.part")
"""The names of files that are not yet committed; listings leave them out."""
_MISREAD = re.compile("[?;]")
"""Characters that wsgidav takes for the end of a path in the Destination header: it decodes it before it parses it."""


class WebDavStore(ObjectStore):
    """One user's access to a server.

    Args:
        place: the server; its path does not matter.
        signer: authorises the requests.
        limits: timeouts, or None for the defaults.
    """

    name = "the WebDAV server"
    meanings: ClassVar[tuple[Meaning, ...]] = (
        meaning("409", StorageError, "{where} is not in a folder, or its folder was removed ({code})"),
        meaning("423", StorageError, "{where} is locked by another client ({code})"),
        meaning("507", StorageError, "{store} has no space left for {where} ({code})"),
    )

    def __init__(self, place: Place, signer: Signer, limits: Limits | None = None) -> None:
        super().__init__(HttpClient(_AGENT, limits), signer)
        self._place = place

    def shown(self, path: str) -> str:
        """Return the location of a path, for messages."""
        return self._place.shown(path)

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | FileBody | None = None,
        *,
        folder: bool = False,
    ) -> Request:
        # Servers redirect requests to folders without the slash, or refuse them.
        target = quote(f"{path.rstrip('/')}/" if folder else path)
        return Request(method, self._place.origin, SecretText(target), headers or {}, body)

    # Reading.

    def read_request(self, path: str, span: str | None, validator: str | None) -> Request:
        """Return the request for a file's bytes."""
        headers = {}
        if span is not None:
            headers["Range"] = span
        if validator is not None and _STRONG_ETAG.fullmatch(validator):
            headers["If-Match"] = validator  # a weak one never matches
        return self._request("GET", path, headers)

    def validator(self, headers: Headers) -> str:
        """Return the ETag, or else the Last-Modified header, or an empty string: servers need not send either."""
        return headers.get("ETag", "") or headers.get("Last-Modified", "")

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:  # noqa: ARG002 - the engine's signature
        """Return an empty string: the status says it all."""
        return ""

    def refusal(self, status: int, code: str, path: str, action: Action, headers: Headers | None = None) -> Failure:
        """Return the failure that an error response means: some mean that there is a folder."""
        target = headers.get("Location", "") if headers is not None else ""
        if (action == "read" and status in _NO_FILE) or _ends_in_slash(target, quote(path)):
            return Failure(NotAnObject(f"{self.shown(path)} is a folder; name a file in it ({status})"), status=status)
        return super().refusal(status, code, path, action, headers)

    def describe(self, path: str) -> Found | None:
        """Return what is stored at a path; None if there is nothing."""
        try:
            found = self._propfind(path, "0")
        except ObjectNotFound:
            return None
        except NotAnObject:
            found = self._propfind(path, "0", folder=True)
        return next(one for one in found if one.path == path)

    def members(self, path: str) -> list[Found]:
        """Return the members of a folder without staged files, or the file itself.

        Raises:
            ObjectNotFound: there is neither.
        """
        found = self._propfind(path, "1", folder=True)
        return [one for one in found if not _STAGED.fullmatch(one.path.rpartition("/")[2])]

    def _propfind(self, path: str, depth: str, *, folder: bool = False) -> list[Found]:
        headers = {"Depth": depth, "Content-Type": "application/xml; charset=utf-8"}
        request = self._request("PROPFIND", path, headers, PROPERTIES, folder=folder)
        reply = self.call(request, path, "list", accept={HTTPStatus.MULTI_STATUS})
        try:
            found = parse_multistatus(reply.body)
            members = members_of(path, found)
        except ValueError as error:
            problem = str(error)
        else:
            return found if depth == "0" else members
        raise self.invalid(path, f"sent a listing that cannot be used: {problem}")

    # Writing.

    def stage(self, path: str) -> str:
        """Return a new name in an object's folder for a file that holds its bytes until it is committed."""
        return f"{parent_of(path).rstrip('/')}/.{secrets.token_hex(16)}.part"

    def check_name(self, path: str) -> None:
        """Check that the server finds the end of an object's name in the Destination header.

        Raises:
            NotSupported: it does not, and would replace another object.
        """
        if not _MISREAD.search(path):
            return
        probe, moved = self.stage(path), self.stage(path)
        self.put(probe, b"")
        self.commit(probe, f"{moved}?;", None, replace=False)
        understood = self.describe(f"{moved}?;") is not None
        self.remove(f"{moved}?;" if understood else moved)
        if not understood:
            message = (
                f"{self.shown(path)!r} cannot be written: this server takes a '?' or ';' in a name for the end of "
                "it, and would write to another file; choose another name"
            )
            raise NotSupported(message)

    def put(self, path: str, body: bytes | FileBody) -> None:
        """Write a file, in place: readers see it grow."""
        self.call(self._request("PUT", path, body=body), path, "write", accept=_DONE)

    def copy(self, path: str, target: str) -> None:
        """Copy a file, in place."""
        headers = {"Destination": self._place.url(target), "Overwrite": "T"}
        self.call(self._request("COPY", path, headers), path, "copy", accept=_DONE)

    def commit(self, staged: str, path: str, size: int | None, *, replace: bool) -> None:
        """Give a staged file its final name, in one step.

        Args:
            staged: the staged file.
            path: its final name.
            size: its bytes, or None if that is unknown.
            replace: replace an object.

        Raises:
            ObjectExists: not `replace`, and there is an object.
            StorageUnavailable: no response came: the object may or may not have appeared.
        """
        headers = {"Destination": self._place.url(path), "Overwrite": "T" if replace else "F"}
        request = self._request("MOVE", staged, headers)
        policy, unsure = self.retry_policy(), False
        while not isinstance(outcome := self.attempt(request, path, "write", accept=_DONE), Reply):
            if unsure and outcome.status == HTTPStatus.NOT_FOUND and self._is_there(path, size):
                return  # an earlier attempt moved it: nobody else knows the staged name
            if outcome.status == HTTPStatus.PRECONDITION_FAILED:
                message = f"{self.shown(path)} already exists and was not replaced"
                raise ObjectExists(message)
            unsure = unsure or outcome.transient
            self.wait(outcome, policy)

    def _is_there(self, path: str, size: int | None) -> bool:
        found = self.describe(path)
        return found is not None and not found.folder and size in (None, found.size)

    # Folders, and removing.

    def make_folders(self, path: str) -> None:
        """Make a folder and its missing parents.

        Raises:
            NotAnObject: there is a file in place of one of them.
        """
        found = None if path == "/" else self.describe(path)
        if path == "/" or (found is not None and found.folder):
            return
        if found is not None:
            message = f"{self.shown(path)} is a file, so nothing can be stored in it"
            raise NotAnObject(message)
        self.make_folders(parent_of(path))
        accept = {HTTPStatus.CREATED, HTTPStatus.METHOD_NOT_ALLOWED}  # the latter: another client made it meanwhile
        self.call(self._request("MKCOL", path, folder=True), path, "write", accept=accept)

    def remove(self, path: str) -> None:
        """Remove a file; of a folder, everything in it: see `WebDavFileSystem.rm_file`.

        Raises:
            ObjectNotFound: there is no such file.
        """
        reply = self.call(self._request("DELETE", path), path, "remove", accept={*_DONE, HTTPStatus.NOT_FOUND})
        if reply.status == HTTPStatus.NOT_FOUND and not reply.retries:  # else an earlier attempt removed it
            message = f"nothing is stored at {self.shown(path)}"
            raise ObjectNotFound(message)


def _ends_in_slash(url: str, target: str) -> bool:
    """Return whether a redirect only adds a slash to a path, as servers do with folders."""
    try:
        return urlsplit(url).path == f"{target}/"
    except ValueError:
        return False
