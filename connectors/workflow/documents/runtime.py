"""The runtime configuration: one application's part of an approved workflow; its digest identifies the application."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from connectors.errors import InvalidDocument
from connectors.formats import DatasetFormat  # noqa: TC001 - pydantic reads the annotations
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.kinds import AppConfigDocument, Build, DatasetDocument, Item
from connectors.workflow.documents.model import Digest, Document, Labels, Line, Name, Part, listed

if TYPE_CHECKING:
    from typing import Self

    from connectors.workflow.documents.graph import Graph
    from connectors.workflow.documents.requests import Request

__all__ = ["Peer", "RuntimeConfig", "RuntimeDataset", "identifiers", "runtime_config", "runtime_configs"]


class RuntimeDataset(Part):
    """A dataset and how one application may use it.

    Attributes:
        document: the digest of its document.
        reads: whether the application reads it.
        writes: whether the application writes it.
        location: as in the document, like the next three.
    """

    document: Digest
    reads: bool
    writes: bool
    location: str
    credentials_digest: Digest
    encryption: DatasetFormat | None = None
    pin: Digest | None = None


class Peer(Part):
    """A connected application: its app config and the measurement of its build."""

    app_config: Digest
    measurement: str


class Connection(Part):
    """The dataset or application connected to a port under one name."""

    dataset: RuntimeDataset | None = None
    application: Peer | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.dataset is None) == (self.application is None):
            message = "a connection must be either a dataset or an application"
            raise ValueError(message)
        return self


class RuntimeConfig(Document):
    """The runtime configuration of one application. Its digest is the application's identifier.

    Attributes:
        request: the digest of the approved request.
        object: the application's id in the workflow.
        app_config: the digest of its app config, from which name, labels and items are copied.
        build: the approved build of the application.
        ports: the connections on each of its ports, by name.
    """

    kind = "runtime config"

    request: Digest
    object: Name
    app_config: Digest
    name: Line
    labels: Labels = Field(default_factory=dict)
    items: dict[str, Item] = Field(default_factory=dict)
    build: Build
    ports: dict[Name, dict[Name, Connection]]

    @property
    def identifier(self) -> str:
        """The application's identifier: this document's digest, to be bound into its attestation."""
        return self.digest


def runtime_config(request: Request, name: str) -> RuntimeConfig:
    """Return the runtime configuration of one application of a request's workflow.

    Raises:
        InvalidDocument: the workflow is not consistent, or has no such application.
    """
    graph = request.graph
    app = graph.nodes.get(name)
    if not isinstance(app, AppConfigDocument):
        known = listed(repr(one) for one in graph.nodes if graph.is_app(one)) or "none"
        message = f"the workflow has no application {name!r}; it has {known}"
        raise InvalidDocument(message)
    return RuntimeConfig(
        request=request.digest,
        object=name,
        app_config=app.digest,
        name=app.name,
        labels=app.labels,
        items=app.items,
        build=_build(graph, app),
        ports=_ports(graph, name, app),
    )


def _build(graph: Graph, app: AppConfigDocument) -> Build:
    return next(build for build in graph.application(app).builds if build.measurement == app.build.measurement)


def _ports(graph: Graph, name: str, app: AppConfigDocument) -> dict[str, dict[str, Connection]]:
    ports: dict[str, dict[str, Connection]] = {port: {} for port in app.ports}
    for port, there, reads in graph.connected(name):
        connection = _connection(graph, there, reads=reads)
        if connection is not None:
            ports[port][there] = connection
    return ports


def _connection(graph: Graph, name: str, *, reads: bool) -> Connection | None:
    node = graph.nodes[name]
    if isinstance(node, DatasetDocument):
        use = RuntimeDataset(
            document=node.digest,
            reads=reads,
            writes=not reads,
            location=node.location,
            credentials_digest=node.credentials_digest,
            encryption=node.encryption,
            pin=node.pin,
        )
        return Connection(dataset=use)
    if isinstance(node, AppConfigDocument):
        return Connection(application=Peer(app_config=node.digest, measurement=node.build.measurement))
    return None


def runtime_configs(request: Request) -> dict[str, RuntimeConfig]:
    """Return the runtime configurations of all applications of a request's workflow, by id."""
    graph = request.graph
    return {name: runtime_config(request, name) for name in graph.nodes if graph.is_app(name)}


def identifiers(request: Request) -> dict[str, str]:
    """Return the identifier of each application of a request's workflow, by id.

    Applications can share an app config of many MiB. Its members come first in the canonical form of all their runtime
    configurations, so it is written down and hashed once.

    Raises:
        InvalidDocument: the workflow is not consistent.
    """
    graph, shared, found = request.graph, {}, {}
    for name, app in graph.nodes.items():
        if not isinstance(app, AppConfigDocument):
            continue
        if app.digest not in shared:
            members = app.model_dump(mode="json", include={"name", "labels", "items"})
            members |= {"app_config": app.digest, "build": _build(graph, app).model_dump(mode="json")}
            shared[app.digest] = sha256(canonical_bytes(members)[:-1])
        members = {"schema": RuntimeConfig.schema_name(), "request": request.digest, "object": name}
        ports = {
            port: {there: one.model_dump(mode="json", exclude_none=True) for there, one in connections.items()}
            for port, connections in _ports(graph, name, app).items()
        }
        own = shared[app.digest].copy()
        own.update(b"," + canonical_bytes({**members, "ports": ports})[1:])
        found[name] = own.hexdigest()
    return found
