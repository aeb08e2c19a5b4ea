"""A client of the JSON API: sends a request, retries it where that helps, and returns the whole response.

Cloud Storage documentation, "JSON API overview" and "Retry strategy".
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from connectors.errors import ConnectorError, StorageUnavailable
from connectors.storage import RetryPolicy
from connectors_gcs.error_mapping import Failure, ResponseTooLarge, broken, refusal
from connectors_gcs.identity import identity
from connectors_gcs.location import split_path
from connectors_gcs.transport import BROKEN, open_pool

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from urllib3 import HTTPConnectionPool

    from connectors_gcs.credentials import GcsCredentials
    from connectors_gcs.error_mapping import Action

__all__ = ["GOOGLE", "Client", "Response"]

GOOGLE = "https://storage.googleapis.com"
"""The endpoint of Google Cloud Storage."""
MAX_PAGE = 1 << 25
"""Bytes in the largest response that is not an object; a page of a listing has 1,000 entries."""


PIECE = 1 << 16
"""Bytes of a response that are read from the socket at once: the most that a broken connection loses."""


class Response(NamedTuple):
    """A server's response.

    Attributes:
        status: the HTTP status.
        headers: by name, in any case.
        body: the whole body.
        retries: how many requests were sent before it without a response.
        broken: why the body is incomplete.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    retries: int = 0
    broken: Exception | None = None

    def members(self) -> dict[str, Any] | None:
        """Return the body as a JSON object, or None if it is not one."""
        try:
            members = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return members if isinstance(members, dict) else None


class Client:
    """Sends requests for one account. Safe in threads, and in a forked child, which opens its own connections.

    Args:
        credentials: the account's.

    Attributes:
        endpoint: the server's URL, without a trailing slash.
        attempts: how often a request is sent at most.
        first_pause: the longest first backoff in seconds; it doubles with each retry.
        longest_pause: the longest backoff in seconds.
    """

    attempts = 6
    first_pause = 0.5
    longest_pause = 30.0

    def __init__(self, credentials: GcsCredentials) -> None:
        self.endpoint = (credentials.endpoint_url or GOOGLE).rstrip("/")
        self._identity = identity(credentials)
        self._billed = credentials.billed_project
        self._headers = {
            "User-Agent": f"enclave-connectors-gcs/{importlib.metadata.version('enclave-connectors-gcs')}",
            "Accept-Encoding": "identity",
        }
        # One pool per process: setdefault makes two first threads agree on one, without a lock that a fork could
        # leave held. A child does not touch its parent's connections.
        self._pools: dict[int, HTTPConnectionPool] = {}

    def target(self, path: str, *, at: str = "", upload: bool = False, **parameters: str | int | None) -> str:
        """Return the target of a request for ``bucket/key``, or for a bucket's objects.

        Args:
            path: ``bucket/key``, or a bucket.
            at: what follows the object's name.
            upload: use the path for uploads, which names only the bucket.
            parameters: the query's; those that are None are left out.
        """
        bucket, key = split_path(path)
        target = f"{'/upload' if upload else ''}/storage/v1/b/{quote(bucket, safe='')}/o"
        if key and not upload:
            target += f"/{quote(key, safe='')}{at}"
        given = {
            name: value for name, value in {**parameters, "userProject": self._billed}.items() if value is not None
        }
        return f"{target}?{urlencode(given, quote_via=quote, safe='')}" if given else target

    def request(
        self,
        method: str,
        target: str,
        path: str,
        action: Action,
        *,
        accept: Collection[int] = (HTTPStatus.OK,),
        **options: Any,
    ) -> Response:
        """Send a request, retry it while that may help, and return the response.

        Args:
            method: GET and so on.
            target: path and query.
            path: ``bucket/key``, for errors.
            action: what is being done, for errors.
            accept: the statuses of success.
            options: those of `send`.

        Raises:
            StorageError: no request got such a response.
        """
        retries, retry_policy = 0, self.retry_policy()
        while isinstance(outcome := self.send(method, target, path, action, accept=accept, **options), Failure):
            self.wait(outcome, retry_policy)
            retries += 1
        return outcome._replace(retries=retries)

    def retry_policy(self) -> RetryPolicy:
        """Return a new policy that decides how often a request is sent."""
        return RetryPolicy(attempts=self.attempts, first_pause=self.first_pause, longest_pause=self.longest_pause)

    @staticmethod
    def wait(failure: Failure, retry_policy: RetryPolicy) -> None:
        """Wait before the next request.

        Raises:
            ConnectorError: the failure is final, or the attempts are used up.
        """
        if not failure.transient:
            raise failure.error
        retry_policy.wait(failure.error)

    def send(
        self,
        method: str,
        target: str,
        path: str,
        action: Action,
        *,
        accept: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        authorized: bool = True,
        limit: int = MAX_PAGE,
        partial: bool = False,
    ) -> Response | Failure:
        """Send one request; return the response if its status is one of `accept`, else the failure.

        Args:
            method, target, path, action, accept: as in `request`.
            headers: headers beyond those of every request.
            body: the request's body.
            authorized: False leaves the token out, where the target is authorization enough.
            limit: the most bytes that the response may have.
            partial: also return an incomplete response, because the caller can use its start.
        """
        renewed = False
        while True:
            try:
                own = self._identity.headers() if authorized else {}
            except ConnectorError as error:
                return Failure(error, transient=isinstance(error, StorageUnavailable))
            outcome = self._exchange(method, target, {**self._headers, **own, **(headers or {})}, body, limit)
            if isinstance(outcome, Exception):
                return broken(outcome, path)
            if outcome.broken is not None and not partial:
                return broken(outcome.broken, path)
            if outcome.status in accept:
                return outcome
            if renewed or not own or outcome.status != HTTPStatus.UNAUTHORIZED or not self._identity.renew():
                return refusal(outcome.status, outcome.body, path, action, renewable=self._identity.renewable)
            renewed = True

    def _exchange(
        self, method: str, target: str, headers: dict[str, str], body: bytes, limit: int
    ) -> Response | Exception:
        """Return the response, or the error: a failed connection, or a response that is too large."""
        try:
            response = self._pool().urlopen(
                method,
                target,
                body=io.BytesIO(body) if body else None,
                headers={**headers, "Content-Length": str(len(body))} if body else headers,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except BROKEN as error:
            return error
        pieces: list[bytes] = []
        try:
            # Until nothing is left: urllib3 compares the length with Content-Length only when it reads no more bytes.
            while limit >= 0 and (piece := response.read(min(PIECE, limit + 1), decode_content=False)):
                pieces.append(piece)
                limit -= len(piece)
        except BROKEN as error:
            return Response(response.status, response.headers, b"".join(pieces), broken=error)
        if limit < 0:
            response.close()  # closes the connection too, with the rest of the body
            return ResponseTooLarge()
        response.release_conn()
        return Response(response.status, response.headers, b"".join(pieces))

    def _pool(self) -> HTTPConnectionPool:
        pid = os.getpid()
        pool = self._pools.get(pid)
        if pool is None:
            pool = self._pools.setdefault(pid, open_pool(self.endpoint))
        return pool

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.endpoint}>"
