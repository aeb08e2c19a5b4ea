"""Credentials documents: what people type, and what they are told."""

from __future__ import annotations

import json
import pickle
import traceback
from typing import Literal

import pytest

import connectors
from connectors.credentials.model import parse_document, validate
from connectors.errors import InvalidCredentials, InvalidLocation
from connectors.storage.registry import resolve, schema

KEY = "ab" * 32
TOKEN = f"hunter{1 + 1}"
"""Not in any line of this file, which tracebacks show."""


class Shelf(connectors.Credentials):
    """Credentials of a made-up storage."""

    type: Literal["shelf"] = "shelf"
    token: connectors.SecretText


def check(**members):
    return validate(Shelf, {"token": TOKEN, "encryption": {"key": KEY}, **members})


def test_defaults():
    encryption = check().encryption
    assert (encryption.format, encryption.context, encryption.segment_size) == ("auto", None, 1 << 20)
    assert encryption.key == connectors.SecretKey(KEY)


@pytest.mark.parametrize("key", [KEY, KEY.upper(), f"  {KEY}\n"])
def test_keys_as_people_copy_them(key):
    assert check(encryption={"key": key}).encryption.key.reveal().hex() == KEY


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"encryption": {"key": KEY[:-2]}}, "credentials.encryption.key: a key is 64 hexadecimal digits; this one has 62 characters"),
        ({"encryption": {"key": "zz" * 32}}, "credentials.encryption.key: a key is 64 hexadecimal digits; this one has characters other than 0 to 9 and A to F"),
        ({"encryption": {"key": 7}}, "credentials.encryption.key: a key is 64 hexadecimal digits, in quotation marks"),
        ({"encryption": {}}, "credentials.encryption.key: required"),
        ({"encryption": KEY}, 'credentials.encryption: an object, as in {"key": "…"}, is expected, or null if the dataset is not encrypted'),
        ({"encryption": {"kye": KEY, "key": KEY}}, "credentials.encryption.kye: unknown member; did you mean key?"),
        ({"encryption": {"key": KEY, "format": "aes"}}, "credentials.encryption.format: 'auto', 'cobblestone-256', 'tink-gcm-hkdf', 'gcm' or 's3-encryption-client' is expected"),
        ({"encryption": {"key": KEY, "segment_size": 5}}, "credentials.encryption.segment_size: the minimum is 57"),
        ({"encryption": {"key": KEY, "segment_size": "1 MiB"}}, "credentials.encryption.segment_size: a whole number, without quotation marks, is expected"),
        ({"encryption": {"key": KEY, "pin": "x"}}, "credentials.encryption.pin: a pin is 64 hexadecimal digits, as `connectors fingerprint` prints them"),
        ({"tokne": "x"}, "credentials.tokne: unknown member; did you mean token?"),
        ({"token": 7}, "credentials.token: text in quotation marks is expected"),
        ({"type": "shlef"}, "credentials.type: 'shelf' is expected"),
        ({KEY: "x"}, "credentials.…: unknown member; known members: encryption, layout, token, type"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_member_and_rule(members, message):
    with pytest.raises(InvalidCredentials) as error:
        check(**members)
    assert str(error.value) == message
    for shown in (str(error.value), "".join(traceback.format_exception(error.value))):
        for secret in (TOKEN, KEY, KEY[:-2], "zz" * 32):
            assert secret not in shown
    assert error.value.__context__ is None  # pydantic's error would carry the document along


def test_half_a_character_is_no_context():
    with pytest.raises(
        InvalidCredentials, match=r"^credentials\.encryption\.context: it contains half of a surrogate pair$"
    ):
        check(encryption={"key": KEY, "context": "ward \ud800"})
    assert check(encryption={"key": KEY, "context": "ward 😀"}).codec().name == "auto"


def test_several_mistakes_are_told_at_once():
    with pytest.raises(InvalidCredentials) as error:
        validate(Shelf, {"type": "shelf"})
    assert "credentials.token: required" in str(error.value)
    assert "credentials.encryption: required" in str(error.value)


def test_plain_must_be_said():
    assert validate(Shelf, {"token": "x", "encryption": None}).encryption is None
    with pytest.raises(InvalidCredentials, match='if the dataset really is not encrypted, set "encryption": null'):
        validate(Shelf, {"token": "x"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "it is empty"),
        (b'{"token": "hunter2",}', "not JSON at line 1"),
        (b"{'token': 'hunter2'}", "not JSON at line 1, column 2"),
        (b'["hunter2"]', "a JSON object, in braces, is expected, not an array"),
        (b'"hunter2"', "is expected, not a string"),
        (b'{"token": "hunter2", "token": "hunter2"}', "a member appears twice"),
        (b"\xff\xfe{\x00}\x00", "it is UTF-16 text; save it as UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"token": ' + b"7" * 5000 + b"}", "a number in it is too long"),
        (rb'{"token": "hunter2\udfff"}', "it contains half of a surrogate pair"),
        (b"null", "is expected, not null"),
        (b"true", "is expected, not true or false"),
        (b"7", "is expected, not a number"),
    ],
)
def test_what_is_no_document(text, message):
    with pytest.raises(InvalidCredentials, match=message) as error:
        parse_document(text)
    assert "hunter2" not in "".join(traceback.format_exception(error.value))
    assert error.value.__context__ is None


def test_byte_order_mark_is_no_mistake():
    assert parse_document(b'\xef\xbb\xbf{"type": "file"}') == {"type": "file"}
    assert parse_document('\ufeff{"type": "file"}') == {"type": "file"}


def test_document_written_back_is_the_one_that_was_read():
    document = {"token": "hunter2", "encryption": {"key": KEY, "context": "ward 3"}}
    assert validate(Shelf, document).document() == document
    assert validate(Shelf, {"token": "x", "encryption": None}).document() == {"token": "x", "encryption": None}


def test_credentials_show_and_pickle_nothing():
    credentials = check()
    for shown in (repr(credentials), str(credentials), credentials.model_dump_json(), str(credentials.model_dump())):
        assert TOKEN not in shown
        assert KEY not in shown
    for thing in (credentials, credentials.encryption):
        with pytest.raises(TypeError, match="holds secrets and does not pickle"):
            pickle.dumps(thing)


def test_articles_document_works_as_it_is():
    document = {
        "query_string": "QVdTQWNjZXNzS2V5SWQ9JlNpZ25hdHVyZT1QY3BIOTluc3pHMiUyRnY4NXo0SWJnd2dWRHl3YyUzRCZFeHBpcmVzPTE2MTM4MTcwMzU=",
        "encryption": {"key": "63F0E4C07666126226D795027862ACC5848E939881C3CFE8CB3EB47DD7B3D24A"},
    }
    backend, credentials = resolve("https://clinic-data.s3.amazonaws.com/conditions.csv.enc", json.dumps(document))
    assert backend.name == "https"
    assert credentials.document() == {
        "query_string": document["query_string"],
        "encryption": {"key": document["encryption"]["key"].lower()},
    }


def test_type_decides_and_must_go_with_the_location():
    with pytest.raises(InvalidLocation, match="credentials of type 'memory' are for memory:// locations, not file://"):
        resolve("file:///x", {"type": "memory", "encryption": None})


def test_schema_describes_every_installed_backend():
    described = schema()
    names = {
        definition["properties"]["type"]["const"]
        for definition in described["$defs"].values()
        if "type" in definition["properties"]
    }
    assert {"file", "memory", "https", "s3"} <= names
    assert described["$defs"]["Encryption"]["additionalProperties"] is False
