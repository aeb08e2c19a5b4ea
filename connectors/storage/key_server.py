"""Key services with an HTTP API: sends a request as the HTTP engine does, and tells a refusal from an outage."""

from __future__ import annotations

import base64
import binascii
import copy
import dataclasses
import json
import traceback
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, NoReturn, TypeVar

from connectors.errors import (
    ConnectorError,
    InvalidKey,
    KeyRefused,
    KeyUnavailable,
    MachineFailed,
    StorageError,
    StorageUnavailable,
)
from connectors.secrets import KEY_SIZE, Hidden, SecretKey
from connectors.storage.http.failures import Failure, retry_after
from connectors.storage.store import TRANSIENT, ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.storage.http.client import HttpClient
    from connectors.storage.http.messages import Headers, Request
    from connectors.storage.signing import Signer
    from connectors.storage.store import Action

__all__ = ["KeyServer"]

T = TypeVar("T")

_MAX_REPLY = 1 << 18
"""Bytes of the largest response: a key with whatever describes it."""

_PLAIN_ALPHABET = str.maketrans("-_", "+/")

_REASONS: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "it does not accept the wrapped key: it was wrapped by another key, or was changed",
    HTTPStatus.UNAUTHORIZED: "it does not accept the credentials; renew or correct them",
    HTTPStatus.FORBIDDEN: "these credentials may not do that; ask the owner of the key for the permission",
    HTTPStatus.NOT_FOUND: "there is no such key; check its name",
}


