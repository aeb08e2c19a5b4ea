"""Workflows that hypothesis makes up, each of them good: of any shape, under any names, and approved by all it is about.

Applications are connected with one another in an order, as they must be; through datasets that are both read and written
they also stand in circles, as they may.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from large_workflows import in_order
from parties import NOW, Person, bundle_of, decided, person, submitted

from connectors.formats import NAMES as FORMATS
from connectors.names import is_safe_name, steering
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import (
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
    Workflow,
)
from connectors.workflow.documents.model import Document
from connectors.workflow.documents.requests import Request, freeze
from connectors.workflow.documents.runtime import RuntimeConfig, runtime_configs
from connectors.workflow.trust.verification import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


__all__ = ["TRYING", "Agreed", "agreed", "graphs", "keyring", "lines", "parties"]

TRYING = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
"""How often, and how, hypothesis tries: the same in every run, as far as that goes."""
Draw = Any
"""What a composite strategy draws with."""

PEOPLE = ("Clinic A", "Klinik Süd", "病院 第三", "Больница №5", "Registry \U0001f3e5")
DIGESTS = tuple(sha256(bytes([number])).hexdigest() for number in range(6))
MEASUREMENTS = ("ab" * 32, "cd" * 48, "0f" * 64, "12" * 96, "34" * 192)
LOCATIONS = ("s3://clinic/a.sealed", "https://registry.example/b", "gs://süd/Daten/c", "az://x/%C3%A9", "memory://d")
ODD = (
    "é",
    "e\u0301",
    "\ufb33",
    "\U0001f600",
    "Ausgänge",
    "端口",
    "null",
    "0",
    "<x>",
    "it's",
    '"',
    "a b",
    "\u200bx",
    "می\u200cخواهم",
)
PORTS = ("input", "output", "peer")
PATHS = ("settings.json", "models/größe.bin", "models/v2/weights", "weights", "файл")


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What a member can be left out of."""
    return st.none() | strategy


def some(*values: Any) -> st.SearchStrategy[Any]:
    """Return one of these."""
    return st.sampled_from(values)


