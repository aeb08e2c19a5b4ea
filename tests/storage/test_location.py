"""Locations in stores of buckets, described as data, and what a backend made of such a description does itself."""

from __future__ import annotations

import re

import pytest

from connectors.errors import ConfigError, InvalidLocation, NotSupported
from connectors.storage import BucketBackend, BucketLocation, BucketPlace, Credentials, split_path

SHELF = BucketLocation("the library", ("shelf",), re.compile("[a-z]{3,8}"), "3 to 8 letters", key_limit=10)
ROOM = BucketLocation(
    "the archive",
    ("room", "rooms"),
    re.compile("[a-z]+"),
    "letters",
    key_limit=4,
    key_unit="characters",
    words=("room", "title", "book"),
    hosts=re.compile(r"[a-z]+\.example"),
    host_rule="a building, such as north.example",
    misplaced=lambda text: "it has a building in place of the room" if text.endswith(".example") else None,
    unsafe=lambda key: "its title has a star" if "*" in key else None,
)


@pytest.mark.parametrize(
    ("location", "place", "folder"),
    [
        ("shelf://abc/a b%?#", ("abc", "a b%?#", ""), False),
        ("SHELF://abc/a@b", ("abc", "a@b", ""), False),
        ("shelf://abc/a/", ("abc", "a/", ""), True),
        ("shelf://abc/", ("abc", "", ""), True),
        ("shelf://abc/" + "é" * 5, ("abc", "é" * 5, ""), False),
    ],
)
def test_key_is_literal(location: str, place: tuple[str, str, str], folder: bool) -> None:
    found = SHELF.parse(location)
    assert (found, found.is_folder) == (place, folder)
    assert split_path(found.path) == SHELF.split(found.path) == place[:2]


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("abc/key", "it does not start with shelf://"),
        ("shelf:///key", "it does not name a bucket"),
        ("shelf://abc", "it does not name a key; for the whole bucket, put a slash at the end"),
        ("shelf://ABC/key", "its bucket has an invalid name; use 3 to 8 letters"),
        ("shelf://anna:hunter2@abc/key", "it contains user information; put that into the credentials document"),
        ("shelf://abc/a\tb", "its key contains control characters"),
        ("shelf://abc/a/../b", "its key contains a segment . or .."),
        ("shelf://abc/\ud800", "its key is not Unicode text"),
        ("shelf://abc/" + "é" * 6, "its key has 12 bytes; the limit is 10"),
    ],
)
def test_error_says_what_is_wrong_and_shows_no_password(location: str, problem: str) -> None:
    with pytest.raises(InvalidLocation) as caught:
        SHELF.parse(location)
    said = str(caught.value)
    assert said.startswith("a location in the library is shelf://bucket/key, and '")
    assert said.endswith(f" is not: {problem}")
    assert "hunter2" not in said


def test_host_after_the_bucket_is_told_in_lower_case() -> None:
    assert ROOM.parse("rooms://attic@North.example/a") == BucketPlace("attic", "a", "north.example")
    assert ROOM.parse("room://attic/a").host == ""


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("attic/a", "it does not start with room:// or rooms://"),
        ("room://north.example/a", "it has a building in place of the room"),
        ("room://attic@hunter2/a", "the part after the @ is not a building, such as north.example"),
        ("room://attic", "it does not name a book; for the whole room, put a slash at the end"),
        ("room://attic/a*b", "its title has a star"),
        ("room://attic/𝄞𝄞𝄞", "its title has 6 characters; the limit is 4"),
    ],
)
def test_error_uses_the_words_of_the_store(location: str, problem: str) -> None:
    with pytest.raises(InvalidLocation, match=re.escape(f"is not: {problem}")):
        ROOM.parse(location)


@pytest.mark.parametrize("path", ["Attic/a", "attic/../a", "attic/a\n", "..", "attic/12345"])
def test_path_that_is_not_in_the_store_is_refused(path: str) -> None:
    with pytest.raises(InvalidLocation, match="is not room/title: "):
        ROOM.split(path)


class Account(Credentials):
    type: str = "shelf"
    anonymous: bool = False


class ShelfBackend(BucketBackend):
    name = "shelf"
    location = SHELF
    schemes = SHELF.schemes
    Credentials = Account

    def filesystem(self, place: BucketPlace, credentials: Account) -> str:
        return f"what {credentials.type} holds"

    def sign_url(self, place: BucketPlace, credentials: Account, method: str, expires: int) -> str:
        return f"https://library.example/{place.path}?method={method}&seconds={expires}"


def test_path_of_a_connection_has_no_slash_at_its_end() -> None:
    account = Account(encryption=None)
    assert ShelfBackend().connect("shelf://abc/a/", account) == ("what shelf holds", "abc/a")
    assert ShelfBackend().connect("shelf://abc/", account)[1] == "abc"


def test_only_an_object_is_presigned_and_only_for_what_a_url_can_do() -> None:
    def presign(location: str = "shelf://abc/a", method: str = "get", expires: object = 1, **who: bool) -> str:
        return ShelfBackend().presign(location, Account(encryption=None, **who), method, expires)

    assert presign() == "https://library.example/abc/a?method=GET&seconds=1"
    for folder in ("shelf://abc/", "shelf://abc/a/"):
        with pytest.raises(InvalidLocation, match="is a folder; a URL is presigned for one object"):
            presign(folder)
    with pytest.raises(NotSupported, match="URLs for the library are presigned for GET or PUT, not for DELETE"):
        presign(method="DELETE")
    for expires in (0, -1, 604_801, True, 1.5):
        with pytest.raises(ConfigError, match="valid for 1 to 604800 seconds, not for"):
            presign(expires=expires)
    with pytest.raises(NotSupported, match="anonymous credentials cannot sign URLs"):
        presign(anonymous=True)
