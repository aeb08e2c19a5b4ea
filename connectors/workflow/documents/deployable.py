"""Refuse workflows that could be approved, but not deployed: before anybody signs them, not after everybody has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.app.layout import RUNTIME_CONFIG, application_files, check_paths, dataset_files
from connectors.errors import InvalidDocument
from connectors.workflow.documents.kinds import AppConfigDocument, DatasetDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from connectors.workflow.documents.graph import Graph

__all__ = ["check_deployable", "check_location"]

_LOCAL = ("file", "local", "memory")


def check_deployable(graph: Graph, *, allow_local: bool = False) -> None:
    """Refuse a workflow that connects nothing, or that `deploy` would refuse.

    Args:
        graph: the workflow with its documents.
        allow_local: accept datasets on the machine that the application runs on, for development.

    Raises:
        InvalidDocument: it has no application or no connection, a dataset is at a local location, or an app config
            folder cannot have these names; the message gives every reason.
    """
    problems = [*_problems(graph, allow_local=allow_local)]
    if problems:
        message = f"the workflow {graph.workflow.name!r} cannot be submitted: {'; '.join(problems)}"
        raise InvalidDocument(message)


def check_location(name: str, location: str, *, allow_local: bool = False) -> None:
    """Refuse the location of a dataset on the machine that the application runs on.

    There, the location could be another owner's credentials or the app config itself.

    Raises:
        InvalidDocument: it is local, and `allow_local` is not given.
    """
    if not allow_local and location.partition(":")[0].lower() in _LOCAL:
        message = (
            f"{name!r} is at {location!r}, on the application's machine; use a storage that its owner controls, "
            "or --allow-local (allow_local=True) for development"
        )
        raise InvalidDocument(message)


def _problems(graph: Graph, *, allow_local: bool) -> Iterator[str]:
    if not any(map(graph.is_app, graph.nodes)):
        yield "it has no application; add an app config"
    if not graph.workflow.edges:
        yield "it connects nothing; connect a dataset with an application's port"
    for name, node in graph.nodes.items():
        try:
            if isinstance(node, DatasetDocument):
                check_location(name, node.location, allow_local=allow_local)
            elif isinstance(node, AppConfigDocument):
                check_paths(_paths(graph, name, node), portable=True)
        except InvalidDocument as error:
            problem = str(error)
            yield problem if isinstance(node, DatasetDocument) else f"the app config folder of {name!r}: {problem}"


def _paths(graph: Graph, name: str, app: AppConfigDocument) -> Iterable[str]:
    """Return the paths of the files that `deploy` writes for an application."""
    yield RUNTIME_CONFIG
    yield from app.items
    for port in app.ports:
        yield from application_files(port, "_", "")  # a port without connections must have a usable name, too
    for port, there, _ in graph.connected(name):
        is_app = graph.is_app(there)
        yield from application_files(port, there, "") if is_app else dataset_files(port, there, "", b"")
