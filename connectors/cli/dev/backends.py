"""``connectors backends`` and ``connectors schema``: what is installed, and the documents it takes."""

from __future__ import annotations

from typing import Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.options import AsJson, example
from connectors.errors import BackendNotFound

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add both verbs."""
    app.command("backends", epilog=example("backends"))(backends)
    app.command("schema", epilog=example("schema s3"))(schema)


def backends(*, as_json: AsJson = False) -> None:
    """List the storages that can be reached."""
    from connectors.storage.registry import backends as installed  # noqa: PLC0415 - loads pydantic

    if as_json:
        console.say_json(
            [
                {
                    "name": one.name,
                    "schemes": list(one.schemes),
                    "distribution": one.distribution,
                    "version": one.version,
                    "problem": one.problem,
                }
                for one in installed()
            ]
        )
        return
    rows = [
        (one.name, " ".join(one.schemes) or "-", one.distribution, one.version, one.problem or "-")
        for one in installed()
    ]
    console.table(("BACKEND", "SCHEMES", "PACKAGE", "VERSION", "PROBLEM"), rows)


def schema(
    backend: Annotated[str | None, typer.Argument(metavar="[BACKEND]", help="One backend's; else all of them.")] = None,
) -> None:
    """Print the JSON Schema of credentials."""
    from connectors.storage.registry import backends as installed  # noqa: PLC0415 - loads pydantic
    from connectors.storage.registry import schema as whole  # noqa: PLC0415

    if backend is None:
        console.say_json(whole())
        return
    found = [one for one in installed() if one.name == backend]
    if not found:
        message = f"no backend {backend!r} is installed; installed: {', '.join(one.name for one in installed())}"
        raise BackendNotFound(message)
    if found[0].backend is None:
        message = f"{found[0].distribution} is installed but cannot be used: {found[0].problem}"
        raise BackendNotFound(message)
    console.say_json(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **found[0].backend.Credentials.model_json_schema(),
        }
    )
