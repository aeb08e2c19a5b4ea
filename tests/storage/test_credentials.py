"""Rules for the members of credentials documents, and exactly one complete way to authenticate."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

import pytest

from connectors.credentials.model import validate
from connectors.errors import InvalidCredentials
from connectors.secrets import SecretText
from connectors.storage import (
    BucketCredentials,
    Credentials,
    SecretWord,
    Way,
    Word,
    checked,
    exactly_one_way,
    matching,
    word_problem,
)


class Shelf(Credentials):
    type: Literal["shelf"] = "shelf"
    user: Word | None = None
    token: SecretWord | None = None
    room: Annotated[str, matching(re.compile("[a-z]+"), "not a room, such as attic")] | None = None
    badge: Annotated[SecretText, matching(re.compile("[0-9]+"), "not a number")] | None = None
    floor: Annotated[int, checked(lambda value: None if value < 9 else "there are 9 floors")] = 0


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({"user": ""}, "credentials.user: empty; leave it out if there is none"),
        ({"user": "two words"}, "credentials.user: contains white space or other characters that are not allowed here"),
        ({"token": "hush\n"}, "credentials.token: contains white space or other characters that are not allowed here"),
        ({"token": "hüsh"}, "credentials.token: contains white space or other characters that are not allowed here"),
        ({"token": '"hush"'}, "credentials.token: has quotation marks in addition to those of JSON; remove them"),
        ({"token": "hush”"}, "credentials.token: has quotation marks in addition to those of JSON; remove them"),
        ({"room": "attic/"}, "credentials.room: not a room, such as attic"),
        ({"badge": "hush"}, "credentials.badge: not a number"),
        ({"floor": 9}, "credentials.floor: there are 9 floors"),
    ],
)
def test_rule_names_the_member_and_does_not_quote_it(members: dict[str, object], rule: str) -> None:
    with pytest.raises(InvalidCredentials) as caught:
        validate(Shelf, {"encryption": None, **members})
    assert str(caught.value) == rule
    assert "hush" not in repr(caught.value)


def test_members_that_keep_the_rules_are_kept() -> None:
    members = {"user": "anna", "token": "hush", "room": "attic", "badge": "7", "floor": 8, "encryption": None}
    made = validate(Shelf, members)
    assert made.document() == members
    assert "hush" not in repr(made)
    assert word_problem(SecretText("hush")) is None


class Library(BucketCredentials):
    ways: ClassVar[tuple[Way, ...]] = (
        Way(("key_id", "key"), extras=("session",)),
        Way(("tenant", "client", "secret"), extras=("server",), title="a reader"),
        Way(("machine",), extras=("client",)),
        Way(("anonymous",)),
    )

    type: Literal["library"] = "library"
    key_id: str | None = None
    key: SecretText | None = None
    session: str | None = None
    tenant: str | None = None
    client: str | None = None
    secret: SecretText | None = None
    server: str | None = None
    machine: bool = False
    shut: bool = False

    def contradiction(self) -> str | None:
        return "the library is shut" if self.shut else None


KEYS = {"key_id": "k", "key": "hush"}
READER = {"tenant": "t", "client": "c", "secret": "hush"}
LISTED = "give exactly one of key_id (with key), tenant (with client and secret), machine and anonymous"


@pytest.mark.parametrize(
    "members",
    [
        KEYS,
        {**KEYS, "session": "s"},
        READER,
        {**READER, "server": "s"},
        {"machine": True},
        {"machine": True, "client": "c"},
        {"anonymous": True},
        {**KEYS, "endpoint_url": "http://127.0.0.1:9000"},
        {**KEYS, "endpoint_url": "http://library.example", "allow_http": True},
    ],
)
def test_one_complete_way_is_accepted(members: dict[str, object]) -> None:
    assert validate(Library, {"encryption": None, **members}).document() == {"encryption": None, **members}


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({}, f'no credentials are given: {LISTED}; for a public object add "anonymous": true'),
        ({"session": "s"}, f'no credentials are given: {LISTED}; for a public object add "anonymous": true'),
        ({**KEYS, "anonymous": True}, LISTED),
        ({**KEYS, "client": "c"}, LISTED),
        ({"machine": True, **READER}, LISTED),
        ({"key": "hush"}, "key_id and key go together; key_id is missing"),
        ({"client": "c"}, "a reader needs all of tenant, client and secret; tenant and secret are missing"),
        ({"anonymous": True, "session": "s"}, "session needs key_id and key"),
        ({"machine": True, "server": "s"}, "server needs tenant, client and secret"),
        ({**KEYS, "shut": True}, "the library is shut"),
        ({**KEYS, "shut": True, "endpoint_url": "http://library.example"}, "the library is shut"),
        (
            {**KEYS, "endpoint_url": "http://library.example"},
            'endpoint_url: http:// is not encrypted; use https://, or set "allow_http": true',
        ),
    ],
)
def test_anything_but_one_complete_way_is_refused(members: dict[str, object], rule: str) -> None:
    with pytest.raises(InvalidCredentials) as caught:
        validate(Library, {"encryption": None, **members})
    assert str(caught.value) == f"credentials: {rule}"


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("ftp://hush.example", "an endpoint is a URL such as https://storage.example.org"),
        ("https://hush.example/a/../b", "its path contains a segment . or .."),
        ("https://hush.example/?a", "an endpoint has no user information, query or fragment"),
        ("https://hush.example:port", "not a URL: its host or port cannot be read"),
    ],
)
def test_endpoint_is_checked_and_not_quoted(url: str, rule: str) -> None:
    with pytest.raises(InvalidCredentials, match="credentials.endpoint_url: ") as caught:
        validate(Library, {"encryption": None, **KEYS, "endpoint_url": url})
    assert rule in str(caught.value)
    assert "hush" not in str(caught.value)


def test_backend_may_say_itself_what_is_missing() -> None:
    class Nothing:
        token = None
        ambient = False

    ways = (Way(("token",)), Way(("ambient",)))
    assert exactly_one_way(Nothing(), ways, "token is missing") == (
        'token is missing; for the credentials that this machine provides "ambient": true'
    )
