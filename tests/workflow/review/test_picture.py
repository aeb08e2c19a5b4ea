"""Pictures: nothing lies on anything else, and names of strangers are text in them and nothing more."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from large_workflows import in_order, large
from parties import NOW, approved, bundle_of, decided, edge, person, story

from connectors.names import printable
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Application,
    BuildReference,
    Connected,
    DatasetDocument,
    Party,
    Placeholder,
    Workflow,
)
from connectors.workflow.review.layout import COLUMN_GAP, arrange
from connectors.workflow.review.picture import draw
from connectors.workflow.trust.verification import status

SVG = "{http://www.w3.org/2000/svg}"
ATTRIBUTES = {
    "svg": {"width", "height", "viewBox", "role", "x", "y"},
    "title": set(),
    "style": set(),
    "rect": {"class", "x", "y", "width", "height", "rx"},
    "text": {"class", "x", "y", "text-anchor"},
    "path": {"class", "d"},
    "circle": {"class", "cx", "cy", "r"},
    "g": {"class"},
}
"""All that a picture is made of: nothing that runs, links or loads."""

HOSTILE = [
    "<script>alert(1)</script>",
    "</title></svg><script>alert(1)</script>",
    '"/><image href="https://evil.example/x.png"/>',
    "' onload='alert(1)",
    "]]><!ENTITY x SYSTEM 'file:/etc/passwd'>",
    "&lt;b&gt; &#x3c;script&#x3e; &amp;",
    "</style><style>@import url(https://evil.example)",
    "javascript:alert(1)",
    "Clinic \u2062 A\ufe0f B\u200b\u3164x",
    "e" + "\u0301" * 190,
    "\ufffe\uffff\ud7ff",
    "\u6f22" * 100,
    "{} %s {0} {name}",
    "m" * 200,
]
WIDTH = 248


def parsed(svg: str) -> ET.Element:
    """The picture, made of nothing but what pictures are made of."""
    assert "<!" not in svg
    assert "<?" not in svg
    root = ET.fromstring(svg)
    for element in root.iter():
        tag = element.tag.removeprefix(SVG)
        assert tag in ATTRIBUTES, tag
        assert set(element.attrib) <= ATTRIBUTES[tag], element.attrib
        assert not any("url" in value or "script" in value for value in element.attrib.values())
    (style,) = root.iter(f"{SVG}style")
    assert "url(" not in style.text
    assert "@import" not in style.text
    assert style.text.count("{") == style.text.count("}")
    return root


def texts(root: ET.Element, kind: str) -> list[str]:
    return [element.text for element in root.iter(f"{SVG}text") if element.get("class") == kind]


def titles(root: ET.Element) -> list[str]:
    return [element.text for element in root.iter(f"{SVG}title")]


def rectangles(root: ET.Element) -> list[tuple[float, ...]]:
    return [
        tuple(float(element.get(name)) for name in ("x", "y", "width", "height"))
        for element in root.iter(f"{SVG}rect")
        if element.get("class").startswith("box")
    ]


def apart(one, other) -> bool:
    (x, y, width, height), (left, top, wide, high) = one, other
    return x + width < left or left + wide < x or y + height < top or top + high < y


def hostile_graph(text: str) -> Graph:
    """The story with a text wherever the rules let it be."""
    told, _ = story()
    documents = {}

    def keep(document):
        documents[document.digest] = document
        return document.digest

    owner = keep(Party(name=text, contact=text, keys=told.clinic.party.keys))
    parts = {
        kind: next(one for one in told.documents.values() if isinstance(one, kind))
        for kind in (DatasetDocument, Application, AppConfigDocument)
    }
    name = text.replace("/", "|").replace("\u0085", "").strip(". ")[:250]
    port = name if all(letter.isprintable() for letter in name) else "input"
    program = Application(name=text, owner=owner, image=parts[Application].image, builds=parts[Application].builds)
    app = AppConfigDocument(
        name=text,
        owner=keep(told.lab.party),
        build=BuildReference(application=keep(program), measurement=program.builds[0].measurement),
        ports=(port,),
    )
    data = DatasetDocument(
        name=text, owner=owner, location="s3://a/<script>", direction="input", credentials_digest="00" * 32
    )
    place = Placeholder(reserved_for=owner, wanted="dataset", purpose=text)
    node = port if port == name else "object"
    objects = {node: Connected(dataset=keep(data)), "app": Connected(app=keep(app)), "place": place}
    edges = in_order(edge_to(node, "app", port), edge_from("app", port, "place"))
    return Graph(Workflow(name=text, objects=objects, edges=edges), documents)


def edge_to(source: str, target: str, port: str):
    one = edge("a", "b:c")
    return one.model_copy(
        update={
            "source": one.source.model_copy(update={"id": source}),
            "target": one.target.model_copy(update={"id": target, "port": port}),
        }
    )


def edge_from(source: str, port: str, target: str):
    one = edge("a:b", "c")
    return one.model_copy(
        update={
            "source": one.source.model_copy(update={"id": source, "port": port}),
            "target": one.target.model_copy(update={"id": target}),
        }
    )


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_names_are_text_and_nothing_more(text):
    root = parsed(draw(hostile_graph(text)))
    assert any(printable(text) in one for one in titles(root))
    assert all(printable(one) == one for one in titles(root))
    for one in root.iter(f"{SVG}text"):
        assert len(one.text) <= 120


def test_a_long_name_is_cut_and_stands_whole_in_its_title():
    root = parsed(draw(hostile_graph("m" * 200)))
    (name, _, _) = texts(root, "name")
    assert name.endswith("\u2026")
    assert "m" * 200 in titles(root)


def test_what_is_beyond_a_box_is_cut_off():
    root = parsed(draw(hostile_graph("e" + "\u0301" * 190)))
    _, head, *inner = root.iter(f"{SVG}svg")
    (title,) = texts(head, "title")
    assert title.endswith("\u2026")
    assert sorted((one.get("x"), one.get("y"), one.get("width"), one.get("height")) for one in inner) == sorted(
        (one.get("x"), one.get("y"), one.get("width"), one.get("height"))
        for one in root.iter(f"{SVG}rect")
        if one.get("x")
    )
    inside = {text for one in (head, *inner) for text in one.iter(f"{SVG}text")}
    outside = [one.get("class") for one in root.iter(f"{SVG}text") if one not in inside]
    assert outside == []


def test_a_story_is_drawn():
    told, workflow = story()
    svg = draw(Graph(workflow, told.documents))
    root = parsed(svg)
    assert texts(root, "name") == ["Conditions Data", "Describe conditions", "Conditions processing", "output"]
    people = (told.clinic, told.lab, told.receiver)
    assert texts(root, "owner") == [f"{one.party.name} {one.party.digest[:8]}" for one in people]
    assert texts(root, "port") == ["input", "output"]
    assert "version 1, 2 datasets, 1 application" in texts(root, "id")
    left = dict(zip(("conditions", "describe", "result"), (one[0] for one in rectangles(root)), strict=True))
    assert left["conditions"] < left["describe"] < left["result"]
    assert "prefers-color-scheme:dark" in svg
    assert svg == draw(Graph(workflow, dict(reversed(told.documents.items()))))


def test_another_owner_of_the_same_name_makes_another_picture():
    told, workflow = story()
    result = told.documents[workflow.objects["result"].dataset]
    eve = Party(name="Registry C", contact=told.receiver.party.contact, keys=person("Dr. Eve").party.keys)
    told.add(eve)
    theirs = told.add(result.model_copy(update={"owner": eve.digest}))
    objects = {**workflow.objects, "result": Connected(dataset=theirs)}
    other = Graph(workflow.model_copy(update={"objects": objects}), told.documents)
    before, after = (texts(parsed(draw(graph)), "owner") for graph in (Graph(workflow, told.documents), other))
    assert before[:2] == after[:2]
    assert after[2] == f"Registry C {eve.digest[:8]}" != before[2]


def test_places_are_dashed():
    assert [one.get("class") for one in parsed(draw(hostile_graph("x"))).iter(f"{SVG}rect")][1:].count("box place") == 1


def test_who_has_approved_has_a_tick():
    told, bundle, trusted = approved()
    decisions = (bundle.decisions[0], decided(bundle.request, told.receiver, "decline"))
    found = status(bundle_of(bundle.request, *decisions), trusted, NOW)
    root = parsed(draw(bundle.request.graph, found))
    marks = {kind: texts(root, kind) for kind in ("approved", "missing", "against")}
    assert marks == {"approved": ["\u2713"], "missing": ["\u25cb"], "against": ["\u2717"]}
    assert "version 1, 2 datasets, 1 application; declined: approved by 1 of 3 parties" in texts(root, "id")


def test_nothing_lies_on_anything_else():
    workflow, documents, _ = large(10, parties=7)
    more = [edge(f"records-{number:04}-0", f"app-{(number * 3 + 1) % 10:04}:input") for number in range(10)]
    both = {*workflow.edges, *more}
    for edges in (workflow.edges, in_order(*both)):
        root = parsed(draw(Graph(Workflow(name="x", objects=workflow.objects, edges=edges), documents)))
        boxes = rectangles(root)
        assert len(boxes) == 60
        assert all(apart(*two) for two in itertools.combinations(boxes, 2))
        width, height = float(root.get("width")), float(root.get("height"))
        assert all(x > 0 and y > 0 and x + w < width and y + h < height for x, y, w, h in boxes)


def test_an_empty_workflow_is_drawn():
    assert rectangles(parsed(draw(Graph(Workflow(name="x", objects={}), {})))) == []


def test_a_picture_grows_with_its_workflow_and_no_faster():
    sizes = []
    for applications in (8, 16, 32):
        workflow, documents, _ = large(applications, parties=3)
        svg = draw(Graph(workflow, documents))
        assert svg.count("link-group") - 2 == len(workflow.edges)
        sizes.append(len(svg))
    assert sizes[2] < 2.2 * sizes[1] < 2.2 * 2.2 * sizes[0]


NODES = [f"n{number}" for number in range(9)]


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.sets(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)).filter(lambda ends: ends[0] != ends[1]), max_size=20),
       st.lists(st.integers(40, 120), min_size=len(NODES), max_size=len(NODES)))  # fmt: skip
def test_boxes_of_any_graph_are_apart_and_links_pass_between_them(ends, sizes):
    heights, links = dict(zip(NODES, map(float, sizes), strict=True)), sorted(ends)
    found = arrange(heights, links, WIDTH)
    boxes = {name: (*found.corners[name], WIDTH, heights[name]) for name in NODES}
    assert all(apart(*two) for two in itertools.combinations(boxes.values(), 2))
    for x, y, width, height in boxes.values():
        assert -0.01 <= x <= found.width - width + 0.01
        assert -0.01 <= y <= found.height - height + 0.01
    for (source, target), bends in zip(links, found.bends, strict=True):
        assert len(bends) % 2 == 0
        columns = (boxes[target][0] - boxes[source][0]) / (WIDTH + COLUMN_GAP)
        assert len(bends) == 2 * max(round(columns) - 1, 0)
        for x, y in bends:
            assert not any(
                left <= x <= left + wide and top <= y <= top + high for left, top, wide, high in boxes.values()
            )
    again = arrange(dict(reversed(heights.items())), links, WIDTH)
    assert again == found


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.sets(st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(lambda ends: ends[0] < ends[1]), max_size=16))
def test_what_leads_into_a_box_stands_left_of_it(ends):
    links = sorted((f"n{one}", f"n{other}") for one, other in ends)
    found = arrange(dict.fromkeys(NODES, 60.0), links, WIDTH)
    assert all(found.corners[source][0] < found.corners[target][0] for source, target in links)


def test_numbers_in_paths_are_numbers():
    workflow, documents, _ = large(4, parties=2)
    for path in parsed(draw(Graph(workflow, documents))).iter(f"{SVG}path"):
        assert re.fullmatch(r"[MmLlCchvz0-9 .-]+", path.get("d")), path.get("d")


def test_picture_in_the_documentation_is_what_is_drawn():
    _, bundle, trusted = approved()
    shown = Path(__file__).parents[3] / "docs" / "pictures" / "patient-conditions.svg"
    assert shown.read_text() == draw(bundle.request.graph, status(bundle, trusted, NOW))