STEERING = [letter for letter in map(chr, range(0x2100)) if steering(letter)]
LETTERS = st.characters(exclude_characters=STEERING, exclude_categories=("Cs",))
LINES = some(*ODD) | st.text(LETTERS, min_size=1, max_size=8).map(str.strip).filter(bool)
NAMES = LINES.filter(is_safe_name)
LABELS = st.dictionaries(LINES, st.text(LETTERS, max_size=8), max_size=2)
ITEMS = st.dictionaries(
    some(*PATHS), st.binary(max_size=9).map(lambda data: Item(contents=base64.b64encode(data).decode())), max_size=2
)
BUILDS = st.lists(
    st.builds(
        Build,
        platform=some("sgx", "snp", "tdx", "nitro", "simulated"),
        measurement=some(*MEASUREMENTS),
        debug=st.booleans(),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda build: build.measurement,
).map(tuple)


def lines() -> st.SearchStrategy[str]:
    """What people call things."""
    return LINES


@functools.cache
def keyring(name: str, count: int) -> Person:
    """Return a party with as many keys, of which it signs with the last."""
    holders = [person(name), *(person(f"{name}, key {number}") for number in range(2, count + 1))]
    party = Party(
        name=name, contact=holders[0].party.contact, keys=tuple(key for one in holders for key in one.party.keys)
    )
    return Person(party, holders[-1].signer)


def parties() -> st.SearchStrategy[tuple[Person, ...]]:
    """One to five of them, all of different names; some have two keys."""
    return st.tuples(some(2, 3, 4, 5, 3, 4, 5, 1), some(0, 1, 2, 3)).map(
        lambda drawn: tuple(keyring(name, 1 + (drawn[1] >> place) % 2) for place, name in enumerate(PEOPLE[: drawn[0]]))
    )


@st.composite
def graphs(draw: Draw, people: tuple[Person, ...] | None = None) -> Graph:
    """A workflow that holds together: up to three applications, and up to five datasets around them.

    Args:
        draw: hypothesis's.
        people: who owns what is in it, each of them something or nothing; drawn, if not given.
    """
    owned = _Owned(draw, people or draw(parties()))
    count, others = draw(some(1, 2, 3)), draw(some(2, 3, 4, 5, 1, 0))
    names = draw(st.lists(NAMES, unique=True, min_size=count + others, max_size=count + others))
    programs = [owned.program() for _ in range(draw(some(1, 2)))]
    objects: dict[str, Connected] = {}
    ports: dict[str, tuple[str, ...]] = {}
    directions: dict[str, str] = {}
    for name in names[:count]:
        app = owned.app(draw(some(*programs)))
        objects[name] = Connected(app=app.digest)
        ports[name] = app.ports
    for name in names[count:]:
        dataset = owned.dataset()
        objects[name] = Connected(dataset=dataset.digest)
        directions[name] = dataset.direction
    edges = [edge for name in ports for other in directions for edge in _around(draw, name, ports, other, directions)]
    edges += _between(draw, ports)
    workflow = Workflow(
        name=draw(LINES),
        description=draw(optional(LINES)),
        group=draw(optional(LINES)),
        version=draw(st.integers(1, 3)),
        parent=draw(optional(some(*DIGESTS))),
        objects=objects,
        edges=in_order(*edges),
    )
    return Graph(workflow, owned.documents)


class _Owned:
    """What is in a workflow, while it is being made up."""

    def __init__(self, draw: Draw, people: Sequence[Person]) -> None:
        self.draw = draw
        self.documents: dict[str, Document] = {one.party.digest: one.party for one in people}
        # Each in turn, so that everybody owns something where there is enough.
        self.owners = itertools.cycle(draw(st.permutations([*self.documents])))

    def _keep(self, kind: type[Any], **members: st.SearchStrategy[Any]) -> Any:
        made = kind(**{name: self.draw(strategy) for name, strategy in members.items()}, owner=next(self.owners))
        self.documents[made.digest] = made
        return made

    def program(self) -> Application:
        return self._keep(
            Application,
            name=LINES,
            description=optional(LINES),
            group=optional(LINES),
            image=some(*DIGESTS).map("registry.example/größe@sha256:{}".format),
            builds=BUILDS,
        )

    def app(self, program: Application) -> AppConfigDocument:
        build = BuildReference(application=program.digest, measurement=self.draw(some(*program.builds)).measurement)
        return self._keep(
            AppConfigDocument,
            name=LINES,
            description=optional(LINES),
            group=optional(LINES),
            build=st.just(build),
            ports=st.lists(some(*PORTS) | NAMES, unique=True, min_size=1, max_size=3)
            .map(lambda names: tuple(sorted(names)))
            .filter(lambda names: not {path.partition("/")[0] for path in PATHS} & {*names}),
            labels=LABELS,
            items=ITEMS,
        )

    def dataset(self) -> DatasetDocument:
        return self._keep(
            DatasetDocument,
            name=LINES,
            description=optional(LINES),
            long_description=optional(some("# Größe\n\n| a | b |\n", "")),
            labels=LABELS,
            group=optional(LINES),
            location=some(*LOCATIONS),
            direction=some("input", "output", "both", "both"),
            credentials_digest=some(*DIGESTS),
            encryption=optional(some(*FORMATS)),
            pin=optional(some(*DIGESTS)),
        )


def _around(
    draw: Draw, app: str, ports: dict[str, tuple[str, ...]], dataset: str, directions: dict[str, str]
) -> Iterable[Edge]:
    """Return what connects an application with a dataset: nothing, or that it reads it, writes it, or both."""
    allowed = {"input": ("reads",), "output": ("writes",), "both": ("reads", "writes")}[directions[dataset]]
    uses = [use for use in allowed if draw(some(True, True, False))]
    # One dataset stands on one port once, as what is read or as what is written.
    for port, use in zip(draw(st.permutations(ports[app])), uses, strict=False):
        here, there = End(id=app, port=port), End(id=dataset)
        yield Edge(source=there, target=here) if use == "reads" else Edge(source=here, target=there)


def _between(draw: Draw, ports: dict[str, tuple[str, ...]]) -> Iterable[Edge]:
    apps = list(ports)
    for place, first in enumerate(apps):
        for second in apps[place + 1 :]:
            if draw(st.booleans()):
                ends = [End(id=name, port=draw(some(*ports[name]))) for name in (first, second)]
                yield Edge(source=ends[0], target=ends[1])


@dataclass(frozen=True, repr=False)
class Agreed:
    """A workflow that all whose it is have approved.

    Attributes:
        people: all its parties and whoever else was there when it was made up, by digest.
        requester: who of them asks.
        bundle: what is passed on.
    """

    people: dict[str, Person]
    requester: Person
    bundle: Bundle

    @property
    def request(self) -> Request:
        """What was asked."""
        return self.bundle.request

    @functools.cached_property
    def configs(self) -> dict[str, RuntimeConfig]:
        """What each of its applications runs on, by their identifiers."""
        return {config.identifier: config for config in runtime_configs(self.request).values()}

    def __repr__(self) -> str:
        objects, edges = self.request.graph.workflow.objects, self.request.graph.workflow.edges
        return f"<{len(self.request.approvers)} parties, {len(objects)} objects, {len(edges)} edges>"

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(repr(self))

    def members(self) -> dict[str, Any]:
        """Return the bundle as JSON has it, which may be changed."""
        return json.loads(self.bundle.to_bytes())


@st.composite
def agreed(draw: Draw, people: tuple[Person, ...] | None = None) -> Agreed:
    """A workflow that all whose it is have approved.

    Args:
        draw: hypothesis's.
        people: who owns what is in it, each of them something or nothing; drawn, if not given.
    """
    given = people or draw(parties())
    graph = draw(graphs(given))
    requester = draw(some(*given))
    request = freeze(graph.workflow, graph.documents, requester.party, created=NOW)
    by_digest = {one.party.digest: one for one in given}
    decisions = [
        decided(request, by_digest[digest], reason=draw(optional(LINES)))
        for digest in draw(st.permutations(request.approvers))
    ]
    return Agreed(by_digest, requester, bundle_of(request, *decisions, submission=submitted(request, requester)))
