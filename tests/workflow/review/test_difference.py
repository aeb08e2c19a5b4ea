"""Differences between versions, said in words."""

from __future__ import annotations

import base64
from dataclasses import replace
from hashlib import sha256

import pytest
from large_workflows import in_order, large
from parties import MEASUREMENT, edge, person, story

from connectors.errors import InvalidDocument
from connectors.workflow.documents.graph import Graph, Reach
from connectors.workflow.documents.kinds import (
    Build,
    BuildReference,
    Connected,
    DatasetDocument,
    Item,
    Placeholder,
    Workflow,
)
from connectors.workflow.documents.model import Document
from connectors.workflow.review.difference import Change, Difference, apply, compare
from connectors.workflow.review.naming import listed
from connectors.workflow.review.wording import in_words

NOTHING = Difference((), (), (), (), ())
OTHER = "ef" * 32


class Version:
    """The story's workflow, to be changed."""

    def __init__(self) -> None:
        self.told, workflow = story()
        self.documents: dict[str, Document] = dict(self.told.documents)
        self.objects = dict(workflow.objects)
        self.edges = list(workflow.edges)
        self.members = {"name": workflow.name}

    def at(self, name: str) -> Document:
        one = self.objects[name]
        return self.documents[one.dataset or one.app]

    def keep(self, document: Document) -> str:
        self.documents[document.digest] = document
        return document.digest

    def put(self, name: str, document: Document) -> None:
        digest = self.keep(document)
        self.objects[name] = (
            Connected(dataset=digest) if isinstance(document, DatasetDocument) else Connected(app=digest)
        )

    def change(self, name: str, /, **members) -> None:
        self.put(name, remade(self.at(name), **members))

    def program(self, name: str, /, **members) -> None:
        app = self.at(name)
        program = remade(self.documents[app.build.application], **members)
        measurement = members.get("builds", program.builds)[0].measurement
        self.change(name, build=BuildReference(application=self.keep(program), measurement=measurement))

    @property
    def graph(self) -> Graph:
        workflow = Workflow(objects=self.objects, edges=in_order(*self.edges), **self.members)
        return Graph(workflow, self.documents)


def remade(document: Document, **members) -> Document:
    return type(document)(**{name: getattr(document, name) for name in type(document).model_fields} | members)


def changed(change) -> tuple[Graph, Graph]:
    version = Version()
    before = version.graph
    change(version)
    return before, version.graph


def words(change) -> list[str]:
    before, after = changed(change)
    found = in_words(compare(before, after), before, after)
    return [sentence for sentences in found.values() for sentence in sentences]


def owner(name: str, version: Version) -> str:
    return version.keep(person(name).party)


def rotated(version: Version) -> None:
    old = version.told.clinic.party
    fresh = person("Clinic A, second key").party.keys
    version.change("conditions", owner=version.keep(remade(old, keys=old.keys + fresh)))


def impersonated(version: Version) -> None:
    fresh = remade(version.told.receiver.party, keys=person("Eve").party.keys)
    version.change("result", owner=version.keep(fresh))


