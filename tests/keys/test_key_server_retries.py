"""Key services that answer with an error code: what is tried again, and what it is in the end."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from hostile import Answer, Request, hostile_server

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


def ask(url: str) -> Any:
    service = Service(HttpClient("tests"), Unsigned())
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
    assert len(seen) == Service(HttpClient("tests"), Unsigned()).retry_policy().attempts


@pytest.mark.parametrize("status", [400, 500, 503])
def test_code_with_a_reason_is_a_refusal_and_not_retried(status: int) -> None:
    with hostile_server(lambda _: refusal("Disabled", status)) as (url, seen):
        with pytest.raises(KeyRefused, match=rf"refuses to unwrap key 7 \({status} Disabled\): enable the key"):
            ask(url)
    assert len(seen) == 1
