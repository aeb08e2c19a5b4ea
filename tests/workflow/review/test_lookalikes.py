"""Names that look alike are told apart, by the skeletons of UTS #39."""

from __future__ import annotations

import unicodedata

import pytest
from generated_workflows import LINES
from hypothesis import given, settings
from parties import NOW, edge, story

from connectors.cli.workflow.render import graph_json, graph_lines, request_lines
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import Party, Workflow
from connectors.workflow.documents.requests import make_request
from connectors.workflow.review import lookalikes
from connectors.workflow.review.difference import compare
from connectors.workflow.review.lookalikes import skeleton
from connectors.workflow.review.naming import Names
from connectors.workflow.review.wording import in_words

CYRILLIC = "\u0441\u043enditions"  # "conditions" with Cyrillic letters


def test_the_table_is_unicode_s():
    table = lookalikes._prototypes()
    assert len(table) == 6565  # the total that confusables.txt 17.0.0 states at its end
    assert not any(ord(letter) in table for prototype in table.values() for letter in prototype)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("paypal", "p\u0430ypal"),  # the examples of UTS #39, section 4, and of UTR #36, section 2
        ("scope", "\u0455\u0441\u043e\u0440\u0435"),
        ("toys-я-us", "toys-\u044f-us"),
        ("modern", "modem"),
        ("data1", "datal"),
        ("s\u00f8s", "so\u0338s"),
        ("cases", "ca\u200bses"),
        ("a\u0300", "\u00e0"),
        ("Straße", "Stra\ua7b5e"),
    ],
)
def test_what_looks_alike_has_one_skeleton(one, other):
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), [("cases", "causes"), ("a", "A"), ("Süd", "Sud"), ("病院", "病房")])
def test_what_does_not_has_two(one, other):
    assert skeleton(one) != skeleton(other)


@settings(deadline=None, derandomize=True, database=None)
@given(LINES)
def test_unicode_forms_do_not_matter(text):
    assert len({skeleton(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}) == 1


def twins() -> tuple[Graph, Graph]:
    """The story, and the story with an object whose id looks like that of another."""
    told, workflow = story()
    objects = {**workflow.objects, CYRILLIC: workflow.objects["conditions"]}
    edges = (*workflow.edges, edge(CYRILLIC, "describe:input"))
    other = Workflow(name=workflow.name, objects=objects, edges=edges)
    return Graph(workflow, told.documents), Graph(other, told.documents)


SENTENCE = f"'conditions' and '{CYRILLIC}' ('\\u0441\\u043enditions') look alike, but are different"


def test_who_signs_reads_which_names_look_alike():
    before, after = twins()
    assert graph_lines(after)[-2:] == ["names that look alike", f"  {SENTENCE}"]
    assert graph_json(after)["alike"] == [["conditions", CYRILLIC]]
    assert in_words(compare(before, after), before, after)["Names that look alike"] == [SENTENCE]
    assert "Names that look alike" not in in_words(compare(after, before), after, before)
    assert not [line for line in graph_lines(before) if "alike" in line]
    assert "alike" not in graph_json(before)


def test_parties_whose_names_look_alike_are_shown_with_their_digests():
    told, workflow = story()
    impostor = Party(name="Clini\u0441 A", contact="eve@example.org", keys=told.lab.party.keys)
    request = make_request(workflow, told.documents, impostor, created=NOW)
    names = Names(request.graph, more=[impostor])
    for party in (told.clinic.party, impostor):
        assert names.party(party) == f"{party.name!r} ({party.digest[:16]})"
    assert any("'Clini\\u0441 A'" in line for line in request_lines(request))


def test_a_host_that_looks_like_another_is_written_with_escapes():
    told, workflow = story()
    result = told.documents[workflow.objects["result"].dataset]
    location = result.location.replace("a", "\u0430")
    assert location != result.location
    theirs = told.add(result.model_copy(update={"location": location}))
    objects = {**workflow.objects, "result": workflow.objects["result"].model_copy(update={"dataset": theirs})}
    before = Graph(workflow, told.documents)
    after = Graph(workflow.model_copy(update={"objects": objects}), told.documents)
    assert any(ascii(location) in line for line in graph_lines(after))
    (sentence,) = in_words(compare(before, after), before, after)["Data locations and protection"]
    assert sentence.endswith(f"location was '{result.location}', is {location!a}")
