"""``connectors workflow deploy``: from an approved request to the app config folder of one of its applications."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.options import AsJson, example
from connectors.cli.common.private_files import read_private
from connectors.cli.workflow.context import identities, read_passed
from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.workflow.documents.commitment import OpenedCredentials
    from connectors.workflow.documents.runtime import RuntimeConfig
    from connectors.workflow.trust.identities import Identities

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the verb."""
    commands = example(
        "workflow deploy approved.json app-config --identifier 1f0c… --measurement ab12… \\\n"
        "    --credentials clinic.json --credentials registry.json"
    )
    group.command("deploy", epilog=commands)(deploy)


def deploy(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="The exported request, with what was said to it.")],
    root: Annotated[str, typer.Argument(metavar="ROOT", help="The app config folder to be; not there yet, or empty.")],
    *,
    identifier: Annotated[
        str, typer.Option("--identifier", metavar="HEX", help="Which application: `connectors workflow identifiers`.")
    ],
    measurement: Annotated[
        str, typer.Option("--measurement", metavar="HEX", help="What the platform has measured the application as.")
    ],
    credentials: Annotated[
        list[str] | None,
        typer.Option("--credentials", metavar="FILE", help="Credentials as their owner keeps them; several times."),
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option("--trust", metavar="DIGEST", help="A trusted party; several times. Else those you trust."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Lay down the app config folder of an approved application, on which `connectors run` works.

    Nothing is written before the signatures of all parties, the identifier and the measurement are verified, and every
    dataset's credentials are those that its owner committed to. The folder appears at once, for you alone to read.
    """
    known = identities()
    data = read_passed(bundle)
    from connectors.workflow.deploy import deploy as lay_down  # noqa: PLC0415 - the extra
    from connectors.workflow.trust.verification import Bundle  # noqa: PLC0415 - the extra

    opened = _opened(credentials or ())
    config = lay_down(
        Bundle.from_bytes(data),
        root,
        trusted=known.trusted() if trust is None else set(trust),
        identifier=identifier.strip().lower(),
        measurement=measurement.strip().lower(),
        release=lambda approved: _release(approved, opened, known),
    )
    if as_json:
        ports = {port: sorted(connections) for port, connections in config.ports.items()}
        console.say_json({"root": root, "object": config.object, "identifier": config.identifier, "ports": ports})
        return
    console.note(
        f"Wrote {root}, the app config of {config.object!r}; run it with: connectors run --app-config {root} …"
    )


def _opened(files: Sequence[str]) -> dict[str, OpenedCredentials]:
    """Return the credentials in files, by the commitments to them."""
    from connectors.workflow.documents.commitment import OpenedCredentials  # noqa: PLC0415 - the extra

    opened = (OpenedCredentials.from_bytes(read_private(file, "credentials").rstrip(b"\r\n")) for file in files)
    return {one.digest: one for one in opened}


def _release(
    config: RuntimeConfig, opened: dict[str, OpenedCredentials], known: Identities
) -> dict[str, OpenedCredentials]:
    """Return the credentials of a share's datasets: from the files, or kept by an identity on this machine."""
    released = {}
    for connections in config.ports.values():
        for connection in connections.values():
            dataset = connection.dataset
            if dataset is None:
                continue
            if dataset.credentials_digest in opened:
                released[dataset.document] = opened[dataset.credentials_digest]
                continue
            for identity in known.all().values():
                with contextlib.suppress(ConnectorError):  # another one may keep them
                    released[dataset.document] = identity.credentials(dataset.credentials_digest)
    return released
