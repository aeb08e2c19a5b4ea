"""HTTP for one object: the signed query goes out as it was signed, and nowhere else.

urllib3 normalises the targets it is given, and writes them into its logs and errors. So its pools are given the bare
path, which may be seen, and the connection under them writes the real target. Nothing that urllib3 raises is chained
to what we raise.
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
from connectors_https.answers import SKEW, Failure, expired, refusal
from connectors_https.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import IO

    from connectors_https.location import Place

__all__ = ["CONNECT_TIMEOUT", "READ_TIMEOUT", "Client", "Limits", "RetryPolicy", "finish", "known_headers"]

CONNECT_TIMEOUT = 10.0
"""Seconds until a connection stands, TLS included."""
READ_TIMEOUT = 60.0
"""Seconds between two pieces of an answer, or until the next piece of a request is taken."""
_CONNECTIONS = 32
"""Connections kept open for the next request; more threads than that open theirs anew."""
_BLOCK = 1 << 17
"""Bytes of a request's body that are handed to the socket at once."""
_PIECE = 1 << 18
"""Bytes of an answer that are taken from the socket at once: what is lost at most where a connection breaks."""
_AGENT = f"enclave-connectors-https/{importlib.metadata.version('enclave-connectors-https')}"
_CAUGHT = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, and how often to try again.

    Attributes:
        connect_timeout: seconds until a connection stands.
        read_timeout: seconds of silence until a connection counts as broken.
        attempts: requests in a row that bring nothing until we give up.
        backoff: seconds that the first pause lasts at most; it doubles with each one that follows.
        longest_pause: seconds that any pause lasts at most, also one that the server asks for.
    """

    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = READ_TIMEOUT
    attempts: int = 5
    backoff: float = 0.5
    longest_pause: float = 30.0


class RetryPolicy(storage.RetryPolicy):
    """Counts the requests made for one purpose, and pauses between them."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(attempts=limits.attempts, first_pause=limits.backoff, longest_pause=limits.longest_pause)

    def wait_or_raise(self, failure: Failure) -> None:
        """Pause before the next request.

        Raises:
            ConnectorError: the failure's own, where it is final or it is enough.
        """
        if not failure.transient:
            raise failure.error
        self.wait(failure.error, failure.pause)


