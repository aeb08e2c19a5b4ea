"""The graph of a workflow: its rules, and what reaches whom."""

from __future__ import annotations

import itertools

import generated_workflows
import networkx as nx
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from parties import MEASUREMENT, edge, person, story

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.graph import Graph, Reach
from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Application,
    Build,
    BuildReference,
    Connected,
    DatasetDocument,
    Placeholder,
    Workflow,
)

PORTS = ("input", "output", "peer")


def in_order(*edges):
    return tuple(sorted(edges, key=lambda one: canonical_bytes(one.model_dump(exclude_none=True))))


def changed(edges=None, objects=None) -> tuple[Workflow, dict]:
    told, workflow = story()
    objects = {**workflow.objects, **(objects or {})}
    return Workflow(name="x", objects=objects, edges=in_order(*(edges or workflow.edges))), told.documents


def test_a_story_holds_together():
    told, workflow = story()
    graph = Graph(workflow, told.documents)
    assert graph.reach() == [
        Reach("conditions", "describe", ()),
        Reach("conditions", "result", ("describe",)),
    ]
    assert graph.owners() == {one.party.digest for one in (told.clinic, told.lab, told.receiver)}


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([edge("nothing", "describe:input")], "'nothing', which is not an object of the workflow"),
        ([edge("conditions", "describe:inptu")], "'describe' has no port 'inptu'; it has input, output"),
        ([edge("conditions", "describe")], "does not name a port of 'describe'"),
        ([edge("conditions:data", "describe:input")], "names a port of 'conditions', but a dataset has no ports"),
        ([edge("result", "describe:input")], "'result' is for output and cannot be read from"),
        ([edge("describe:output", "conditions")], "'conditions' is for input and cannot be written to"),
        ([edge("conditions", "result")], "connects two datasets"),
        ([edge("describe:output", "describe:input")], "connects an application with itself"),
    ],
)
def test_edges_that_do_not_fit(edges, message):
    with pytest.raises(InvalidDocument, match=message):
        Graph(*changed(edges))


def test_one_name_twice_on_a_port():
    told, workflow = story()
    both = DatasetDocument(
        name="Both", owner=told.clinic.party.digest, location="s3://a/b", direction="both", credentials_digest="03" * 32
    )
    told.add(both)
    objects = {**workflow.objects, "both": Connected(dataset=both.digest)}
    edges = in_order(edge("both", "describe:input"), edge("describe:input", "both"))
    with pytest.raises(InvalidDocument, match="'describe' has 'both' twice on its port 'input'"):
        Graph(Workflow(name="x", objects=objects, edges=edges), told.documents)


def test_a_circle_of_applications_is_named():
    told, workflow = story()
    app = workflow.objects["describe"]
    objects = {**workflow.objects, "second": app, "third": app}
    circle = [
        edge("describe:output", "second:input"),
        edge("second:output", "third:input"),
        edge("third:output", "describe:input"),
    ]
    with pytest.raises(InvalidDocument, match="in a cycle: .*(describe|second|third) -> .* -> "):
        Graph(Workflow(name="x", objects=objects, edges=in_order(*circle)), told.documents)


def test_what_is_missing_or_of_another_kind_is_named():
    told, workflow = story()
    for digest in [digest for digest in told.documents if digest in {*Graph(workflow, told.documents).references()}]:
        rest = {name: one for name, one in told.documents.items() if name != digest}
        with pytest.raises(InvalidDocument, match="refers to the .* which is missing"):
            Graph(workflow, rest)
    swapped = {"conditions": Connected(dataset=workflow.objects["describe"].app)}
    with pytest.raises(
        InvalidDocument, match="'conditions' refers to the dataset .* which is of another kind: app config"
    ):
        Graph(*changed(objects=swapped))


def test_a_build_that_the_application_does_not_have():
    told, workflow = story()
    app = told.documents[workflow.objects["describe"].app]
    other = app.model_copy(update={"build": BuildReference(application=app.build.application, measurement="ef" * 32)})
    told.add(other)
    with pytest.raises(InvalidDocument, match="is for a build that 'Describe' does not have"):
        Graph(Workflow(name="x", objects={"describe": Connected(app=other.digest)}), told.documents)


def test_places_that_wait_take_part():
    told, workflow = story()
    place = Placeholder(reserved_for=person("Hospital D").party.digest, wanted="app", purpose="anonymise")
    told.add(person("Hospital D").party)
    objects = {**workflow.objects, "anonymise": place}
    edges = in_order(edge("conditions", "anonymise:in"), edge("anonymise:out", "describe:input"))
    graph = Graph(Workflow(name="x", objects=objects, edges=edges), told.documents)
    assert set(graph.unfilled()) == {"anonymise"}
    assert place.reserved_for in graph.owners()
    assert Reach("conditions", "describe", ("anonymise",)) in graph.reach()


