"""``connectors workflow``: who connects whose datasets with whose applications, and whether all of them approve."""

from __future__ import annotations

import typer

from connectors.cli import workflow_decisions, workflow_drafts, workflow_objects, workflow_passing, workflow_requests

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group of verbs, which has a module for each of its steps."""
    group = typer.Typer(rich_markup_mode=None)
    group.callback()(_group)
    for part in (
        workflow_objects,
        workflow_drafts,
        workflow_requests,
        workflow_decisions,
        workflow_passing,
    ):
        part.register(group)
    app.add_typer(group, name="workflow")


def _group() -> None:
    """Connect datasets with applications, and have all their owners approve it.

    Documents are kept in a folder that anybody may hold: --store, or $CONNECTORS_STORE.
    """
