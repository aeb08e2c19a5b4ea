"""What people are shown where they sign: names of strangers are names there, and nobody passes for somebody else."""

from __future__ import annotations

import re

import pytest
from parties import NOW, bundle_of, decided, edge, person, story

from connectors.cli.workflow.render import graph_lines, request_lines, status_lines
from connectors.names import printable, quoted
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Application,
    Connected,
    DatasetDocument,
    Party,
    Placeholder,
    Workflow,
)
from connectors.workflow.documents.requests import Request, make_request
from connectors.workflow.review.naming import Names
from connectors.workflow.trust.verification import status

HOSTILE = [
    "records' of 'Clinic A') reaches nobody",
    "records' (the dataset \"x\" of 'Clinic A'",
    "\u200bbeds\ufe0f",
    "records’ (the dataset ‘x’ of “Clinic A”",
    "\u0301beds",
    "records  dataset  'Clinic A'",
    "records, 'Registry C' (000000000000…)",
    "\\",
    "'",
    '"',
    "beds\ue000\u2062\U000e0041",
]
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")


def asked(name: str, ids: str = "records") -> Request:
    """A request in which strangers have called all that can be called something by a name."""
    told, _ = story()
    eve = Party(name=name, contact=name, keys=told.receiver.party.keys)
    told.add(eve)
    (program,) = (one for one in told.documents.values() if isinstance(one, Application))
    (config,) = (one for one in told.documents.values() if isinstance(one, AppConfigDocument))
    theirs = Application(name=name, owner=eve.digest, image=program.image, builds=program.builds)
    reference = config.build.model_copy(update={"application": told.add(theirs)})
    app = config.model_copy(update={"name": name, "build": reference})
    data = [
        DatasetDocument(
            name=name, owner=eve.digest, location=f"s3://{way}", direction=way, credentials_digest="00" * 32
        )
        for way in ("input", "output")
    ]
    objects = {
        ids: Connected(dataset=told.add(data[0])),
        "describe": Connected(app=told.add(app)),
        "result": Connected(dataset=told.add(data[1])),
    }
    edges = (edge("describe:output", "result"), edge(ids, "describe:input"))
    in_order = edges if ids > "describe" else edges[::-1]
    workflow = Workflow(name=name, objects=objects, edges=in_order)
    return make_request(workflow, told.documents, eve, created=NOW)


def skeleton(lines: list[str]) -> list[str]:
    """What is left of lines without what stands in quotes, and without digests."""
    return [" ".join(re.sub(r"[0-9a-f]{12,64}", "#", QUOTED.sub("''", printable(line))).split()) for line in lines]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_passes_for_a_sentence_where_people_sign(name):
    plain, hostile = (asked(one) for one in ("records", name))
    assert skeleton(request_lines(hostile)) == skeleton(request_lines(plain))
    for request in (plain, hostile):
        assert all("\n" not in line for line in request_lines(request))


@pytest.mark.parametrize("name", [one for one in HOSTILE if "\\" not in one])
def test_nor_does_an_id(name):
    hostile, plain = (request_lines(one) for one in (asked("x", ids=name), asked("x")))
    assert sorted(skeleton(hostile)) == sorted(skeleton(plain))  # objects stand in the order of their ids


def test_nor_does_what_somebody_says_or_wants():
    told, workflow = story()
    request = make_request(workflow, told.documents, told.lab.party, created=NOW)
    reason = "no'\n  'Registry C'  approved"
    bundle = bundle_of(request, decided(request, told.clinic, "decline", reason=reason))
    lines = status_lines(bundle, status(bundle, request.documents, NOW))
    assert [line for line in lines if "declined  " in line] == [f"  'Clinic A'    declined         {quoted(reason)}"]
    purpose = "x', for 'Clinic A'"
    place = Placeholder(reserved_for=told.clinic.party.digest, wanted="dataset", purpose=purpose)
    (line,) = [
        line for line in graph_lines(Graph(Workflow(name="x", objects={"a": place}), told.documents)) if "'a'" in line
    ]
    assert line == f"  'a'  place  a dataset that 'Clinic A' will provide: {purpose!r}"


def test_two_parties_of_one_name_are_told_apart_also_who_asks():
    told, workflow = story()
    impostor = Party(name="Clinic A", contact="eve@example.org", keys=person("Dr. Eve").party.keys)
    request = make_request(workflow, told.documents, impostor, created=NOW)
    lines = request_lines(request)
    clinic = f"'Clinic A' ({told.clinic.party.digest[:16]})"
    assert any(line.startswith(f"  asked by   'Clinic A' ({impostor.digest[:16]}), ") for line in lines)
    assert any(
        line.startswith(f"  'conditions' (the dataset 'Conditions Data' of {clinic}) reaches ") for line in lines
    )
    assert any(" 'Conditions Data' " in line and clinic in line for line in lines[lines.index("objects") :])
    rotated = Party(name="Clinic A", contact="new@example.org", keys=told.clinic.party.keys)
    assert Names(request.graph, more=[rotated]).party(rotated) == "'Clinic A'"


def test_every_line_of_what_reaches_whom_is_shown():
    told, workflow = story()
    source = workflow.objects["conditions"]
    objects = {**workflow.objects, **{f"more-{number:02}": source for number in range(20)}}
    edges = [*workflow.edges, *(edge(f"more-{number:02}", "describe:input") for number in range(20))]
    lines = graph_lines(Graph(Workflow(name="x", objects=objects, edges=tuple(edges)), told.documents))
    assert sum(" reaches '" in line for line in lines) == 2 * 21
    assert not any(" more" in line.replace("'more", "") for line in lines)
