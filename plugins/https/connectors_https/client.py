"""An HTTP client for one object, which sends the signed query unchanged and reveals it nowhere else.

urllib3 normalises targets, and writes them into its logs and errors. So its pools get only the path, which is no
secret, and the connection under them sends the real target. No error of urllib3's is chained to those raised here.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import os
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3.exceptions
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors import storage
from connectors.errors import NotSupported, StorageUnavailable
from connectors.secrets import SecretText
from connectors.storage import StallTimeoutConnection
from connectors_https.error_mapping import SKEW, Failure, expired, refusal
from connectors_https.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import IO

    from connectors_https.location import Place

__all__ = ["CONNECT_TIMEOUT", "READ_TIMEOUT", "Client", "Limits", "RetryPolicy", "finish", "known_headers"]

CONNECT_TIMEOUT = 10.0
"""Connect timeout in seconds, TLS included."""
READ_TIMEOUT = 60.0
"""Stall timeout in seconds: the longest wait for the next bytes of a response, or for a request's to be accepted."""
_CONNECTIONS = 32
"""Connections kept open for the next request; further threads open new ones."""
_BLOCK = 1 << 17
"""Bytes of a request's body that are passed to the socket at once."""
_PIECE = 1 << 18
"""Bytes of a response that are read from the socket at once: the most that a broken connection loses."""
_AGENT = f"enclave-connectors-https/{importlib.metadata.version('enclave-connectors-https')}"
_CAUGHT = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


@dataclass(frozen=True, slots=True)
class Limits:
    """Timeouts, and limits of retries.

    Attributes:
        connect_timeout: seconds for connecting.
        read_timeout: the stall timeout in seconds.
        attempts: the most consecutive requests without progress.
        backoff: the longest first backoff in seconds; it doubles with each retry.
        longest_pause: the longest backoff in seconds, and the most of a server's Retry-After that is honoured.
    """

    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = READ_TIMEOUT
    attempts: int = 5
    backoff: float = 0.5
    longest_pause: float = 30.0


class RetryPolicy(storage.RetryPolicy):
    """The retry policy of `Limits`, which honours a failure's Retry-After."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(attempts=limits.attempts, first_pause=limits.backoff, longest_pause=limits.longest_pause)

    def wait_or_raise(self, failure: Failure) -> None:
        """Wait before the next request.

        Raises:
            ConnectorError: the failure is final, or the attempts are used up.
        """
        if not failure.transient:
            raise failure.error
        self.wait(failure.error, failure.pause)


class _Connection(StallTimeoutConnection, HTTPConnection):
    """A connection that requests one target, whatever target it is given."""

    # At a higher debug level, http.client prints every request, and other code may set the level of the base class.
    debuglevel = 0

    def __init__(
        self, host: str, port: int | None = None, *, target: SecretText, stall_timeout: float, **kw: Any
    ) -> None:
        super().__init__(host, port, **kw)
        self._target = target
        self.stall_timeout = stall_timeout
        self._holding = False
        self._head = b""

    def response_class(self, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        """Make a response for `http.client`, and keep it, because urllib3's wrapper cannot read into a buffer."""
        self.raw_response = super().response_class(*args, **kwargs)
        return self.raw_response

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - urllib3's signature
        """Write the request line with the real target."""
        super().putrequest(method, self._target.reveal(), skip_host, skip_accept_encoding)

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        """Send a request, its head together with the first bytes of its body.

        If the sender dies between the two, some servers take the body for empty and replace the object with nothing.
        """
        self._holding, self._head = body is not None, b""
        super().request(method, url, body, headers, **options)
        self._holding = False
        if self._head:  # the body was empty
            self.send(b"")

    def send(self, data: Any) -> None:
        """Send bytes; the head of a request with a body is held back until the body starts."""
        if self._holding:
            self._holding, self._head = False, bytes(data)
            return
        head, self._head = self._head, b""
        super().send(head + data if head else data)


