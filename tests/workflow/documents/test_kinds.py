"""Documents: rules that messages name."""

from __future__ import annotations

import json

import pytest
from parties import NOW, person, story

from connectors.errors import InvalidDocument
from connectors.names import printable
from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Application,
    DatasetDocument,
    Decision,
    Party,
    Workflow,
)
from connectors.workflow.documents.requests import make_request


def test_another_kind_and_other_members_are_refused():
    party = person("Clinic A").party
    with pytest.raises(InvalidDocument, match="this is not of the kind 'dataset'"):
        DatasetDocument.from_bytes(party.to_bytes())
    for change, message in (
        ({"more": 1}, "more: Extra inputs"),
        ({"name": " x"}, "name: it must be one line of text"),
        ({"name": "a\nb"}, "name: it must be one line of text"),
        ({"keys": []}, "keys: "),
        ({"group": None}, "not in canonical form: group;"),
    ):
        with pytest.raises(InvalidDocument, match=message):
            Party.from_members({**party.members(), **change})


def members_of(kind) -> dict:
    told, workflow = story()
    return next(one for one in [*told.documents.values(), workflow] if isinstance(one, kind)).members()


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (DatasetDocument, {"location": "s3://clinic/a?X-Amz-Signature=1"}, "location"),
        (DatasetDocument, {"location": "clinic/a"}, "location"),
        (DatasetDocument, {"credentials_digest": "AB" * 32}, "credentials_digest"),
        (DatasetDocument, {"direction": "in"}, "direction"),
        (DatasetDocument, {"encryption": "aes"}, "encryption"),
        (DatasetDocument, {"pin": "00"}, "pin"),
        (AppConfigDocument, {"ports": ["output", "input"]}, "ports: they must be sorted, each once"),
        (AppConfigDocument, {"ports": ["../x"]}, "becomes a folder's name"),
        (AppConfigDocument, {"items": {"/etc/passwd": {"contents": ""}}}, "items: a path must be relative"),
        (AppConfigDocument, {"items": {"../x": {"contents": ""}}}, "items: a path must be relative"),
        (
            AppConfigDocument,
            {"items": {"input/x/dataset/credentials.bin": {"contents": ""}}},
            "items: a path must be relative",
        ),
        (AppConfigDocument, {"items": {"app-config.json": {"contents": ""}}}, "items: a path must be relative"),
        (
            AppConfigDocument,
            {"items": {"a": {"contents": ""}, "a/b": {"contents": ""}}},
            "items: one path is both a file and",
        ),
        (AppConfigDocument, {"items": {"a": {"contents": "QR=="}}}, "base64"),
        (
            AppConfigDocument,
            {"items": {"/".join("x" * 33): {"contents": ""}}},
            "a path has at most 32 parts, and one has 33",
        ),
        (AppConfigDocument, {"items": {"x/" + "y" * 1023: {"contents": ""}}}, "at most 1024 characters"),
        (
            AppConfigDocument,
            {"items": {f"{n}": {"contents": ""} for n in range(10_001)}},
            "items: .* at most 10000 items",
        ),
        (AppConfigDocument, {"ports": [f"{n:03}" for n in range(257)]}, "ports: .* at most 256 items"),
        (AppConfigDocument, {"labels": {f"{n}": "" for n in range(1001)}}, "labels: .* at most 1000 items"),
        (Workflow, {"objects": {f"{n}": {"app": "00" * 32} for n in range(20_001)}}, "objects: .* at most 20000 items"),
        (
            Workflow,
            {"edges": [{"source": {"id": "a"}, "target": {"id": "b"}}] * 100_001},
            "edges: .* at most 100000 items",
        ),
        (Workflow, {"objects": {f"../{n}": {"app": "00" * 32} for n in range(11)}}, "; and more$"),
        (Workflow, {"version": 0}, "version"),
        (Workflow, {"objects": {"../x": {"dataset": "00" * 32}}}, "becomes a folder's name"),
        (Workflow, {"objects": {"x": {"dataset": "00" * 32, "app": "00" * 32}}}, "either a dataset or an app"),
    ],
)
def test_rules_are_named_with_their_members(kind, change, message):
    with pytest.raises(InvalidDocument, match=message):
        kind.from_members({**members_of(kind), **change})


def test_edges_are_sorted_and_each_once():
    members = members_of(Workflow)
    for edges in (members["edges"][::-1], members["edges"] * 2):
        with pytest.raises(InvalidDocument, match="edges: they must be sorted"):
            Workflow.from_members({**members, "edges": edges})


def test_builds_are_known_by_their_measurements():
    members = members_of(Application)
    (build,) = members["builds"]
    with pytest.raises(InvalidDocument, match="builds: two builds have the same measurement"):
        Application.from_members({**members, "builds": [build, {**build, "debug": True}]})


def test_who_declines_says_why():
    with pytest.raises(ValueError, match="a decline needs a reason"):
        Decision(request="00" * 32, party="00" * 32, verdict="decline", when="2026-01-02T03:04:05Z")


@pytest.mark.parametrize(
    "when",
    [
        "2026-13-02T03:04:05Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02 03:04:05Z",
        "٢٠٢٦-01-02T03:04:05Z",
        "2026-01-02T03:04:05+00:00",
    ],
)
def test_a_time_is_written_in_one_way(when):
    with pytest.raises(ValueError, match="when"):
        Decision(request="00" * 32, party="00" * 32, verdict="approve", when=when)


HIDDEN = ["\x00", "\x1b[2J", "\x85", "\x9b31m", "\u200e", "\u061c", "\u2028", "\u202egpj.", "\u2066", "\u206a"]


@pytest.mark.parametrize("letter", HIDDEN, ids=ascii)
@pytest.mark.parametrize(
    ("kind", "member", "value"),
    [
        (Party, "name", "Clinic{}A"),
        (Party, "contact", "c{}@clinic.example"),
        (DatasetDocument, "description", "a{}b"),
        (DatasetDocument, "long_description", "first\n\tand{}second"),
        (DatasetDocument, "labels", {"a{}b": "c"}),
        (DatasetDocument, "labels", {"a": "c{}d"}),
        (DatasetDocument, "location", "s3://clinic/a{}b"),
        (Application, "image", f"registry.example/a{{}}b@sha256:{'ab' * 32}"),
        (AppConfigDocument, "ports", ["a{}b"]),
        (AppConfigDocument, "items", {"folder/a{}b": {"contents": ""}}),
        (Workflow, "objects", {"a{}b": {"dataset": "ab" * 32}}),
        (Decision, "reason", "because{}"),
    ],
)
def test_no_document_holds_what_steers_a_terminal_or_a_page(kind, member, value, letter):
    told, workflow = story()
    request = make_request(workflow, told.documents, told.lab.party, created=NOW)
    decision = {"request": request.digest, "party": told.lab.party.digest, "when": request.created}
    members = (
        {"schema": Decision.schema_name(), "verdict": "approve", **decision} if kind is Decision else members_of(kind)
    )
    members |= {"edges": []} if kind is Workflow else {}

    def made(letter: str) -> None:
        kind.from_members({**members, member: json.loads(json.dumps(value).replace("{}", json.dumps(letter)[1:-1]))})

    made("")
    with pytest.raises(InvalidDocument, match=member) as caught:
        made(letter)
    assert printable(str(caught.value)) == str(caught.value)
