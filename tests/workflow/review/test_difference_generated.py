"""Differences between generated versions: nothing is left out."""

from __future__ import annotations

import json

import generated_workflows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from large_workflows import in_order
from parties import MEASUREMENT, edge, person

from connectors.names import printable
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Application,
    Build,
    BuildReference,
    Connected,
    DatasetDocument,
    Item,
    Party,
    Placeholder,
    Workflow,
)
from connectors.workflow.documents.model import Document
from connectors.workflow.review.difference import apply, compare
from connectors.workflow.review.wording import in_words

OTHER = "ef" * 32
NAMES = ("a", "b", "owner", "kind", "edges")
TEXTS = st.none() | st.sampled_from(["x", "y"])
LABELS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["x", "y"]), max_size=2)


@st.composite
def versions(draw) -> Graph:
    """A workflow of few names and few values, so that two of them have much in common."""
    documents: dict[str, Document] = {}

    def keep(document: Document) -> str:
        documents[document.digest] = document
        return document.digest

    def party() -> str:
        one = person(draw(st.sampled_from(["A", "B"]))).party
        keys = one.keys + (person("C").party.keys if draw(st.booleans()) else ())
        return keep(Party(name=one.name, contact=draw(st.sampled_from(["x", "y"])), keys=keys))

    def dataset() -> Connected:
        document = DatasetDocument(
            name=draw(st.sampled_from(["x", "y"])),
            description=draw(TEXTS),
            labels=draw(LABELS),
            owner=party(),
            location=draw(st.sampled_from(["s3://a/b", "s3://a/c"])),
            direction="both",
            credentials_digest=draw(st.sampled_from(["00" * 32, "01" * 32])),
            pin=draw(st.none() | st.just("00" * 32)),
        )
        return Connected(dataset=keep(document))

    def app() -> Connected:
        builds = tuple(
            Build(platform="simulated", measurement=one, debug=draw(st.booleans()))
            for one in draw(st.permutations([MEASUREMENT, OTHER]))
        )
        program = Application(name="P", owner=party(), image=f"r/a@sha256:{'00' * 32}", builds=builds)
        document = AppConfigDocument(
            name="x",
            group=draw(TEXTS),
            owner=party(),
            build=BuildReference(application=keep(program), measurement=draw(st.sampled_from([MEASUREMENT, OTHER]))),
            ports=("in", "out"),
            labels=draw(LABELS),
            items={name: Item(contents=draw(st.sampled_from(["", "AAAA"]))) for name in draw(st.sets(st.sampled_from(NAMES), max_size=2))},
        )  # fmt: skip
        return Connected(app=keep(document))

    def place() -> Placeholder:
        return Placeholder(reserved_for=party(), wanted=draw(st.sampled_from(["app", "dataset"])), purpose=draw(TEXTS))

    objects = {
        name: draw(st.sampled_from([dataset, app, app, place]))()
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    }
    apps = sorted(
        name for name, one in objects.items() if getattr(one, "app", None) or getattr(one, "wanted", "") == "app"
    )
    rest = sorted(objects.keys() - apps)
    possible = [edge(other, f"{name}:in") for name in apps for other in rest]
    possible += [edge(f"{name}:out", other) for name in apps for other in rest]
    possible += [edge(f"{name}:out", f"{other}:in") for place, name in enumerate(apps) for other in apps[place + 1 :]]
    edges = draw(st.lists(st.sampled_from(possible), unique=True, max_size=5)) if possible else []
    workflow = Workflow(
        name="w",
        description=draw(TEXTS),
        version=draw(st.integers(1, 2)),
        parent=draw(st.none() | st.just("00" * 32)),
        objects=objects,
        edges=in_order(*edges),
    )
    return Graph(workflow, documents)


PAIRS = st.tuples(versions(), versions()) | generated_workflows.parties().flatmap(
    lambda people: st.tuples(generated_workflows.graphs(people), generated_workflows.graphs(people))
)
"""Versions that are much alike, and others that have all members, circles and any names."""


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(PAIRS)
def test_nothing_is_left_out(pair):
    before, after = pair
    found = compare(before, after)
    made = apply(found, before)
    assert made.workflow.to_bytes() == after.workflow.to_bytes()
    assert made.documents == {digest: after.documents[digest] for digest in after.references()}
    assert bool(found) == (before.workflow.digest != after.workflow.digest)
    assert not compare(after, after)
    told = in_words(found, before, after)
    assert bool(told) == bool(found)
    assert all(printable(sentence) == sentence for sentences in told.values() for sentence in sentences)
    json.dumps(found.members())
    pairs, others = ({(one.source, one.target) for one in graph.reach()} for graph in (after, before))
    assert pairs - others <= {(one.source, one.target) for one in found.gained} <= pairs
    assert others - pairs <= {(one.source, one.target) for one in found.lost} <= others


@settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(PAIRS)
def test_the_way_back_is_the_same_turned_round(pair):
    before, after = pair
    there, back = compare(before, after), compare(after, before)
    assert {(one.path, json.dumps(one.before), json.dumps(one.after)) for one in there.changes} == {
        (one.path, json.dumps(one.after), json.dumps(one.before)) for one in back.changes
    }
    assert (there.gained, there.lost, there.joined, there.left) == (back.lost, back.gained, back.left, back.joined)
