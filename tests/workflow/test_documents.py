"""Documents: one form of bytes each, and rules that messages name."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from parties import person, story

from connectors.errors import InvalidDocument
from connectors.workflow.canonical import canonical_bytes, digest_of, parse_canonical
from connectors.workflow.documents import AppConfig, Dataset, Decision, Party, Workflow

# RFC 8785, sections 3.2.2 and 3.2.3, without its fractions, which no document has.
SORTED = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\U0001f600": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
}
ORDER = ["Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis", "Euro Sign", "Emoji: Grinning Face", "Hebrew Letter Dalet With Dagesh"]  # fmt: skip

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def by_hand(value) -> str:
    """The canonical form by another hand: Python's JSON, sorted by UTF-16 code units."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{%s}" % ",".join(f"{by_hand(name)}:{by_hand(one)}" for name, one in members)
    if isinstance(value, list):
        return "[%s]" % ",".join(map(by_hand, value))
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\x7f")


def test_members_are_sorted_as_the_standard_says():
    assert list(json.loads(canonical_bytes(SORTED)).values()) == ORDER


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_two_hands_write_the_same_bytes(value):
    assert canonical_bytes(value) == by_hand(value).encode()
    assert parse_canonical(canonical_bytes(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"7",
        b"\xff",
        b'{"a":1 }',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":"\\u00e9"}',
        b'{"a":9007199254740993}',
        b'{"a":"\\ud800"}',
        b"[" * 100_000,
    ],
)
def test_other_bytes_are_refused(data):
    with pytest.raises(InvalidDocument):
        parse_canonical(data)


def test_every_document_comes_back_from_its_bytes_under_its_name():
    told, workflow = story()
    for digest, document in [*told.documents.items(), (workflow.digest, workflow)]:
        again = type(document).from_bytes(document.to_bytes())
        assert again == document
        assert digest_of(document.to_bytes()) == digest == again.digest
        assert rfc8785.dumps(document.members()) == document.to_bytes()


def test_another_kind_and_other_members_are_refused():
    party = person("Clinic A").party
    with pytest.raises(InvalidDocument, match="this is no dataset"):
        Dataset.from_bytes(party.to_bytes())
    for change, message in (
        ({"more": 1}, "more: Extra inputs"),
        ({"name": " x"}, "name: one line of text"),
        ({"name": "a\nb"}, "name: one line of text"),
        ({"keys": []}, "keys: "),
        ({"group": None}, "not written as it would be written here"),
    ):
        with pytest.raises(InvalidDocument, match=message):
            Party.from_members({**party.members(), **change})


def members_of(kind) -> dict:
    told, workflow = story()
    return next(one for one in [*told.documents.values(), workflow] if isinstance(one, kind)).members()


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (Dataset, {"location": "s3://clinic/a?X-Amz-Signature=1"}, "location"),
        (Dataset, {"location": "clinic/a"}, "location"),
        (Dataset, {"credentials_digest": "AB" * 32}, "credentials_digest"),
        (Dataset, {"direction": "in"}, "direction"),
        (Dataset, {"encryption": "aes"}, "encryption"),
        (Dataset, {"pin": "00"}, "pin"),
        (AppConfig, {"ports": ["output", "input"]}, "ports: sorted and each once"),
        (AppConfig, {"ports": ["../x"]}, "becomes a folder's name"),
        (AppConfig, {"items": {"/etc/passwd": {"contents": ""}}}, "items: a path is relative"),
        (AppConfig, {"items": {"../x": {"contents": ""}}}, "items: a path is relative"),
        (AppConfig, {"items": {"input/x/dataset/credentials.bin": {"contents": ""}}}, "items: a path is relative"),
        (AppConfig, {"items": {"app-config.json": {"contents": ""}}}, "items: a path is relative"),
        (AppConfig, {"items": {"a": {"contents": ""}, "a/b": {"contents": ""}}}, "items: a file stands where"),
        (AppConfig, {"items": {"a": {"contents": "QR=="}}}, "base64"),
        (Workflow, {"version": 0}, "version"),
        (Workflow, {"objects": {"../x": {"dataset": "00" * 32}}}, "becomes a folder's name"),
        (Workflow, {"objects": {"x": {"dataset": "00" * 32, "app": "00" * 32}}}, "one of them"),
    ],
)
def test_rules_are_named_with_their_members(kind, change, message):
    with pytest.raises(InvalidDocument, match=message):
        kind.from_members({**members_of(kind), **change})


def test_edges_are_sorted_and_each_once():
    members = members_of(Workflow)
    for edges in (members["edges"][::-1], members["edges"] * 2):
        with pytest.raises(InvalidDocument, match="edges: sorted"):
            Workflow.from_members({**members, "edges": edges})


def test_who_declines_says_why():
    with pytest.raises(ValueError, match="whoever declines says why"):
        Decision(request="00" * 32, party="00" * 32, verdict="decline", when="2026-01-02T03:04:05Z")
    with pytest.raises(ValueError, match="when"):
        Decision(request="00" * 32, party="00" * 32, verdict="approve", when="2026-13-02T03:04:05Z")
