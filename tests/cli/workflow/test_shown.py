"""Everything that a signature covers is in the text that people are shown before they sign."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from parties import MEASUREMENT, NOW, person
from pydantic import BaseModel

from connectors.cli.workflow.render import request_lines
from connectors.workflow.documents.kinds import (
    STATEMENTS,
    AppConfigDocument,
    Application,
    Build,
    BuildReference,
    Connected,
    DatasetDocument,
    Edge,
    End,
    Item,
    Party,
    PublicKey,
    Workflow,
)
from connectors.workflow.documents.model import moment_text
from connectors.workflow.documents.requests import KINDS, Request, make_request

PEM = "-----BEGIN PUBLIC KEY-----\nMARKPEM\n-----END PUBLIC KEY-----\n"


def party(name: str, *keys: PublicKey) -> Party:
    return Party(name=name, contact=f"{name} contact", group=f"{name} group", keys=(*person(name).party.keys, *keys))


def full_request() -> Request:
    """A request in which no member of any document is left out, and no two members have the same text."""
    clinic = party("clinic", PublicKey(keytype="rsa", scheme="rsassa-pss-sha256", public=PEM))
    lab, maker, asking = party("lab"), party("maker"), party("asking")
    data = DatasetDocument(
        name="data name",
        description="data description",
        long_description="first long line\nsecond long line\u200b",
        labels={"data key": "data label", "other key": "two\nlines"},
        group="data group",
        owner=clinic.digest,
        location="https://clinic.example/data.sealed",
        direction="both",
        credentials_digest="01" * 32,
        encryption="tink-gcm-hkdf",
        pin="03" * 32,
    )
    application = Application(
        name="program name",
        description="program description",
        group="program group",
        owner=maker.digest,
        image=f"registry.example/describe@sha256:{'cd' * 32}",
        builds=(
            Build(platform="snp", measurement=MEASUREMENT, debug=True),
            Build(platform="tdx", measurement="ef" * 48),
        ),
    )
    config = AppConfigDocument(
        name="config name",
        description="config description",
        group="config group",
        owner=lab.digest,
        build=BuildReference(application=application.digest, measurement=MEASUREMENT),
        ports=("in port", "spare port"),
        labels={"config key": "config label"},
        items={
            "scripts/run.py": Item(contents=base64.b64encode(b"print(1)").decode()),
            "empty": Item(contents=""),
        },
    )
    workflow = Workflow(
        name="workflow name",
        description="workflow description",
        group="workflow group",
        version=731,
        parent="04" * 32,
        objects={"the data": Connected(dataset=data.digest), "the app": Connected(app=config.digest)},
        edges=(Edge(source=End(id="the data"), target=End(id="the app", port="in port")),),
    )
    documents = {one.digest: one for one in (clinic, lab, maker, data, application, config)}
    return make_request(workflow, documents, asking, created=NOW)


def expected(value: object) -> list[str]:
    """Return the texts that stand for a value and for all that it is made of."""
    if isinstance(value, Item):
        data = base64.b64decode(value.contents)
        return [f"{len(data)} bytes", sha256(data).hexdigest()]
    if isinstance(value, BaseModel):
        return [text for name in type(value).model_fields for text in expected(getattr(value, name))]
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in expected(one)]
    if isinstance(value, (list, tuple)):
        return [text for one in value for text in expected(one)]
    if isinstance(value, str):
        return [repr(line)[1:-1] for line in value.split("\n")]
    return [] if value is None else [str(value)]


def test_every_member_of_every_document_is_shown():
    request = full_request()
    text = "\n".join(request_lines(request))
    assert {type(one) for one in request.parsed.values()} == {*KINDS.values()}
    for document in request.parsed.values():
        for name, field in type(document).model_fields.items():
            # Placeholders alone may be absent: a request has none.
            value = getattr(document, name)
            assert value not in (None, (), {}), f"{document.kind}.{name} of this test must be set"
            missing = [part for part in expected(value) if part not in text]
            assert not missing, f"{document.kind}.{name} ({field.annotation}): {missing}"
        assert document.digest in text
    for name in Request.model_fields:
        shown = [*request.documents] if name == "documents" else expected(getattr(request, name))
        assert all(part in text for part in shown), name


@pytest.mark.parametrize("kind", STATEMENTS, ids=lambda kind: kind.kind)
def test_every_member_of_a_statement_is_shown(kind):
    request = full_request()
    more = {name: "the reason" for name in ("reason",) if name in kind.model_fields}
    more |= {"verdict": "approve"} if "verdict" in kind.model_fields else {}
    statement = kind(request=request.digest, party=request.requester, when=moment_text(NOW), **more)
    text = "\n".join(request_lines(request, statement))
    for name in kind.model_fields:
        assert all(part in text for part in expected(getattr(statement, name))), name
    assert statement.kind in text


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("app config", {"items": {"scripts/run.py": {"contents": "cHJpbnQoMik="}}}),
        ("app config", {"labels": {"config key": "another"}}),
        ("application", {"image": f"registry.example/describe@sha256:{'ce' * 32}"}),
        ("dataset", {"labels": {"data key": "another"}}),
        ("dataset", {"long_description": "another"}),
        ("dataset", {"credentials_digest": "05" * 32}),
    ],
)
def test_two_requests_that_differ_are_shown_with_the_difference(kind, change):
    (document,) = [one for one in full_request().parsed.values() if one.kind == kind]
    other = type(document).from_members({**document.members(), **change})
    value = getattr(other, next(iter(change)))
    assert any(part not in "\n".join(request_lines(full_request())) for part in expected(value))


def test_text_of_other_parties_is_no_line_of_its_own():
    request = full_request()
    forged = "x\n  approvers  nobody\nwhat reaches whom\n  nothing reaches anybody"
    (data,) = [one for one in request.parsed.values() if one.kind == "dataset"]
    lying = data.model_copy(update={"labels": {"key": forged}, "long_description": forged})
    workflow = request.graph.workflow
    objects = {**workflow.objects, "the data": Connected(dataset=lying.digest)}
    documents = {**request.parsed, lying.digest: lying}
    changed = make_request(
        workflow.model_copy(update={"objects": objects}), documents, request.party(request.requester), created=NOW
    )
    lines = request_lines(changed)
    assert not [line for line in lines if line.strip() == "nothing reaches anybody"]
    assert lines.count("what reaches whom") == 1
