"""``connectors identity`` and ``connectors workflow``: the two groups of verbs, which need the extra ``workflow``."""

from __future__ import annotations

import importlib.util
from typing import Any, ClassVar

import typer

from connectors.cli.common.lazy import LazyGroup
from connectors.errors import ConfigError

__all__ = ["register"]

_PACKAGES = ("rfc8785", "securesystemslib")


def register(app: typer.Typer) -> None:
    """Add both groups."""
    identity = typer.Typer(cls=_Identity, rich_markup_mode=None)
    identity.callback()(_identity)
    app.add_typer(identity, name="identity")
    workflow = typer.Typer(cls=_Workflow, rich_markup_mode=None)
    workflow.callback()(_workflow)
    app.add_typer(workflow, name="workflow")


class _Group(LazyGroup):
    """A group whose help can be read without the extra, but none of whose verbs works without it."""

    def load(self, verb: str) -> Any:
        if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
            message = "workflows need more packages; install them with: pip install 'enclave-connectors[workflow]'"
            raise ConfigError(message)
        return super().load(verb)


class _Identity(_Group):
    modules: ClassVar = {
        "connectors.cli.workflow.identity": {
            "new": "Make an identity: a signing key, and a document that describes you to others.",
            "list": "List your identities and the parties that you trust.",
            "show": "Show an identity as others see it.",
            "export": "Write the document that describes you, for the other parties.",
            "trust": "Trust parties: accept signatures by their keys.",
            "distrust": "Stop trusting a party.",
        },
    }


class _Workflow(_Group):
    modules: ClassVar = {
        "connectors.cli.workflow.define": {
            "dataset": "Define a dataset of yours.",
            "application": "Define an application of yours, with the measurements of its builds.",
            "app-config": "Define an app config: a build of an application, with its ports and files.",
        },
        "connectors.cli.workflow.drafts": {
            "new": "Create a workflow: a draft without objects.",
            "add": "Add a dataset or an app config to a draft, or fill a placeholder with it.",
            "place": "Add a placeholder to a draft, for another party's object.",
            "connect": "Connect two objects of a draft: data flows from the source to the target.",
            "disconnect": "Remove a connection from a draft.",
            "remove": "Remove an object and its connections from a draft.",
            "discard": "Delete a draft.",
            "clone": "Start the next version of a workflow: a draft with the same objects and connections.",
        },
        "connectors.cli.workflow.requests": {
            "submit": "Ask all owners to approve a workflow: the request is shown, and you sign it.",
            "tasks": "List your tasks: requests to decide on, and placeholders in drafts to fill.",
            "show": "Show a workflow: its objects and their owners, what reaches whom, and who has approved it.",
            "status": "Show the status of a request: pending, approved, declined, expired or revoked, and by whom.",
            "identifiers": "Print the identifier of each application of an approved request.",
        },
        "connectors.cli.workflow.decisions": {
            "approve": "Approve a request: it is shown, and you sign it.",
            "decline": "Decline a request, which ends it.",
            "revoke": "Revoke an approved request: nobody who receives the revocation accepts the request any more.",
        },
        "connectors.cli.workflow.transfer": {
            "export": "Export a document for the other parties, in one file.",
            "import": "Import what others have exported, after verifying digests, rules and signatures.",
        },
        "connectors.cli.workflow.review": {
            "diff": "Show what differs between versions: what reaches whom, owners, builds, locations and the rest.",
            "picture": "Draw the workflow as an SVG, with its approvals.",
            "reach": "List what reaches whom: each dataset that is read, and all objects that may contain its data.",
        },
        "connectors.cli.workflow.deploy": {
            "deploy": "Write the app config folder of an approved application, for `connectors run`.",
        },
    }


def _identity() -> None:
    """Make an identity to sign with, and choose the parties that you trust."""


def _workflow() -> None:
    """Connect datasets with applications, and have all their owners approve.

    Documents are kept in a folder that does not have to be trusted: --store, or $CONNECTORS_STORE.
    """