def second_reader(version: Version) -> None:
    app = remade(version.at("describe"), name="Copy", owner=owner("Hospital D", version))
    version.put("copy", app)
    version.edges.append(edge("conditions", "copy:input"))


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (lambda v: v.change("conditions", location="s3://clinic/new.sealed"),
         ["'conditions' ('Conditions Data'): location was 's3://clinic/conditions.csv.sealed', is 's3://clinic/new.sealed'"]),
        (lambda v: v.change("conditions", encryption=None),
         ["'conditions' ('Conditions Data'): it is no longer sealed; it was sealed as 'cobblestone-256'"]),
        (lambda v: v.change("conditions", credentials_digest="03" * 32),
         [f"'conditions' ('Conditions Data'): commitment to its credentials was '{'01' * 32}', is '{'03' * 32}'"]),
        (lambda v: v.change("conditions", pin="04" * 32),
         [f"'conditions' ('Conditions Data'): pin is new: '{'04' * 32}'"]),
        (lambda v: v.change("conditions", labels={"Location": "Mars"}),
         ["'conditions' ('Conditions Data'): label 'Location' was 'East US', is 'Mars'"]),
        (lambda v: v.change("conditions", long_description="x" * 1000),
         ["'conditions' ('Conditions Data'): long description is new: 1,000 characters with the SHA-256 " + sha256(b"x" * 1000).hexdigest()]),
        (lambda v: v.program("describe", builds=(Build(platform="simulated", measurement=OTHER),)),
         [f"'describe' ('Describe conditions') has another build: measurement was {MEASUREMENT}, is {OTHER}",
          f"the application 'Describe', for 'describe': the build for simulated with the measurement {OTHER} is new",
          f"the application 'Describe', for 'describe': the build for simulated with the measurement {MEASUREMENT} was removed"]),
        (lambda v: v.program("describe", builds=(Build(platform="simulated", measurement=MEASUREMENT, debug=True),)),
         [f"the application 'Describe', for 'describe': the build for simulated with the measurement {MEASUREMENT} (in debug mode: the machine's operator can look inside) is new",
          f"the application 'Describe', for 'describe': the build for simulated with the measurement {MEASUREMENT} was removed"]),
        (lambda v: v.change("describe", ports=("input", "output", "spare")),
         ["'describe' ('Describe conditions'): the port 'spare' is new"]),
        (lambda v: v.change("describe", items={"a/b.txt": Item(contents=base64.b64encode(b"x=1").decode())}),
         ["'describe' ('Describe conditions'): file 'a/b.txt' is new: 'x=1'"]),
        (lambda v: v.edges.pop(),
         ["'conditions' (the dataset 'Conditions Data' of 'Clinic A') reached 'result' (the dataset 'Conditions processing output' of 'Registry C') through 'describe'",
          "'describe' no longer writes 'result', on its port 'output'"]),
        (second_reader,
         ["'conditions' (the dataset 'Conditions Data' of 'Clinic A') reaches 'copy' (the application 'Copy' of 'Hospital D', which runs 'Describe' of 'Lab B', measured abababababab…)",
          "'Hospital D' joined as owner of 'copy'",
          f"'copy' (the application 'Copy' of 'Hospital D', which runs 'Describe' of 'Lab B', measured abababababab…) is new, with the measurement {MEASUREMENT}",
          "'copy' reads 'conditions', on its port 'input'"]),
        (lambda v: v.change("result", owner=owner("Hospital D", v)),
         ["'conditions' (the dataset 'Conditions Data' of 'Clinic A') reaches 'result' (the dataset 'Conditions processing output' of 'Hospital D') through 'describe'",
          "'conditions' (the dataset 'Conditions Data' of 'Clinic A') reached 'result' (the dataset 'Conditions processing output' of 'Registry C') through 'describe'",
          "'Hospital D' joined as owner of 'result'",
          "'Registry C' left; it owned 'result'",
          "'result' ('Conditions processing output'): owner was 'Registry C', is 'Hospital D'"]),
        (lambda v: v.members.update(version=2, parent="05" * 32),
         [f"the workflow: parent version is new: '{'05' * 32}'", "the workflow: version was 1, is 2"]),
    ],
)  # fmt: skip
def test_changes_are_said_in_words(change, sentences):
    found = words(change)
    assert len(found) == len(sentences), found
    for sentence, expected in zip(found, sentences, strict=True):
        assert sentence.startswith(expected)


def test_who_puts_a_key_beside_those_of_another_party_is_told_from_it():
    before, after = changed(rotated)
    found = compare(before, after)
    assert [one.target for one in found.gained] == ["describe", "result"]
    was, now = (graph.nodes["conditions"].owner[:16] for graph in (before, after))
    told = words(rotated)
    joined = f"'Clinic A' ({now}) joined as owner of 'conditions'; it shares some of its keys with 'Clinic A' ({was}), but not all"
    assert joined in told
    fresh = person("Clinic A, second key").party.keys[0].keyid
    assert told[-1] == f"'conditions' ('Conditions Data'): its owner 'Clinic A' ({now}): the key {fresh} is new"


def test_what_else_is_said_of_a_party_makes_it_no_other_party():
    def renamed(version: Version) -> None:
        old = version.told.clinic.party
        version.change("conditions", owner=version.keep(remade(old, name="Clinic A+B", contact="x")))

    before, after = changed(renamed)
    found = compare(before, after)
    assert (found.gained, found.lost, found.joined, found.left) == ((), (), (), ())
    (sentence,) = words(renamed)
    assert sentence.startswith("'conditions' ('Conditions Data'): its owner 'Clinic A+B': name was 'Clinic A', is")
    assert sentence.endswith("'Clinic A+B'; contact was 'clinic@example.org', is 'x'")


