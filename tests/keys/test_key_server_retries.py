"""Key services that answer with an error, or not at all: what is tried again, and what it is in the end."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import pytest
from hostile import Answer, Request, hostile_server
from patience import until

from connectors.errors import KeyRefused, KeyUnavailable
from connectors.secrets import SecretText
from connectors.storage import HttpClient, KeyServer, Origin, Unsigned
from connectors.storage import Request as Sent


class Service(KeyServer):
    """A service whose overload is a 400, as AWS's."""

    name = "the service"
    reasons: ClassVar[dict[str, str]] = {"Disabled": "enable the key", "Overloaded": "it is overloaded"}
    transient = frozenset({"Overloaded"})
    first_pause = 0.001


def refusal(code: str, status: int = 400) -> Answer:
    return Answer(status, {}, json.dumps({"error": {"code": code}}).encode())


def ask(url: str, kind: type[KeyServer] = Service) -> Any:
    service = kind(HttpClient("tests"), Unsigned())
    return service.ask(Sent("POST", Origin.of(url), SecretText("/")), "key 7", "unwrap").reveal()


def test_transient_code_is_retried_whatever_its_status() -> None:
    def respond(request: Request) -> Answer:
        return Answer(body=b'{"key": 7}') if request.number == 2 else refusal("Overloaded")

    with hostile_server(respond) as (url, seen):
        assert ask(url) == {"key": 7}
    assert len(seen) == 3


def test_transient_code_that_stays_is_an_outage() -> None:
    with hostile_server(lambda _: refusal("Overloaded")) as (url, seen):
        with pytest.raises(KeyUnavailable, match=r"the service cannot unwrap key 7 now \(400 Overloaded\)"):
            ask(url)
    assert len(seen) == 3


@pytest.mark.parametrize("status", [400, 500, 503])
def test_code_with_a_reason_is_a_refusal_and_not_retried(status: int) -> None:
    with hostile_server(lambda _: refusal("Disabled", status)) as (url, seen):
        with pytest.raises(KeyRefused, match=rf"refuses to unwrap key 7 \({status} Disabled\): enable the key"):
            ask(url)
    assert len(seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_and_not_called_an_outage_that_passes(status: int) -> None:
    with hostile_server(lambda _: Answer(status, {"Location": "/elsewhere"})) as (url, seen):
        told = rf"it redirects \({status}\), and redirects are not followed; give the address that it leads to"
        with pytest.raises(KeyUnavailable, match=told):
            ask(url)
    assert [one.target for one in seen] == ["/"]


@pytest.mark.parametrize("status", [201, 204])
def test_success_without_a_result_is_an_invalid_response(status: int) -> None:
    with hostile_server(lambda _: Answer(status)) as (url, seen):
        with pytest.raises(KeyUnavailable, match="sent an invalid response about key 7"):
            ask(url)
    assert len(seen) == 1


class Impatient(Service):
    patience = 0.05


@contextmanager
def never_answering(drop: bytes) -> Iterator[tuple[str, list[socket.socket]]]:
    """Accept connections, and send a byte every now and then, or none. Gives the URL and the connections."""
    ended, connections = threading.Event(), []

    def accept(server: socket.socket) -> None:
        with suppress(OSError):  # it is closed in the end
            while True:
                connections.append(server.accept()[0])
                threading.Thread(target=drip, args=(connections[-1],), daemon=True).start()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client closes it
            while not ended.wait(0.01):
                connection.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(target=accept, args=(server,), daemon=True)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", connections
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()


@pytest.mark.parametrize("drop", [b"", b"H"], ids=["silent", "dripping"])
def test_service_that_never_answers_is_asked_three_times(drop: bytes) -> None:
    with never_answering(drop) as (url, connections):
        with pytest.raises(
            KeyUnavailable, match=r"the service cannot be reached to unwrap key 7: .* \(gave up after 3"
        ):
            ask(url, Impatient)
        until(lambda: len(connections) == 3, "all connections are accepted")
