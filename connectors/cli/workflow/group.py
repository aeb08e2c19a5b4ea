"""``connectors workflow``: who connects whose datasets with whose applications, and whether all of them approve."""

from __future__ import annotations

import typer

__all__ = ["register"]


def register(app: typer.Typer, *, verbs: bool = True) -> None:
    """Add the group of verbs, which has a module for each of its steps.

    Args:
        app: what to add it to.
        verbs: whether to add its verbs too. They are half of all there are, and the others need not wait for them.
    """
    group = typer.Typer(rich_markup_mode=None)
    group.callback()(_group)
    if verbs:
        from connectors.cli.workflow import (  # noqa: PLC0415 - only where they are wanted
            decisions,
            define,
            deploy,
            drafts,
            requests,
            review,
            transfer,
        )

        for part in (
            define,
            drafts,
            requests,
            decisions,
            transfer,
            review,
            deploy,
        ):
            part.register(group)
    app.add_typer(group, name="workflow")


def _group() -> None:
    """Connect datasets with applications, and have all their owners approve it.

    Documents are kept in a folder that anybody may hold: --store, or $CONNECTORS_STORE.
    """