@st.composite
def graphs(draw):
    """A workflow of up to 8 applications in a row, and up to 8 datasets around them."""
    owner = person("Clinic A").party
    build = Build(platform="simulated", measurement=MEASUREMENT)
    application = Application(name="A", owner=owner.digest, image=f"r/a@sha256:{'00' * 32}", builds=(build,))
    reference = BuildReference(application=application.digest, measurement=MEASUREMENT)
    app = AppConfigDocument(name="A", owner=owner.digest, build=reference, ports=PORTS)
    dataset = DatasetDocument(
        name="D", owner=owner.digest, location="s3://a/b", direction="both", credentials_digest="00" * 32
    )
    apps = [f"app{number}" for number in range(draw(st.integers(1, 8)))]
    datasets = [f"data{number}" for number in range(draw(st.integers(1, 8)))]
    found = set()
    for name in apps:
        for other in draw(st.lists(st.sampled_from(datasets), unique=True, max_size=3)):
            found.add((other, f"{name}:input"))
        for other in draw(st.lists(st.sampled_from(datasets), unique=True, max_size=3)):
            found.add((f"{name}:output", other))
    for first in range(len(apps)):
        for second in range(first + 1, len(apps)):
            if draw(st.integers(0, 3)) == 0:
                found.add((f"{apps[first]}:peer", f"{apps[second]}:peer"))
    objects = {name: Connected(app=app.digest) for name in apps} | {
        name: Connected(dataset=dataset.digest) for name in datasets
    }
    workflow = Workflow(name="random", objects=objects, edges=in_order(*(edge(*ends) for ends in found)))
    return Graph(workflow, {one.digest: one for one in (owner, application, app, dataset)})


def drawn(graph: Graph) -> nx.DiGraph:
    """The same graph, in another library."""
    other = nx.DiGraph()
    other.add_nodes_from(graph.nodes)
    other.add_edges_from((one.source.id, one.target.id) for one in graph.workflow.edges)
    return other


@pytest.mark.parametrize("strategy", [graphs(), generated_workflows.graphs()], ids=["large", "all members"])
def test_generated_graphs_have_circles_and_applications_that_hand_on(strategy):
    trying = settings(max_examples=500, derandomize=True, database=None, phases=[Phase.generate])
    circle = find(strategy, lambda graph: any(len(one) > 2 for one in nx.simple_cycles(drawn(graph))), settings=trying)
    assert any(graph_is_both(circle, name) for name in circle.nodes)
    assert find(strategy, lambda graph: any(hands_on(graph, edge) for edge in graph.workflow.edges), settings=trying)


def graph_is_both(graph: Graph, name: str) -> bool:
    return isinstance(graph.nodes[name], DatasetDocument) and graph.nodes[name].direction == "both"


def hands_on(graph: Graph, edge) -> bool:
    return graph.is_app(edge.source.id) and graph.is_app(edge.target.id)


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(graphs() | generated_workflows.graphs())
def test_reach_is_what_another_library_finds(graph):
    other = drawn(graph)
    expected = set()
    for source in graph.nodes:
        if not graph.is_app(source):
            for target in nx.descendants(other, source):
                between = nx.descendants(other, source) & nx.ancestors(other, target)
                through = tuple(sorted(name for name in between if graph.is_app(name) and name != target))
                expected.add(Reach(source, target, through))
    assert set(graph.reach()) == expected


def chained(count: int) -> Graph:
    """Datasets that all feed the first of as many applications, each of which feeds the next: 340 bytes for each."""
    owner = person("Clinic A").party
    place = {"reserved_for": owner.digest}
    names = [f"{number:04}" for number in range(count)]
    objects = {f"d{name}": Placeholder(**place, wanted="dataset") for name in names}
    objects |= {f"a{name}": Placeholder(**place, wanted="app") for name in names}
    edges = [edge(f"d{name}", f"a{names[0]}:in") for name in names]
    edges += [edge(f"a{one}:out", f"a{other}:in") for one, other in itertools.pairwise(names)]
    return Graph(Workflow(name="chain", objects=objects, edges=in_order(*edges)), {owner.digest: owner})


def test_more_reach_than_people_can_read_is_refused():
    assert len(chained(50).reach()) == 2500
    for count in (200, 2000):
        with pytest.raises(InvalidDocument, match="would have more than 1,000,000 names"):
            chained(count).reach()