class _Connection(StallTimeoutConnection, HTTPConnection):
    """A connection that asks for one target, whatever it is told to ask for."""

    # http.client prints every request while its debug level is up, and a level set on its class is everybody's.
    debuglevel = 0

    def __init__(self, host: str, port: int | None = None, *, target: SecretText, silence: float, **kw: Any) -> None:
        super().__init__(host, port, **kw)
        self._target = target
        self.silence = silence
        self._holding = False
        self._head = b""

    def response_class(self, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        """Make an answer, as `http.client` calls it, and remember it: urllib3's own has no way to fill a buffer."""
        self.answer = super().response_class(*args, **kwargs)
        return self.answer

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - urllib3's signature
        """Write the request line with the real target."""
        super().putrequest(method, self._target.reveal(), skip_host, skip_accept_encoding)

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        """Send a request, its head together with the first bytes of its body.

        There are servers that take a request whose sender dies between the two for one with an empty body, and store
        that in the place of an object.
        """
        self._holding, self._head = body is not None, b""
        super().request(method, url, body, headers, **options)
        self._holding = False
        if self._head:  # there was no body
            self.send(b"")

    def send(self, data: Any) -> None:
        """Send bytes; the first ones of a request with a body wait for the next."""
        if self._holding:
            self._holding, self._head = False, bytes(data)
            return
        head, self._head = self._head, b""
        super().send(head + data if head else data)


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Client:
    """Requests for one object.

    Safe in threads, and in a forked child, which makes connections of its own.

    Args:
        place: where the object lies.
        query: the signed query, or None.
        limits: times and counts.
    """

    def __init__(self, place: Place, query: SecretText | None, limits: Limits) -> None:
        self.place = place
        self.limits = limits
        self.signature = Signature.of(None if query is None else query.reveal())
        self._target = SecretText(place.path if query is None else f"{place.path}?{query.reveal()}")
        self._headers = {
            "Accept-Encoding": "identity",
            "User-Agent": _AGENT,
        }
        # One pool for each process: setdefault makes two first threads agree on one, without a lock that a fork could
        # leave held. A child does not touch its parent's pool, whose queue has such a lock.
        self._pools: dict[int, HTTPConnectionPool] = {}

    def check_expiry(self) -> None:
        """Raise `CredentialsExpired` if the query's time is over by more than clocks differ."""
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
        """Make one request, and return its answer if its status is one of `accept`, else what went wrong.

        The answer's body is unread, and has to be given to `finish` in the end. Redirects are not followed.

        Args:
            method: GET or PUT.
            headers: headers beyond those of every request.
            accept: the statuses that are no failure.
            body: a file that is sent from its position on; `headers` gives its Content-Length.
            exclusive: the request is to create something, and to fail where something stands.

        Raises:
            CredentialsExpired: the query's time is over, so no request was made.
        """
        self.check_expiry()
        answer = self._send(method, {**self._headers, **headers}, body)
        if isinstance(answer, Failure) or answer.status in accept:
            return answer
        try:
            return refusal(answer, self.place, self.signature, method=method, exclusive=exclusive)
        finally:
            finish(answer)

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
        """Put the next bytes of an answer into `buffer`, and return how many; none at its end."""
        answer = _answer(response)
        try:
            return 0 if answer is None else answer.readinto(buffer[:_PIECE])
        except _CAUGHT as error:
            return self.broken(error)

    def broken(self, error: BaseException) -> Failure:
        """Return what a failed connection comes to, in words that hold nothing of the request."""
        host = self.place.host
        # The pool wraps some errors once more; what they are at heart is inside.
        while isinstance(error, urllib3.exceptions.ProtocolError | urllib3.exceptions.SSLError) and len(error.args) > 0:
            inner = error.args[-1]
            if not isinstance(inner, BaseException):
                break
            error = inner
        match error:
            case ssl.SSLCertVerificationError():
                message = (
                    f"the TLS certificate of {host} does not verify: {error.verify_message}; "
                    "somebody may be standing between, or the enclave lacks the authority that signed it"
                )
                return Failure(StorageUnavailable(message))
            case ssl.SSLError():
                reason = f"TLS with {host} failed: {error.reason or 'the connection broke'}"
            case urllib3.exceptions.NameResolutionError():
                reason = f"the name {host} does not resolve"
            case urllib3.exceptions.NewConnectionError():  # before the timeouts: urllib3 has it among them
                reason = f"no connection to {host}: refused or unreachable"
            case urllib3.exceptions.ConnectTimeoutError():
                reason = f"no connection to {host} within {self.limits.connect_timeout:g} s"
            case urllib3.exceptions.TimeoutError() | TimeoutError():
                reason = f"{host} was silent for {self.limits.read_timeout:g} s"
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
            "silence": limits.read_timeout,
        }
        if place.scheme == "http":
            return _Pool(place.host, place.port, **options)
        return _TlsPool(place.host, place.port, ssl_context=_verifying(), **options)

    def close(self) -> None:
        """Close the connections that nobody is using."""
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()


def known_headers(client: Client, known: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that the query's signature covers, as far as they are to be sent.

    Args:
        client: knows the signature.
        known: the values that we know, by lower-case name.

    Raises:
        NotSupported: it covers another one, besides the host.
    """
    signed = client.signature.signed_headers - {"host"}
    unknown = signed - known.keys()
    if unknown:
        message = (
            f"the query for {client.place.location} was signed together with the headers "
            f"{', '.join(sorted(unknown))}, whose values it does not tell; have it signed with the host alone"
        )
        raise NotSupported(message)
    return {name: known[name] for name in sorted(signed)}


def _verifying() -> ssl.SSLContext:
    """Return a TLS context that verifies certificate and name against the system's authorities.

    Not `ssl.create_default_context`: that one writes the session's keys to the file which SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def finish(response: BaseHTTPResponse) -> None:
    """Let an answer go: its connection is kept if all of the answer was read, else closed."""
    answer = _answer(response)
    if answer is not None:
        # Its headers are the server's, which may repeat the query: they are not to stay with the connection.
        connection: Any = response.connection
        connection.answer = None
        if not answer.isclosed():
            response.close()
        response.release_conn()


def _answer(response: BaseHTTPResponse) -> http.client.HTTPResponse | None:
    """Return the answer that urllib3 has wrapped; None if its connection is used for others again."""
    connection: Any = response.connection
    return None if connection is None else connection.answer
