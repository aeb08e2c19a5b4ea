"""Workflows of increasing size: the time to request, transfer, verify and show them.

A ratio is the objects per second divided by those of the smallest workflow: about 1 if the work grows linearly.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from large_workflows import approved_by_all, large
from parties import MEASUREMENT, NOW

from benchmarks.bench import Bench, Contender
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import Workflow
from connectors.workflow.documents.requests import make_request
from connectors.workflow.documents.runtime import runtime_configs
from connectors.workflow.review.difference import compare
from connectors.workflow.review.picture import draw
from connectors.workflow.review.wording import in_words
from connectors.workflow.trust.verification import Bundle, status, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Row, Run

PARTIES = 50


class _Case:
    """A workflow in all its forms; each job starts from the form that its user has."""

    def __init__(self, applications: int) -> None:
        self.applications = applications
        self.workflow, self.documents, people = large(applications, PARTIES)
        self.requester = people[0].party
        bundle, self.trusted = approved_by_all(applications, PARTIES)
        self.bundle = bundle.to_bytes()
        self.identifier = runtime_configs(bundle.request)["app-0000"].identifier

    @property
    def name(self) -> str:
        return f"{5 * self.applications:,} datasets, {self.applications:,} applications"

    @cached_property
    def changed(self) -> Graph:
        """The next version, in which half of the datasets are not connected."""
        edges = tuple(edge for edge in self.workflow.edges if not edge.source.id.endswith(("0", "2")))
        workflow = Workflow(name=self.workflow.name, version=2, objects=self.workflow.objects, edges=edges)
        return Graph(workflow, self.documents)

    @property
    def graph(self) -> Graph:
        return Graph(self.workflow, self.documents)

    def submit(self) -> None:
        """Create a request from copies of the documents, so that their digests are computed again."""
        documents = {digest: one.model_copy() for digest, one in self.documents.items()}
        make_request(self.workflow.model_copy(), documents, self.requester, created=NOW)

    def write(self) -> None:
        assert Bundle.from_bytes(self.bundle).to_bytes() == self.bundle

    def read(self) -> None:
        assert Bundle.from_bytes(self.bundle).request.graph

    def show_status(self) -> None:
        assert status(Bundle.from_bytes(self.bundle), self.trusted, NOW).state == "approved"

    def verify(self) -> None:
        assert verify(
            Bundle.from_bytes(self.bundle),
            self.trusted,
            self.identifier,
            MEASUREMENT,
            platform="simulated",
            debug=False,
            now=NOW,
        )

    def config(self) -> None:
        assert len(runtime_configs(Bundle.from_bytes(self.bundle).request)) == self.applications

    def reach(self) -> None:
        assert len(self.graph.reach()) > self.applications

    def diff(self) -> None:
        graph = self.graph
        assert in_words(compare(graph, self.changed), graph, self.changed)

    def draw(self) -> None:
        assert draw(self.graph).endswith("</svg>\n")


JOBS: dict[str, Callable[[_Case], None]] = {
    "submit: create a request": _Case.submit,
    "read a bundle": _Case.read,
    "read and write a bundle": _Case.write,
    "read a bundle: status": _Case.show_status,
    "read a bundle: all runtime configs": _Case.config,
    "read a bundle: verify one runtime config": _Case.verify,
    "what reaches whom": _Case.reach,
    "differences, in words": _Case.diff,
    "picture": _Case.draw,
}


def run(bench: Bench) -> Iterator[Row]:
    cases = [_Case(applications) for applications in bench.scale.workflows]
    for operation, job in JOBS.items():
        rows = bench.race(operation, [_contender(case, job, cases[0]) for case in cases])
        for row in rows:
            if row["reference"] and row["seconds"] and rows[0]["seconds"]:
                row["ratio"] = round(row["items_per_second"] / rows[0]["items_per_second"], 4)
        yield from rows


def _contender(case: _Case, job: Callable[[_Case], None], smallest: _Case) -> Contender:
    def setup() -> Run:
        return lambda _: job(case)

    reference = None if case is smallest else smallest.name
    return Contender(case.name, setup, items=6 * case.applications, reference=reference)
