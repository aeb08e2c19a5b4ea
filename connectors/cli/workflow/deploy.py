"""``connectors workflow deploy``: write the app config folder of an application in an approved request."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.options import AsJson, example
from connectors.cli.common.private_files import read_private
from connectors.cli.workflow.context import AllowLocal, identities, read_document
from connectors.errors import ConnectorError
from connectors.workflow.deploy import deploy as lay_down
from connectors.workflow.documents.commitment import OpenedCredentials
from connectors.workflow.trust.verification import Bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.workflow.documents.runtime import RuntimeConfig
    from connectors.workflow.trust.identities import Identities

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the verb."""
    commands = example(
        "workflow deploy approved.json app-config --identifier 1f0c… --measurement ab12… --platform sgx \\\n"
        "    --credentials clinic.json --credentials registry.json"
    )
    group.command("deploy", epilog=commands)(deploy)


def deploy(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="The exported request, with its approvals.")],
    root: Annotated[str, typer.Argument(metavar="ROOT", help="The app config folder to write; new or empty.")],
    *,
    identifier: Annotated[
        str,
        typer.Option(
            "--identifier", metavar="HEX", help="The application, as `connectors workflow identifiers` prints it."
        ),
    ],
    measurement: Annotated[
        str, typer.Option("--measurement", metavar="HEX", help="The measurement that the platform reports.")
    ],
    platform: Annotated[
        str,
        typer.Option("--platform", metavar="NAME", help="The platform that reports it, such as sgx."),
    ],
    debug: Annotated[bool, typer.Option("--debug", help="The platform reports a debug build.")] = False,
    credentials: Annotated[
        list[str] | None,
        typer.Option(
            "--credentials", metavar="FILE", help="A file from a dataset owner's identity folder; repeatable."
        ),
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust", metavar="DIGEST", help="A trusted party; repeatable. The default is all that you trust."
        ),
    ] = None,
    allow_local: AllowLocal = False,
    as_json: AsJson = False,
) -> None:
    """Write the app config folder of an approved application, for `connectors run`.

    First, the signatures of all parties, the identifier and the reported build are verified, and each dataset's
    credentials are compared with its owner's commitment. The folder appears complete, and only you can read it.
    """
    known = identities()
    data = read_document(bundle)

    opened = _opened(credentials or ())
    config = lay_down(
        Bundle.from_bytes(data),
        root,
        trusted=known.trusted() if trust is None else set(trust),
        identifier=identifier.strip().lower(),
        measurement=measurement.strip().lower(),
        platform=platform.strip().lower(),
        debug=debug,
        allow_local=allow_local,
        release=lambda approved: _release(approved, opened, known),
    )
    if as_json:
        ports = {port: sorted(connections) for port, connections in config.ports.items()}
        console.print_json({"root": root, "object": config.object, "identifier": config.identifier, "ports": ports})
        return
    console.note(
        f"Wrote {root}, the app config of {config.object!r}. Run it with: connectors run --app-config {root} …"
    )


def _opened(files: Sequence[str]) -> dict[str, OpenedCredentials]:
    """Return the credentials in files, by the commitments to them."""
    opened = (OpenedCredentials.from_bytes(read_private(file, "credentials").rstrip(b"\r\n")) for file in files)
    return {one.digest: one for one in opened}


def _release(
    config: RuntimeConfig, opened: dict[str, OpenedCredentials], known: Identities
) -> dict[str, OpenedCredentials]:
    """Return the credentials of the config's datasets: from the files, or from an identity on this machine."""
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
                with contextlib.suppress(ConnectorError):  # another identity may have them
                    released[dataset.document] = identity.credentials(dataset.credentials_digest)
    return released
