"""Work grows with a workflow's size, and no faster: counted in calls and in bytes that are written down, not in time."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import pairwise

import pytest
import rfc8785
from large_workflows import approved_by_all, large, request_of
from parties import MEASUREMENT, NOW, bundle_of, decided

from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import AppConfigDocument, Connected, DatasetDocument, Item, Workflow
from connectors.workflow.documents.requests import Request, freeze, make_request
from connectors.workflow.documents.runtime import identifiers, runtime_configs
from connectors.workflow.review.difference import apply, compare
from connectors.workflow.review.picture import draw
from connectors.workflow.review.wording import in_words
from connectors.workflow.trust.verification import Bundle, status, verify

SIZES = (8, 16, 32)
"""Applications; there are five datasets for each."""


def calls(work) -> int:
    """How many functions it calls: work that no other process and no clock has a part in."""
    counted = Counter()

    def count(_, event, __) -> None:
        counted[event] += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted["call"] + counted["c_call"]


@pytest.fixture
def written(monkeypatch) -> Counter:
    """How many bytes are written in their canonical form, under "size", and how often as many at once."""
    found = Counter()
    dumps = rfc8785.dumps

    def counting(value) -> bytes:
        data = dumps(value)
        found["size"] += len(data)
        found[len(data)] += 1
        return data

    monkeypatch.setattr(rfc8785, "dumps", counting)
    return found


def redated(workflow: Workflow, documents: dict) -> tuple[Workflow, dict]:
    """The next version, in which every dataset has moved."""
    moved, objects = dict(documents), {}
    for name, one in workflow.objects.items():
        document = documents.get(one.dataset)
        if isinstance(document, DatasetDocument):
            members = {member: getattr(document, member) for member in DatasetDocument.model_fields}
            document = DatasetDocument(**{**members, "location": f"{document.location}.2"})
            moved[document.digest] = document
            one = Connected(dataset=document.digest)  # noqa: PLW2901 - the same object, moved
        objects[name] = one
    return Workflow(name=workflow.name, version=2, objects=objects, edges=workflow.edges), moved


class Case:
    """A large workflow, in all its forms."""

    def __init__(self, applications: int) -> None:
        self.workflow, self.documents, people = large(applications, parties=10)
        self.requester = people[0].party
        self.bundle, self.trusted = approved_by_all(applications, parties=10)
        self.data = self.bundle.to_bytes()
        self.next = Graph(*redated(self.workflow, self.documents))

    @property
    def graph(self) -> Graph:
        return Graph(self.workflow, self.documents)

    def make_request(self) -> None:
        make_request(self.workflow, self.documents, self.requester, created=NOW)

    def read(self) -> None:
        assert Bundle.from_bytes(self.data).to_bytes() == self.data

    def verify(self) -> None:
        bundle = Bundle.from_bytes(self.data)
        config = runtime_configs(bundle.request)["app-0003"]
        verify(bundle, self.trusted, config.identifier, MEASUREMENT, platform="simulated", debug=False, now=NOW)

    def runtime(self) -> None:
        assert len(runtime_configs(Bundle.from_bytes(self.data).request)) * 6 == len(self.workflow.objects)

    def reach(self) -> None:
        assert len(self.graph.reach()) > len(self.workflow.objects)

    def diff(self) -> None:
        graph = self.graph
        found = compare(graph, self.next)
        assert len(in_words(found, graph, self.next)) == 2
        assert apply(found, graph).workflow == self.next.workflow

    def picture(self) -> None:
        draw(self.graph, status(self.bundle, self.trusted, NOW))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [Case(size) for size in SIZES]


@pytest.mark.parametrize("work", ["make_request", "read", "verify", "runtime", "reach", "diff", "picture"])
def test_work_doubles_with_the_size(work, cases, written):
    found = []
    for case in cases:
        getattr(case, work)()  # what is done once in a process, however large a workflow is
        written.clear()
        found.append((calls(getattr(case, work)), written["size"]))
    for (few, small), (many, large_) in pairwise(found):
        assert few < many < 2.3 * few
        assert small <= large_ <= 2.3 * small


def test_a_request_is_written_down_once_however_many_approve_it(written):
    request, people = request_of(20, parties=20)
    assert len(people) == 20
    bundle = bundle_of(request, *(decided(request, one) for one in people))
    again = Bundle.from_bytes(bundle.to_bytes())
    whole = len(again.request.to_bytes())
    written.clear()
    found = status(again, set(request.approvers), NOW)
    assert found.state == "approved"
    assert sum(times for size, times in written.items() if isinstance(size, int) and size > whole / 2) == 1


def test_the_files_of_an_app_config_are_written_once_however_many_applications_share_it(written):
    _, documents, people = large(4, parties=1)
    config = next(one for one in documents.values() if isinstance(one, AppConfigDocument))
    config = AppConfigDocument.from_members(
        {**config.members(), "items": {"model.bin": {"contents": "AAAA" * 100_000}}, "labels": {"a": "b"}}
    )
    found = []
    for count in (1, 50):
        objects = {f"app-{number}": Connected(app=config.digest) for number in range(count)}
        request = freeze(
            Workflow(name="shared", objects=objects),
            {**documents, config.digest: config},
            people[0].party,
            created=NOW,
        )
        _ = request.digest, request.graph
        written.clear()
        known = identifiers(request)
        found.append(written["size"])
        assert known == {name: one.identifier for name, one in runtime_configs(request).items()}
        assert len(set(known.values())) == count
    assert found[1] < 1.1 * found[0]


@pytest.mark.parametrize("count", [1, 8])
def test_identifiers_are_the_digests_of_the_runtime_configurations(count):
    request, _ = request_of(count, parties=2)
    known = identifiers(request)
    assert known == {name: one.identifier for name, one in runtime_configs(request).items()}
    assert len(known) == count


def test_paths_are_checked_with_work_that_doubles_with_their_number():
    _, documents, _ = large(1, parties=1)
    config = next(one for one in documents.values() if isinstance(one, AppConfigDocument))
    found = []
    for count in (100, 200, 400):
        items = {f"{number}/" + "/".join("x" * 30): Item(contents="") for number in range(count)}
        members = {**{name: getattr(config, name) for name in AppConfigDocument.model_fields}, "items": items}
        found.append(calls(lambda members=members: AppConfigDocument(**members)))
    assert found[2] - found[1] < 2.1 * (found[1] - found[0])


def test_copies_have_digests_of_their_own():
    workflow, _, _ = large(1, parties=1)
    before = workflow.digest
    for copy in (
        workflow.model_copy(update={"name": "other"}),
        workflow.model_copy(update={"name": "other"}, deep=True),
    ):
        assert copy.digest != before
        assert copy.digest == Workflow.from_bytes(copy.to_bytes()).digest
    assert workflow.model_copy() == workflow
    assert set(dict(workflow)) == set(Workflow.model_fields)


def test_a_request_builds_its_graph_once():
    request: Request = request_of(4, parties=2)[0]
    assert request.graph is request.graph
    copy = request.model_copy(update={"approvers": request.approvers[::-1]})
    with pytest.raises(ValueError, match="approvers must be those"):
        _ = copy.graph
