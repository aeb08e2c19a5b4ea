"""Sends requests to servers, and keeps the connections for the next ones."""

from __future__ import annotations

import http.client
import logging
import os
import time
import traceback
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from connectors.errors import ConfigError
from connectors.secrets import Hidden
from connectors.storage.http.connection import is_readable
from connectors.storage.http.failures import Failure, broken
from connectors.storage.http.messages import Request, Response
from connectors.storage.http.network import Limits, issuer_of, open_connection, proxy_for, tls_context

if TYPE_CHECKING:
    import ssl

    from connectors.storage.http.connection import Connection
    from connectors.storage.http.network import Origin, Proxy

__all__ = ["BROKEN", "HttpClient"]

BROKEN = (OSError, http.client.HTTPException)
"""The errors of a failed connection; timeouts and TLS errors are among them as OSError."""
_CONNECTIONS = 64
"""Connections kept for the next requests to one server; further threads open new ones."""
_MAX_IDLE = 30.0
"""Seconds after which an idle connection is not used again: servers close idle ones, some of them unannounced."""
_LOG = logging.getLogger(__name__)


class HttpClient:
    """Sends requests. Safe in threads, and in a forked child, which opens its own connections.

    It follows no redirect, sends to no server but the request's, and writes no target and no header into a log.

    Args:
        agent: the User-Agent header.
        limits: timeouts, or None for the defaults.
    """

    limits = Limits()
    """The timeouts of clients that are given none."""

    def __init__(self, agent: str, limits: Limits | None = None) -> None:
        self.limits = limits or self.limits
        self._agent = agent
        # Idle connections by process, then by server. Their operations are atomic: no lock that a fork could leave
        # held.
        self._idle: dict[int, dict[Origin, deque[Connection]]] = {}
        weakref.finalize(self, _close_all, self._idle)
        self._context: ssl.SSLContext | None = None
        self._proxies: dict[Origin, Proxy | None] = {}

    def send(self, request: Request, busy: deque[Connection] | None = None) -> Response | Failure:
        """Send one request; return the response, whatever its status, with its body unread; or the failure.

        End the response with its `close`.

        Args:
            request: the request.
            busy: holds the connection while the response is waited for. Another thread that takes it out, and calls
                its `interrupt`, ends the wait.
        """
        try:
            proxy = self._proxy(request.origin)
        except ConfigError as error:
            return Failure(error)
        connection: Connection | None = None
        reason: BaseException
        try:
            headers = Hidden(self._headers(request))  # a traceback that prints locals would print them
            if not _are_sendable(headers):
                message = "a header of the request holds characters that headers cannot have; check the credentials"
                return Failure(ConfigError(message))
            connection = self._connected(request.origin, proxy)
            connection.patience = request.patience
            if busy is not None:
                busy.append(connection)
            raw = connection.transmit(request.method, request.target.reveal(), headers.reveal(), request.blocks())
            _take_out(busy)
        except BROKEN as error:
            reason = error
            if connection is not None:
                connection.close()
        except BaseException as error:  # such as an interrupt
            if connection is not None:
                connection.close()
            traceback.clear_frames(error.__traceback__)  # those below hold the signed request
            raise
        else:
            _log(request, str(raw.status))
            return Response(raw, connection, request.origin, partial(self._keep, request.origin))
        _log(request, type(reason).__name__)
        return self.broken(reason, request.origin, connected=connection is not None)

    def broken(self, error: BaseException, origin: Origin, *, connected: bool = True) -> Failure:
        """Return the failure that a broken connection to a server means; it holds nothing of the request."""
        proxy = self._proxy(origin)
        issuer = partial(issuer_of, origin, proxy, timeout=self.limits.connect_timeout)
        return broken(error, origin, proxy, self.limits, connected=connected, issuer=issuer)

    def _proxy(self, origin: Origin) -> Proxy | None:
        """Return the proxy for a server; the environment is read for the first request to it."""
        if origin not in self._proxies:
            self._proxies[origin] = proxy_for(origin)
        return self._proxies[origin]

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        given = request.all_headers
        names = {name.lower() for name in given}
        headers = [("Host", request.origin.authority), ("User-Agent", self._agent), *given.items()]
        if "accept-encoding" not in names:
            headers.append(("Accept-Encoding", "identity"))
        if request.body is not None or request.method in ("PUT", "POST"):
            headers.append(("Content-Length", str(request.size)))
        return headers

    def _connected(self, origin: Origin, proxy: Proxy | None) -> Connection:
        idle = self._idle_at(origin)
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread took it
                break
            if time.monotonic() - connection.idle_since < _MAX_IDLE and _is_quiet(connection):
                return connection
            connection.close()
        context = self._context
        if context is None and origin.scheme == "https":
            context = self._context = tls_context()
        limits = self.limits
        return open_connection(
            origin, proxy, context, connect_timeout=limits.connect_timeout, stall_timeout=limits.stall_timeout
        )

    def _idle_at(self, origin: Origin) -> deque[Connection]:
        pid = os.getpid()
        mine = self._idle.get(pid)
        if mine is None:
            _close_all(self._idle)  # a forked child's copies of its parent's sockets, which it must not use
            mine = self._idle.setdefault(pid, {})
        return mine.get(origin) or mine.setdefault(origin, deque())

    def _keep(self, origin: Origin, connection: Connection) -> None:
        idle = self._idle_at(origin)
        if len(idle) >= _CONNECTIONS:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        idle.append(connection)

    def close(self) -> None:
        """Close the idle connections; the next request opens new ones."""
        _close_all(self._idle)

    def __reduce__(self) -> NoReturn:
        message = (
            f"a {type(self).__name__} holds connections and does not pickle; open the dataset in the other process"
        )
        raise TypeError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._agent}>"


def _log(request: Request, outcome: str) -> None:
    """Log a request and its outcome, without its query, which may be secret."""
    path = request.target.reveal().partition("?")[0]
    _LOG.debug("%s %s%s: %s", request.method, request.origin.authority, path, outcome)


def _close_all(idle: dict[int, dict[Origin, deque[Connection]]]) -> None:
    """Close idle connections; in a forked child, this process's copies of their sockets."""
    for pid in list(idle):
        for connections in (idle.pop(pid, None) or {}).values():
            while connections:
                connections.pop().close()


def _is_quiet(connection: Connection) -> bool:
    """Return whether an idle connection is still open: nothing may arrive on it, not even its end."""
    return connection.sock is not None and not is_readable(connection.sock)


def _take_out(busy: deque[Connection] | None) -> None:
    """Take a connection out, so that it cannot be interrupted any more.

    Raises:
        ConnectionAbortedError: another thread has.
    """
    try:
        if busy is not None:
            busy.pop()
    except IndexError:
        message = "interrupted"
    else:
        return
    raise ConnectionAbortedError(message)


def _are_sendable(headers: Hidden) -> bool:
    """Return whether these are headers that can be sent: http.client's error would quote a value that it refuses."""
    return all(text.isascii() and text.isprintable() for pair in headers.reveal() for text in pair)