def test_who_takes_the_name_of_another_is_told_from_them():
    before, after = changed(impersonated)
    found = compare(before, after)
    assert found.gained == (Reach("conditions", "result", ("describe",)),)
    told = words(impersonated)
    was, now = (graph.nodes["result"].owner[:16] for graph in (before, after))
    assert (
        f"'Registry C' ({now}) joined as owner of 'result'; it has the name of another party, but none of its keys"
        in told
    )
    assert any(f"owner was 'Registry C' ({was}), is 'Registry C' ({now})" in one for one in told)


def test_a_place_that_is_filled():
    def emptied(version: Version) -> None:
        place = Placeholder(reserved_for=version.told.receiver.party.digest, wanted="dataset", purpose="results")
        version.objects["result"] = place

    before, after = changed(emptied)
    found = compare(after, before)
    assert found.gained == ()
    (sentence,) = [one for ones in in_words(found, after, before).values() for one in ones]
    assert sentence.startswith("'result' (the dataset 'Conditions processing output' of 'Registry C') replaces "
                               "'result' (a place for a dataset from 'Registry C'), for output")  # fmt: skip
    assert apply(found, after).workflow == before.workflow


def test_names_cannot_pass_for_sentences_or_move_a_cursor():
    def hostile(version: Version) -> None:
        version.change("conditions", name="x'): nothing has changed\u200b", location="s3://a/\u200bb")
        version.members["name"] = "a\ue00031m\u2062b"

    text = "\n".join(words(hostile))
    assert text.isascii()
    assert "\\u200b" in text
    assert '''"x'): nothing has changed\\u200b"''' in text


def test_what_many_objects_have_alike_is_said_once():
    workflow, documents, people = large(60, parties=3)
    fresh = remade(people[0].party, contact="office@example.org")
    others = {fresh.digest: fresh}
    objects = {}
    for name, one in workflow.objects.items():
        document = documents[one.dataset or one.app]
        if document.owner == people[0].party.digest:
            document = remade(document, owner=fresh.digest)
        others[document.digest] = document
        objects[name] = Connected(dataset=document.digest) if one.dataset else Connected(app=document.digest)
    before = Graph(workflow, documents)
    after = Graph(Workflow(name=workflow.name, objects=objects, edges=workflow.edges), documents | others)
    found = compare(before, after)
    assert len(found.changes) == 120
    told = in_words(found, before, after)
    assert list(told) == ["Owners"]
    (sentence,) = told["Owners"]
    assert (
        " and 114 more: its owner 'Hospital 0': contact was 'hospital@example.org', is 'office@example.org'" in sentence
    )


def test_what_matters_most_comes_first():
    def everything(version: Version) -> None:
        second_reader(version)
        version.change("conditions", description="new", location="s3://x/y", labels={})
        version.program("describe", image=f"r/x@sha256:{'00' * 32}")
        version.change("result", owner=owner("Hospital D", version))
        version.change("describe", items={"a": Item(contents="")})

    before, after = changed(everything)
    assert list(in_words(compare(before, after), before, after)) == [
        "Now reaches",
        "No longer reaches",
        "Parties that joined or left",
        "Objects",
        "Owners",
        "Builds and measurements",
        "Data locations and protection",
        "Ports and connections",
        "Files for applications",
        "Labels",
        "Descriptions",
    ]


def test_a_difference_fits_the_version_it_is_from_alone():
    before, after = changed(lambda v: v.change("conditions", location="s3://x/y"))
    found = compare(before, after)
    assert apply(found, before).workflow == after.workflow
    with pytest.raises(InvalidDocument, match="does not apply to this version"):
        apply(found, after)
    for odd in (
        Change(("objects", "nothing", "location"), None, "s3://a/b"),
        Change(("objects", "conditions", "owner"), found_at(before, "owner"), None),
        Change(("objects", "conditions", "owner"), found_at(before, "owner"), "x"),
        Change(("objects", "conditions", "schema"), None, "x"),
        Change(("objects",), None, None),
        Change((), None, {}),
    ):
        with pytest.raises(InvalidDocument):
            apply(replace(NOTHING, changes=(odd,)), before)


def found_at(graph: Graph, member: str):
    document = graph.party(getattr(graph.nodes["conditions"], member))
    return {name: value for name, value in document.members().items() if name != "schema"}


def test_lists_of_names():
    assert listed(["a"]) == "'a'"
    assert listed(["a", "b"]) == "'a' and 'b'"
    assert listed([str(number) for number in range(9)]) == "'0', '1', '2', '3', '4', '5' and 3 more"
