"""What could not be deployed, or connects nothing, is refused before anybody signs it."""

from __future__ import annotations

import pytest
from parties import NOW, approved, bundle_of, decided, edge, story

from connectors.errors import InvalidDocument
from connectors.workflow.deploy import deploy
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.commitment import OpenedCredentials
from connectors.workflow.documents.kinds import Connected, Item, Workflow
from connectors.workflow.documents.requests import Request, freeze, make_request
from connectors.workflow.documents.runtime import runtime_config

SMILE = "\U0001f600"
EMPTY = Item(contents="")


class Made:
    """The story with other names in it."""

    def __init__(self, *, ports=("input", "output"), items=None, data="conditions", locations=None) -> None:
        self.told, workflow = story()
        documents = self.told.documents
        app = documents[workflow.objects["describe"].app].model_copy(update={"ports": ports, "items": items or {}})
        self.opened: dict[str, OpenedCredentials] = {}
        objects = {"describe": Connected(app=self.told.add(app))}
        for place, name in (("conditions", data), ("result", "result")):
            document = documents[workflow.objects[place].dataset]
            opened = OpenedCredentials({"encryption": {"key": "5a" * 32, "format": document.encryption}})
            changed = {"credentials_digest": opened.digest, "location": (locations or {}).get(place, document.location)}
            self.opened[self.told.add(document.model_copy(update=changed))] = opened
            objects[name] = Connected(dataset=[*self.opened][-1])
        edges = edge(data, f"describe:{ports[0]}"), edge(f"describe:{ports[-1]}", "result")
        in_order = sorted(edges, key=lambda one: canonical_bytes(one.model_dump(exclude_none=True)))
        self.workflow = Workflow(name="x", objects=objects, edges=tuple(in_order))

    def request(self, make=make_request, **options) -> Request:
        return make(self.workflow, self.told.documents, self.told.lab.party, created=NOW, **options)

    def deploy(self, root, request: Request, **options) -> None:
        people = (self.told.clinic, self.told.lab, self.told.receiver)
        deploy(
            bundle_of(request, *(decided(request, who) for who in people)),
            str(root),
            trusted={who.party.digest for who in people},
            identifier=runtime_config(request, "describe").identifier,
            measurement="ab" * 32,
            platform="simulated",
            debug=False,
            release=lambda _: self.opened,
            now=NOW,
            **options,
        )


BAD = {
    "a port with the name of the runtime config": ({"ports": ("app-config.json", "output")}, "a file stands where"),
    "the same in capitals": ({"ports": ("App-Config.JSON", "output")}, "one name to some file systems"),
    "an unused port of that name": ({"ports": ("a", "app-config.json", "output")}, "a file stands where"),
    "an object of 1,020 bytes": ({"data": SMILE * 255}, "1020 bytes"),
    "an item of 1,020 bytes": ({"items": {SMILE * 255: EMPTY}}, "1020 bytes"),
    "an item with a long path": ({"items": {"/".join([SMILE * 60] * 12): EMPTY}}, "2891 bytes"),
    "ports that differ in case": ({"ports": ("Input", "input")}, "one name to some file systems"),
    "items that differ in case": ({"items": {"a/x": EMPTY, "A/y": EMPTY}}, "one name to some file systems"),
    "items that differ in normalisation": ({"items": {"é": EMPTY, "e\u0301": EMPTY}}, "one name to some"),
    "an item that is another's folder in capitals": ({"items": {"a": EMPTY, "A/y": EMPTY}}, "one name to some"),
}


@pytest.mark.parametrize("what", BAD)
def test_names_that_cannot_be_deployed_are_refused_at_submission(what):
    changes, why = BAD[what]
    made = Made(**changes)
    with pytest.raises(InvalidDocument, match=why) as caught:
        made.request()
    assert "the app config folder of 'describe'" in str(caught.value)
    assert made.request(freeze).graph.workflow == made.workflow


@pytest.mark.parametrize("what", BAD)
def test_requests_made_elsewhere_deploy_or_are_refused_with_an_error_of_ours(what, tmp_path):
    made = Made(**BAD[what][0])
    request = Request.from_bytes(made.request(freeze).to_bytes())
    try:
        made.deploy(tmp_path / "rw", request)
    except InvalidDocument:
        assert not (tmp_path / "rw").exists()
    else:
        assert (tmp_path / "rw" / "app-config.json").exists()


def test_all_reasons_are_given():
    made = Made(ports=("app-config.json", "output"), locations={"conditions": "file:///a", "result": "memory://b"})
    with pytest.raises(InvalidDocument, match=r"'conditions' is at .*; .*'result' is at|a file stands where") as caught:
        made.request()
    assert all(part in str(caught.value) for part in ("file:///a", "memory://b", "a file stands where"))


def test_what_connects_nothing_or_has_no_application_is_not_submitted():
    told, workflow = story()
    alone = {name: workflow.objects[name] for name in ("conditions", "result")}
    for objects, why in ((workflow.objects, "it connects nothing"), (alone, "it has no application")):
        nothing = Workflow(name="x", objects=objects)
        with pytest.raises(InvalidDocument, match=why):
            make_request(nothing, told.documents, told.lab.party, created=NOW)
        old = freeze(nothing, told.documents, told.lab.party, created=NOW)
        assert Request.from_bytes(old.to_bytes()).graph.workflow == nothing


@pytest.mark.parametrize("location", ["file:///etc/passwd", "memory://bucket/key", "local:///x"])
@pytest.mark.parametrize("place", ["conditions", "result"])
def test_local_locations_are_for_development(place, location, tmp_path):
    made = Made(locations={place: location})
    with pytest.raises(InvalidDocument, match=f"'{place}' is at '{location}', on the application's machine"):
        made.request()
    request = made.request(allow_local=True)
    with pytest.raises(InvalidDocument, match="--allow-local"):
        made.deploy(tmp_path / "rw", request)
    assert not (tmp_path / "rw").exists()
    made.deploy(tmp_path / "rw", request, allow_local=True)
    assert (tmp_path / "rw" / "app-config.json").exists()


def test_other_workflows_are_submitted():
    assert approved()[1].request.graph
    assert Made(items={"a/x": EMPTY, "a/y": EMPTY, "b": EMPTY}).request()
