"""The dialect of an object store with an HTTP API: what a backend tells the engine, and what the engine does with it.

A backend subclasses `ObjectStore` and says how its requests look, which header names an object's version, and what its
error codes mean. Ranged reads, retries, pins, renewed tokens, multipart uploads and listings are the engine's.
"""

from __future__ import annotations

import re
import traceback
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Literal

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    CredentialsExpired,
    MachineFailed,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage.http.client import BROKEN, HttpClient
from connectors.storage.http.failures import Failure, retry_after
from connectors.storage.http.messages import Reply, Request, Response
from connectors.storage.retry import RetryPolicy

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Collection, Mapping

    from connectors.storage.http.connection import Connection
    from connectors.storage.http.messages import Headers
    from connectors.storage.signing import Signer

__all__ = ["Action", "Meaning", "ObjectStore"]

Action = Literal["read", "write", "list", "remove", "copy"]
"""What a request does, for error messages; a failed condition means one thing to a reader and another to a writer."""

MAX_REPLY = 16 << 20
"""Bytes in the largest response that is not an object, such as a page of a listing."""
_MAX_ERROR = 1 << 16
"""Bytes of an error's body that are read to find its code."""
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}", re.ASCII)
_XML_CODE = re.compile(rb"<Code>([A-Za-z0-9_.]{1,64})</Code>")
_ETAG = re.compile(r"[\x21-\x7e]{1,1000}", re.ASCII)
"""An ETag that can be sent back as it came; some stores leave out the quotation marks."""
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What some error codes of a store mean.

    Attributes:
        codes: the codes.
        kind: the type of the error to raise.
        message: the text, with ``{where}``, ``{code}``, ``{action}`` and ``{store}``.
        transient: whether a retry may succeed.
    """

    codes: frozenset[str]
    kind: type[StorageError]
    message: str
    transient: bool = False


class ObjectStore(ABC):
    """One account's access to a store.

    Args:
        client: sends the requests.
        signer: authorises them.
        expires_at: when the credentials expire, if that is known: stores have no error code of their own for it.

    Attributes:
        name: the store's name in messages, such as S3.
        meanings: the store's error codes. What is missing has the meaning of its HTTP status.
        conditions: the error codes of failed conditions, besides status 412.
        renewing: the statuses of a refused token, which is renewed once.
        attempts, first_pause, longest_pause: limits of retries; None for those of `RetryPolicy`.
    """

    name: ClassVar[str]
    meanings: ClassVar[tuple[Meaning, ...]] = ()
    conditions: ClassVar[frozenset[str]] = frozenset()
    renewing: ClassVar[frozenset[int]] = frozenset({HTTPStatus.UNAUTHORIZED})
    attempts: int | None = None
    first_pause: float | None = None
    longest_pause: float | None = None

    def __init__(self, client: HttpClient, signer: Signer, expires_at: datetime | None = None) -> None:
        self.client = client
        self.signer = signer
        self.expires_at = expires_at

    @abstractmethod
    def shown(self, path: str) -> str:
        """Return the location of an object for messages."""

    @abstractmethod
    def read_request(self, path: str, span: str | None, validator: str | None) -> Request:
        """Return the request for an object's bytes.

        Args:
            path: the object's.
            span: the value of the Range header, or None for the whole object.
            validator: the version to read, as `validator` returned it, or None for any; a store that can should refuse
                any other one.
        """

    def validator(self, headers: Headers) -> str | None:
        """Return what tells the object's version from others, from a response's headers; None if it must be there."""
        etag = headers.get("ETag", "")
        return etag if _ETAG.fullmatch(etag) else None

    def properties(self, headers: Headers) -> Mapping[str, str] | None:  # noqa: ARG002 - for subclasses
        """Return what the store keeps with the object for its writer, by names in lower case; None if it keeps none."""
        return None

    def changes_bytes(self, headers: Headers) -> bool:
        """Return whether a response's body is not the object's bytes, but was recoded on the way.

        ``identity`` and ``aws-chunked`` change no byte: some stores keep the latter from an upload and repeat it.
        """
        encodings = headers.get("Content-Encoding", "").lower().split(",")
        return not {one.strip() for one in encodings} <= {"", "identity", "aws-chunked"}

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:  # noqa: ARG002 - for subclasses
        """Return the code in an error response, or an empty string. This one reads the XML of S3 and Azure."""
        found = _XML_CODE.search(body)
        return found[1].decode() if found else ""

    # What the engine does with it.

    def retry_policy(self) -> RetryPolicy:
        """Return a new policy that decides how often a request is sent."""
        return RetryPolicy(attempts=self.attempts, first_pause=self.first_pause, longest_pause=self.longest_pause)

    def routed(self, request: Request, path: str) -> Request:  # noqa: ARG002 - for subclasses
        """Return the request for the server that is known by now to have the object."""
        return request

    def send(
        self,
        request: Request,
        path: str,
        action: Action,
        *,
        accept: Collection[int] = (HTTPStatus.OK,),
        busy: deque[Connection] | None = None,
    ) -> Response | Failure:
        """Sign and send a request once; return the response if its status is one of `accept`, else the failure.

        The response's body is unread; end it with its `close`. A token that is refused is renewed once. For `busy`, see
        `HttpClient.send`.
        """
        try:
            return self._send_signed(request, path, action, accept, busy)
        except BaseException as error:  # such as an interrupt
            traceback.clear_frames(error.__traceback__)  # those below hold keys and signatures
            raise

    def _send_signed(
        self, request: Request, path: str, action: Action, accept: Collection[int], busy: deque[Connection] | None
    ) -> Response | Failure:
        renewed = False
        request = self.routed(request, path)
        while True:
            try:
                signed = self.signer.sign(request)
            except ConnectorError as error:
                return Failure(error, transient=isinstance(error, StorageUnavailable))
            outcome = self.client.send(signed) if busy is None else self.client.send(signed, busy)
            if isinstance(outcome, Failure):
                return self.located(outcome, path)
            if outcome.status in accept:
                return outcome
            if not renewed and outcome.status in self.renewing and self.signer.renew():
                outcome.close()
                renewed = True
                continue
            return self._refused(outcome, path, action)

    def call(
        self,
        request: Request,
        path: str,
        action: Action,
        *,
        accept: Collection[int] = (HTTPStatus.OK,),
        limit: int = MAX_REPLY,
    ) -> Reply:
        """Send a request, retry it while that may help, and return the whole response.

        Args:
            request: the request, unsigned.
            path: the object it is about, for errors.
            action: what it does, for errors.
            accept: the statuses of success.
            limit: the most bytes that the response may have.

        Raises:
            ConnectorError: no request got such a response.
        """
        retries, policy = 0, self.retry_policy()
        while True:
            outcome = self.attempt(request, path, action, accept=accept, limit=limit)
            if isinstance(outcome, Reply):
                return Reply(outcome.status, outcome.headers, outcome.body, retries)
            if retries and isinstance(outcome.error, ObjectExists) and not outcome.transient:
                message = (
                    f"{outcome.error}; but an earlier attempt of this write broke off, so the object may be the one "
                    "that was sent: read it to find out"
                )
                raise ObjectExists(message)
            self.wait(outcome, policy)
            retries += 1

    def attempt(
        self,
        request: Request,
        path: str,
        action: Action,
        *,
        accept: Collection[int] = (HTTPStatus.OK,),
        limit: int = MAX_REPLY,
    ) -> Reply | Failure:
        """Send a request once; return the whole response, or the failure. The arguments are those of `call`."""
        response = self.send(request, path, action, accept=accept)
        if isinstance(response, Failure):
            return response
        broken: BaseException | None = None
        body, length = b"", response.length
        try:
            body = response.read(min(limit, length) + 1 if length is not None else limit + 1)
        except BROKEN as error:
            broken = error
        finally:
            response.close()
        if broken is not None:
            return self.located(self.client.broken(broken, request.origin), path)
        if len(body) > limit or (length is not None and length > limit):
            return Failure(StorageUnavailable(f"{self.name} sent too large a response about {self.shown(path)}"))
        if length is not None and len(body) != length:
            message = f"{self.name} sent an incomplete response about {self.shown(path)}; try again later"
            return Failure(StorageUnavailable(message), transient=True)
        return Reply(response.status, response.headers, body)

    @staticmethod
    def wait(failure: Failure, policy: RetryPolicy) -> None:
        """Wait before the next request.

        Raises:
            ConnectorError: the failure is final, or the attempts are used up.
        """
        if not failure.transient:
            raise failure.error
        policy.wait(failure.error, failure.pause)

    def located(self, failure: Failure, path: str) -> Failure:
        """Return a failure of the connection with the object's location in its message."""
        error = failure.error
        if isinstance(error, MachineFailed):
            return failure
        named = type(error)(f"{error}; {self.shown(path)}")
        return Failure(named, transient=failure.transient, pause=failure.pause)

    def _refused(self, response: Response, path: str, action: Action) -> Failure:
        """Return the failure that a response means, and end it."""
        try:
            body = response.read(_MAX_ERROR)
        except BROKEN:
            body = b""  # the status says enough
        finally:
            response.close()
        code = self.error_code(response.status, response.headers, body)
        return self.refusal(response.status, code if _CODE.fullmatch(code) else "", path, action, response.headers)

    def refusal(self, status: int, code: str, path: str, action: Action, headers: Headers | None = None) -> Failure:
        """Return the failure that an error response means.

        Args:
            status: the HTTP status.
            code: the store's error code, or an empty string.
            path: the object's.
            action: what was being done.
            headers: the response's.
        """
        where, said = self.shown(path), f"{status} {code}" if code else str(status)
        found = next(
            (one for one in self.meanings if code in one.codes or (not code and str(status) in one.codes)), None
        )
        if found is None:
            found = self._by_status(status, code, action)
        kind, message = found.kind, found.message
        if kind is AccessDenied and self.expires_at is not None and self.expires_at <= datetime.now(UTC):
            kind = CredentialsExpired
            message = f"the credentials for {{where}} expired at {self.expires_at:%Y-%m-%d %H:%M:%S} UTC ({{code}})"
        text = message.format(where=where, code=said, action=action, store=self.name)
        pause = retry_after(headers) if headers is not None and found.transient else None
        return Failure(kind(text), transient=found.transient, pause=pause, status=status, code=code)

    def _by_status(self, status: int, code: str, action: Action) -> Meaning:
        """Return the meaning of an HTTP status."""
        kind: type[StorageError] = StorageError
        message = "{store} refused to {action} {where} ({code})"
        transient = False
        match status:
            case _ if status == HTTPStatus.PRECONDITION_FAILED or code in self.conditions:
                if action == "write":
                    kind, message = ObjectExists, "{where} already exists, and mode 'xb' does not replace it ({code})"
                else:
                    kind = ObjectChanged
                    message = "{where} was replaced while it was being read; open it again ({code})"
            case _ if status < HTTPStatus.MULTIPLE_CHOICES:
                kind, message = StorageUnavailable, "{store} sent an unexpected response for {where} ({code})"
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                kind, message = AccessDenied, "{store} does not let these credentials {action} {where} ({code})"
            case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
                kind, message = ObjectNotFound, "nothing is stored at {where} ({code})"
            case _ if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
                message = "{where} is redirected, and redirects are not followed; check the credentials ({code})"
            case _ if status in TRANSIENT:
                kind, transient = StorageUnavailable, True
                message = "{store} cannot {action} {where} now ({code}); try again later"
        return Meaning(frozenset(), kind, message, transient)

    def invalid(self, path: str, what: str) -> StorageUnavailable:
        """Return the error for a response that breaks the store's protocol."""
        return StorageUnavailable(f"{self.name} {what} for {self.shown(path)}")
