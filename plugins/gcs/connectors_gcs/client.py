"""Requests of the JSON API: one of them and its whole answer at a time, tried again where that helps.

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
from connectors_gcs.error_mapping import Endless, Failure, broken, refusal
from connectors_gcs.identity import identity
from connectors_gcs.location import split_path
from connectors_gcs.transport import BROKEN, open_pool

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from urllib3 import HTTPConnectionPool

    from connectors_gcs.credentials import GcsCredentials
    from connectors_gcs.error_mapping import Action

__all__ = ["GOOGLE", "Answer", "Client"]

GOOGLE = "https://storage.googleapis.com"
"""Where Google Cloud Storage is."""
MAX_PAGE = 1 << 25
"""Bytes in the largest answer that is no object's; a page of a listing tells of 1,000."""


PIECE = 1 << 16
"""Bytes of an answer that are taken from the socket at once: what is lost at most where a connection breaks."""


class Answer(NamedTuple):
    """A server's answer.

    Attributes:
        status: the HTTP status.
        headers: by name, in any case.
        body: all of it.
        again: how many requests without an answer came before it.
        broken: why the body has not come to its end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    again: int = 0
    broken: Exception | None = None

    def members(self) -> dict[str, Any] | None:
        """Return the body as a JSON object, or None where it is none."""
        try:
            members = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return members if isinstance(members, dict) else None


class Client:
    """Requests of one account. Safe in threads, and in a forked child, which makes connections of its own.

    Args:
        credentials: whose account it is.

    Attributes:
        endpoint: the server's URL, without a slash at its end.
        attempts: how often a request is sent at most.
        first_pause: seconds that the first pause lasts at most; it doubles with each one that follows.
        longest_pause: seconds that any pause lasts at most.
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
        # One pool for each process: setdefault makes two first threads agree on one, without a lock that a fork could
        # leave held. A child does not touch its parent's connections.
        self._pools: dict[int, HTTPConnectionPool] = {}

    def target(self, path: str, *, at: str = "", upload: bool = False, **parameters: str | int | None) -> str:
        """Return what is asked for in a request about ``bucket/key``, or about a bucket's objects.

        Args:
            path: ``bucket/key``, or a bucket.
            at: what follows the object's name.
            upload: use the path for uploads, which go to a bucket's objects.
            parameters: of the query; those that are None are left out.
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
    ) -> Answer:
        """Return the answer to a request, which is sent again while that may help.

        Args:
            method: GET and so on.
            target: path and query.
            path: ``bucket/key``, for errors.
            action: what is being done, for errors.
            accept: the statuses that are no failure.
            options: those of `send`.

        Raises:
            StorageError: there is no such answer.
        """
        again, retry_policy = 0, self.retry_policy()
        while isinstance(outcome := self.send(method, target, path, action, accept=accept, **options), Failure):
            self.wait(outcome, retry_policy)
            again += 1
        return outcome._replace(again=again)

    def retry_policy(self) -> RetryPolicy:
        """Return what decides how often a request is made."""
        return RetryPolicy(attempts=self.attempts, first_pause=self.first_pause, longest_pause=self.longest_pause)

    @staticmethod
    def wait(failure: Failure, retry_policy: RetryPolicy) -> None:
        """Pause before the next request.

        Raises:
            ConnectorError: the failure's own, where it is final or it is enough.
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
        partly: bool = False,
    ) -> Answer | Failure:
        """Send one request, and return its answer if its status is one of `accept`, else what went wrong.

        Args:
            method, target, path, action, accept: as in `request`.
            headers: headers beyond those of every request.
            body: what is sent.
            authorized: False leaves the token out, where knowing the target is enough.
            limit: bytes that the answer may have.
            partly: return an answer that breaks off, too: what there is of it is worth something.
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
            if outcome.broken is not None and not partly:
                return broken(outcome.broken, path)
            if outcome.status in accept:
                return outcome
            if renewed or not own or outcome.status != HTTPStatus.UNAUTHORIZED or not self._identity.renew():
                return refusal(outcome.status, outcome.body, path, action, renewable=self._identity.renewable)
            renewed = True

    def _exchange(
        self, method: str, target: str, headers: dict[str, str], body: bytes, limit: int
    ) -> Answer | Exception:
        """Return the answer to a request, or what broke the connection, or made an answer longer than allowed."""
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
            # Until there is nothing more: only an empty piece has urllib3 look whether that was all that was promised.
            while limit >= 0 and (piece := response.read(min(PIECE, limit + 1), decode_content=False)):
                pieces.append(piece)
                limit -= len(piece)
        except BROKEN as error:
            return Answer(response.status, response.headers, b"".join(pieces), broken=error)
        if limit < 0:
            response.close()  # its connection too, with whatever else would come
            return Endless()
        response.release_conn()
        return Answer(response.status, response.headers, b"".join(pieces))

    def _pool(self) -> HTTPConnectionPool:
        pid = os.getpid()
        pool = self._pools.get(pid)
        if pool is None:
            pool = self._pools.setdefault(pid, open_pool(self.endpoint))
        return pool

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.endpoint}>"
