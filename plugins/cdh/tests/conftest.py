"""A fake of the guest's API server: there is no guest here to attest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hostile import Answer, Request, hostile_server

from connectors.errors import KeyUnavailable
from connectors.secrets import SecretKey
from connectors.storage import RetryPolicy
from connectors.testing import KeyService

_NOT_GOT = b'rpc status: Status { code: INTERNAL, message: "[CDH] [ERROR]: Get Resource failed", details: [] }'


class Guest(KeyService):
    """A fake of api-server-rest with a key broker behind it that knows some resources.

    It follows https://github.com/confidential-containers/guest-components: api-server-rest/openapi/api.json, and
    src/router.rs, which responds with 500 and the text of the error to all that goes wrong below it.

    Attributes:
        url: its URL.
        resources: the resources by their paths.
        seen: the requests.
        answers: the next responses, in the place of its own.
    """

    source = "cdh"
    refusal = KeyUnavailable  # the server does not say which of both it is

    def __init__(self, stack: ExitStack) -> None:
        self.resources: dict[str, bytes] = {}
        self.answers: list[Answer] = []
        self._names = itertools.count()
        self._stack = stack
        self.url, self.seen = stack.enter_context(hostile_server(self._answer))
        self.shown = ("Confidential Data Hub", "clinic/key/", self.url)

    def _answer(self, request: Request) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        path = request.target.removeprefix("/cdh/resource/")
        if path == request.target:
            return Answer(404, {}, b"URL NOT FOUND")
        if request.method != "GET":
            return Answer(405, {}, b"Method Not Allowed")
        if path not in self.resources:
            return Answer(500, {}, _NOT_GOT)
        return Answer(200, {"Content-Type": "application/octet-stream"}, self.resources[path])

    def put(self, data: bytes) -> dict[str, Any]:
        """Give the broker a resource; return the document of a reference to it."""
        path = f"clinic/key/{next(self._names)}"
        self.resources[path] = data
        return {"source": "cdh", "resource": path, "address": self.url}

    @property
    def requests(self) -> int:
        return len(self.seen)

    def secrets(self) -> list[str]:
        return []

    def hold(self, key: SecretKey) -> dict[str, Any]:
        return self.put(key.reveal())

    def hold_bytes(self, data: bytes) -> dict[str, Any] | None:
        return self.put(data)

    def refuse(self) -> None:
        self.resources.clear()

    def vanish(self) -> None:
        self._stack.close()


@pytest.fixture
def guest() -> Iterator[Guest]:
    with ExitStack() as stack:
        yield Guest(stack)


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without a pause."""
    monkeypatch.setattr(RetryPolicy, "first_pause", 0.001)