class _TlsConnection(_Connection, HTTPSConnection):
    """The same connection over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Client:
    """Sends requests for one object. Safe in threads, and in a forked child, which opens its own connections.

    Args:
        place: the object's location.
        query: the signed query, or None.
        limits: timeouts and limits of retries.
    """

    def __init__(self, place: Place, query: SecretText | None, limits: Limits) -> None:
        self.place = place
        self.limits = limits
        self.signature = Signature.of(None if query is None else query.reveal(), place.location)
        self._target = SecretText(place.path if query is None else f"{place.path}?{query.reveal()}")
        self._headers = {
            "Accept-Encoding": "identity",
            "User-Agent": _AGENT,
        }
        # One pool per process: setdefault makes two first threads agree on one, without a lock that a fork could
        # leave held. A child does not touch its parent's pool, whose queue has such a lock.
        self._pools: dict[int, HTTPConnectionPool] = {}

    def check_expiry(self) -> None:
        """Raise `CredentialsExpired` if the query expired longer ago than clocks differ."""
        if self.signature.expires_at is not None and time.time() > self.signature.expires_at.timestamp() + SKEW:
            raise expired(self.place, self.signature.expires_at)

    def request(
        self,
        method: str,
        headers: Mapping[str, str],
        *,
        accept: Collection[int],
        body: IO[bytes] | None = None,
        exclusive: bool = False,
    ) -> BaseHTTPResponse | Failure:
        """Send one request; return the response if its status is one of `accept`, else the failure.

        The response's body is unread; pass the response to `finish` in the end. Redirects are not followed.

        Args:
            method: GET or PUT.
            headers: headers beyond those of every request.
            accept: the statuses of success.
            body: a file that is sent from its position on; `headers` gives its Content-Length.
            exclusive: the request must create an object, not replace one.

        Raises:
            CredentialsExpired: the query has expired, so no request was sent.
        """
        self.check_expiry()
        response = self._send(method, {**self._headers, **headers}, body)
        if isinstance(response, Failure) or response.status in accept:
            return response
        try:
            return refusal(response, self.place, self.signature, method=method, exclusive=exclusive)
        finally:
            finish(response)

    def _send(self, method: str, headers: dict[str, str], body: IO[bytes] | None) -> BaseHTTPResponse | Failure:
        try:
            return self._pool().urlopen(
                method,
                self.place.path,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except _CAUGHT as error:
            return self.broken(error)

    def read_into(self, response: BaseHTTPResponse, buffer: memoryview) -> int | Failure:
        """Read the next bytes of a response into `buffer`, and return how many; 0 at its end."""
        raw = _raw_response(response)
        try:
            return 0 if raw is None else raw.readinto(buffer[:_PIECE])
        except _CAUGHT as error:
            return self.broken(error)

    def broken(self, error: BaseException) -> Failure:
        """Return the failure that a broken connection means; its message holds nothing of the request."""
        host = self.place.host
        # The pool wraps some errors; the cause is inside.
        while isinstance(error, urllib3.exceptions.ProtocolError | urllib3.exceptions.SSLError) and len(error.args) > 0:
            inner = error.args[-1]
            if not isinstance(inner, BaseException):
                break
            error = inner
        match error:
            case ssl.SSLCertVerificationError():
                message = (
                    f"the TLS certificate of {host} cannot be verified: {error.verify_message}; the connection may be "
                    "intercepted, or the enclave does not know the authority that signed the certificate"
                )
                return Failure(StorageUnavailable(message))
            case ssl.SSLError():
                reason = f"TLS with {host} failed: {error.reason or 'the connection broke'}"
            case urllib3.exceptions.NameResolutionError():
                reason = f"the name {host} does not resolve"
            case urllib3.exceptions.NewConnectionError():  # before the timeouts, of which urllib3 makes it a subclass
                reason = f"no connection to {host}: refused or unreachable"
            case urllib3.exceptions.ConnectTimeoutError():
                reason = f"no connection to {host} within {self.limits.connect_timeout:g} s"
            case urllib3.exceptions.TimeoutError() | TimeoutError():
                reason = f"{host} sent nothing for {self.limits.read_timeout:g} s"
            case _:
                reason = f"the connection to {host} broke"
        return Failure(StorageUnavailable(f"{reason}; {self.place.location}"), transient=True)

    def _pool(self) -> HTTPConnectionPool:
        pid = os.getpid()
        pool = self._pools.get(pid)
        if pool is None:
            pool = self._pools.setdefault(pid, self._new_pool())
        return pool

    def _new_pool(self) -> HTTPConnectionPool:
        place, limits = self.place, self.limits
        options: dict[str, Any] = {
            "timeout": Timeout(connect=limits.connect_timeout, read=limits.read_timeout),
            "maxsize": _CONNECTIONS,
            "retries": False,
            "blocksize": _BLOCK,
            "target": self._target,
            "stall_timeout": limits.read_timeout,
        }
        if place.scheme == "http":
            return _Pool(place.host, place.port, **options)
        return _TlsPool(place.host, place.port, ssl_context=_verifying(), **options)

    def close(self) -> None:
        """Close the idle connections."""
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()


def known_headers(client: Client, known: Mapping[str, str]) -> dict[str, str]:
    """Return the headers to send because the query's signature covers them.

    Args:
        client: the object's client.
        known: the values of known headers, by lower-case name.

    Raises:
        NotSupported: the signature covers another header besides the host.
    """
    signed = client.signature.signed_headers - {"host"}
    unknown = signed - known.keys()
    if unknown:
        message = (
            f"the query for {client.place.location} was signed together with the headers "
            f"{', '.join(sorted(unknown))}, whose values are not known here; get a URL signed with the host alone"
        )
        raise NotSupported(message)
    return {name: known[name] for name in sorted(signed)}


def _verifying() -> ssl.SSLContext:
    """Return a TLS context that verifies the certificate and host name with the system's certificate authorities.

    Not `ssl.create_default_context`, which writes session keys to the file that SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def finish(response: BaseHTTPResponse) -> None:
    """Release a response: keep its connection if all of it was read, else close the connection."""
    raw = _raw_response(response)
    if raw is not None:
        # The server's headers may repeat the query, so they must not stay with the connection.
        connection: Any = response.connection
        connection.raw_response = None
        if not raw.isclosed():
            response.close()
        response.release_conn()


def _raw_response(response: BaseHTTPResponse) -> http.client.HTTPResponse | None:
    """Return the response that urllib3 has wrapped; None if its connection was released."""
    connection: Any = response.connection
    return None if connection is None else connection.raw_response
