"""``connectors backends`` and ``connectors schema``: the installed backends and the JSON Schema of credentials."""

from __future__ import annotations

from typing import Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.options import AsJson, example
from connectors.errors import BackendNotFound
from connectors.storage import registry

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add both verbs."""
    app.command("backends", epilog=example("backends"))(backends)
    app.command("schema", epilog=example("schema s3"))(schema)


def backends(*, as_json: AsJson = False) -> None:
    """List the installed storage backends."""
    if as_json:
        console.print_json(
            [
                {
                    "name": one.name,
                    "schemes": list(one.schemes),
                    "distribution": one.distribution,
                    "version": one.version,
                    "problem": one.problem,
                }
                for one in registry.backends()
            ]
        )
        return
    rows = [
        (one.name, " ".join(one.schemes) or "-", one.distribution, one.version, one.problem or "-")
        for one in registry.backends()
    ]
    console.table(("BACKEND", "SCHEMES", "PACKAGE", "VERSION", "PROBLEM"), rows)


def schema(
    backend: Annotated[str | None, typer.Argument(metavar="[BACKEND]", help="A backend; the default is all.")] = None,
) -> None:
    """Print the JSON Schema of credentials documents."""
    if backend is None:
        console.print_json(registry.schema())
        return
    found = [one for one in registry.backends() if one.name == backend]
    if not found:
        names = ", ".join(one.name for one in registry.backends())
        message = f"no backend {backend!r} is installed; installed: {names}"
        raise BackendNotFound(message)
    if found[0].backend is None:
        message = f"{found[0].distribution} is installed but cannot be used: {found[0].problem}"
        raise BackendNotFound(message)
    console.print_json(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **found[0].backend.Credentials.model_json_schema(),
        }
    )