class KeyServer(ObjectStore):
    """A key service with an HTTP API. A subclass is a service's dialect, and has a method for each of its requests.

    Args:
        client: sends the requests; from now on it waits no longer than `patience`.
        signer: authorises them.

    Attributes:
        name: the service's name in messages, such as AWS KMS.
        patience: seconds in which a response must come, whether the service is silent or slow.
        reasons: why the service refuses, and what to do, by its error code; what is missing has the reason of its HTTP
            status.
        transient: the error codes of what passes, so that the request is sent again, whatever their HTTP status.
    """

    reasons: ClassVar[Mapping[str, str]] = {}
    transient: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[float] = 20.0
    attempts = 3
    _verb = "give"

    def __init__(self, client: HttpClient, signer: Signer) -> None:
        stall_timeout = min(client.limits.stall_timeout, self.patience)
        client.limits = dataclasses.replace(client.limits, stall_timeout=stall_timeout)
        super().__init__(client, signer)

    def shown(self, path: str) -> str:
        """Return what is asked for: the path itself, which names a key."""
        return path

    def read_request(self, path: str, span: str | None, validator: str | None) -> NoReturn:
        """Refuse: a key service has no objects."""
        raise NotImplementedError

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:  # noqa: ARG002
        """Return the code in an error response, or an empty string: here of `{"error": {"code": …}}`."""
        try:
            members = json.loads(body)
            code = members["error"]["code"]
        except (ValueError, TypeError, LookupError, RecursionError):
            return ""
        return code if isinstance(code, str) else ""

    def ask(self, request: Request, key: str, verb: str, body: Hidden | None = None) -> Hidden:
        """Send a request, retry it while that may help, and return the members of the JSON object in the response.

        Args:
            request: the request, unsigned and without a body.
            key: the name of the service's key, or of its resource, for messages.
            verb: what the service is asked to do, for messages: "unwrap".
            body: a JSON object to send, which may hold a key.

        Raises:
            KeyRefused, KeyUnavailable: as `KeySource.unwrap` says.
            MachineFailed: this machine failed, not the service.
        """
        return self._members(Hidden(self.get(request, key, verb, body)), key)

    def ask_once(self, request: Request, key: str, verb: str, body: Hidden | None = None) -> Hidden | ConnectorError:
        """Send a request as `ask` does, but once, and return the error instead of raising it: for `Tokens.log_in`."""
        one, request = self._prepared(request, verb, body)
        reply = one.attempt(request, key, "read", limit=_MAX_REPLY)
        if isinstance(reply, Failure):
            return reply.error
        try:
            return self._members(Hidden(reply.body), key)
        except KeyUnavailable as error:
            return error

    def _members(self, reply: Hidden, key: str) -> Hidden:
        try:
            members = Hidden(json.loads(reply.reveal()))
        except (ValueError, RecursionError):
            members = Hidden(None)
        if not isinstance(members.reveal(), dict):
            raise self.nonsense(key)
        return members

    def get(self, request: Request, key: str, verb: str, body: Hidden | None = None) -> bytes:
        """Send a request as `ask` does, and return the body of the response, whatever it is."""
        one, request = self._prepared(request, verb, body)
        try:
            return one.call(request, key, "read", limit=_MAX_REPLY).body
        except (KeyRefused, KeyUnavailable, MachineFailed):
            raise
        except StorageError as error:
            ours = self._as_ours(error, verb, key)
        except BaseException as error:  # such as an interrupt
            traceback.clear_frames(error.__traceback__)  # those below may hold the response
            raise
        raise ours

    def _as_ours(self, error: StorageError, verb: str, key: str) -> StorageError:
        """Return an error of the engine, or of a login, as one about a key."""
        kind: type[StorageError] = KeyUnavailable if isinstance(error, StorageUnavailable) else KeyRefused
        text = str(error)
        return kind(text if self.name in text else f"{self.name} cannot {verb} {key}: {text}")

    def _prepared(self, request: Request, verb: str, body: Hidden | None) -> tuple[KeyServer, Request]:
        """Return a copy of this server that sends the body and names the verb, and the request for it."""
        one = copy.copy(self)
        one._verb = verb  # noqa: SLF001 - a copy of its own
        request = dataclasses.replace(request, patience=self.patience)
        if body is not None:
            one.signer = _WithBody(self.signer, body)
            request = dataclasses.replace(request, headers={"Content-Type": "application/json", **request.headers})
        return one, request

    def refusal(self, status: int, code: str, path: str, action: Action, headers: Headers | None = None) -> Failure:  # noqa: ARG002
        """Return the failure that an error response means."""
        said = f"{status} {code}" if code else str(status)
        if code in self.transient or (code not in self.reasons and status in TRANSIENT):
            error: ConnectorError = KeyUnavailable(
                f"{self.name} cannot {self._verb} {path} now ({said}); try again later"
            )
            pause = retry_after(headers) if headers is not None else None
            return Failure(error, transient=True, pause=pause, status=status, code=code)
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return Failure(self.nonsense(path), status=status, code=code)
        if status < HTTPStatus.BAD_REQUEST:
            error = KeyUnavailable(
                f"{self.name} does not {self._verb} {path}: it redirects ({said}), and redirects are not followed; "
                "give the address that it leads to"
            )
            return Failure(error, status=status, code=code)
        reason = self.reasons.get(code, _REASONS.get(status))
        error = KeyRefused(f"{self.name} refuses to {self._verb} {path} ({said}){f': {reason}' if reason else ''}")
        return Failure(error, status=status, code=code)

    def located(self, failure: Failure, path: str) -> Failure:
        """Return a failure of the connection as one of the service."""
        if isinstance(failure.error, MachineFailed):
            return failure
        error = KeyUnavailable(f"{self.name} cannot be reached to {self._verb} {path}: {failure.error}")
        return Failure(error, failure.transient, failure.pause)

    def nonsense(self, key: str) -> KeyUnavailable:
        """Return the error for a response that breaks the service's API."""
        return KeyUnavailable(f"{self.name} sent an invalid response about {key}; check that it is this service")

    def key_of(self, text: object, key: str) -> SecretKey:
        """Return the key in base64 that a service has sent. Raises as `bytes_of` and `checked_key` do."""
        hidden = Hidden(text)
        del text
        return self.checked_key(self.bytes_of(hidden, key), key)

    def bytes_of(self, text: object, key: str) -> Hidden:
        """Return the bytes in base64 that a service has sent, in the usual or the URL-safe alphabet, padded or not.

        Raises:
            KeyUnavailable: it is not base64.
        """
        data = _decoded(Hidden(text))
        del text
        if data is None:
            raise self.nonsense(key)
        return data

    def reference_of(self, make: Callable[[], T], key: str) -> T:
        """Return the reference to a key that the service has wrapped, which `make` makes of its response.

        Raises:
            KeyUnavailable: a reference cannot hold what the service has sent.
        """
        try:
            return make()
        except ValueError:  # of pydantic; its text quotes the response
            pass
        raise self.nonsense(key)

    def checked_key(self, data: Hidden, key: str) -> SecretKey:
        """Return the bytes that a service has sent as a key.

        Raises:
            InvalidKey: they have another length.
        """
        size = len(data.reveal())
        if size != KEY_SIZE:
            message = f"what {self.name} holds under {key} has {size} bytes; a key has {KEY_SIZE}"
            raise InvalidKey(message)
        return SecretKey(data)


class _WithBody:
    """Adds a body as a request is sent, so that no traceback has it."""

    def __init__(self, signer: Signer, body: Hidden) -> None:
        self._signer = signer
        self._body = body

    def sign(self, request: Request) -> Request:
        """Return the request with its body, signed."""
        try:
            return self._signer.sign(dataclasses.replace(request, body=json.dumps(self._body.reveal()).encode()))
        except BaseException as error:  # such as one that no token is issued
            traceback.clear_frames(error.__traceback__)  # those below hold the body
            raise

    def renew(self) -> bool:
        """Renew as the signer does."""
        return self._signer.renew()


def _decoded(text: Hidden) -> Hidden | None:
    """Return the bytes of base64 text, or None if it is not that."""
    if not isinstance(text.reveal(), str):
        return None
    bare = text.reveal().rstrip("=").translate(_PLAIN_ALPHABET)
    try:
        return Hidden(base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None
