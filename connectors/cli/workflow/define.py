"""``connectors workflow dataset``, ``application`` and ``app-config``: define the objects of a workflow."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import CHECK_FAILED, UsageMistake
from connectors.cli.common.fetch import fetch_text
from connectors.cli.common.options import AsJson, example
from connectors.cli.common.private_files import read_private
from connectors.cli.data.inspection import inspect_document
from connectors.cli.workflow.context import Acting, Labels, StoreFolder, identities, open_store, pairs
from connectors.credentials.model import parse_document
from connectors.errors import ConfigError
from connectors.workflow.documents.kinds import AppConfigDocument, Application, DatasetDocument

if TYPE_CHECKING:
    from connectors.workflow.documents.model import Document
    from connectors.workflow.store.contract import DocumentStore
    from connectors.workflow.trust.identities import Identity

__all__ = ["register"]

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, for people.")]
Description = Annotated[str | None, typer.Option("--description", metavar="TEXT", help="A description in one line.")]
Group = Annotated[str | None, typer.Option("--group", metavar="TEXT", help="The group that it belongs to.")]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    defining = example(
        "workflow dataset 'Conditions Data' --direction input \\\n"
        "    --location https://clinic.example/conditions.sealed --credentials credentials.json"
    )
    group.command("dataset", epilog=defining)(dataset)
    building = example(
        "workflow application Describe --build sgx=MRENCLAVE \\\n    --image registry.example/describe@sha256:DIGEST"
    )
    group.command("application", epilog=building)(application)
    configuring = example("workflow app-config 'Describe conditions' --application Describe --port input --port output")
    group.command("app-config", epilog=configuring)(app_config)


def dataset(
    name: Name,
    *,
    location: Annotated[str, typer.Option("--location", metavar="URL", help="The sealed object's URL.")],
    direction: Annotated[str, typer.Option("--direction", metavar="WAY", help="input, output or both.")],
    credentials: Annotated[
        str, typer.Option("--credentials", metavar="FILE", help="Its credentials document, or - for stdin.")
    ],
    description: Description = None,
    long_description: Annotated[
        str | None,
        typer.Option(
            "--long-description",
            metavar="FILE",
            help="A longer description in Markdown: a file, or an https:// URL that is fetched now.",
        ),
    ] = None,
    label: Labels = None,
    group: Group = None,
    folder: StoreFolder = None,
    acting: Acting = None,
    as_json: AsJson = False,
) -> None:
    """Define a dataset of yours.

    Its credentials are checked, and stay on this machine with your identity. The document contains only a commitment to
    them: an approval covers exactly these credentials, without revealing them.
    """
    store, owner = open_store(folder), identities().choose(acting)
    data = read_private(credentials, "credentials document")

    found = inspect_document("standard input" if credentials == "-" else credentials, data, location)
    if not found.good:
        for problem in found.problems:
            console.error(f"{found.name}: {problem}")
        raise typer.Exit(CHECK_FAILED)
    document = parse_document(data)
    text = None if long_description is None else _text(long_description)

    def defined(commitment: str) -> DatasetDocument:
        return DatasetDocument.make(
            name=name,
            description=description,
            long_description=text,
            labels=pairs(label, "--label"),
            group=group,
            owner=owner.party.digest,
            location=location,
            direction=direction,
            credentials_digest=commitment,
            encryption=None if found.format == "plain" else found.format,
            pin=(document["encryption"] or {}).get("pin"),
        )

    defined("00" * 32)  # a broken rule is reported before the credentials are kept
    _keep(store, owner, defined(owner.keep_credentials(document)), as_json=as_json)


def application(
    name: Name,
    *,
    image: Annotated[str, typer.Option("--image", metavar="REFERENCE", help="Its image, with @sha256:DIGEST.")],
    build: Annotated[
        list[str] | None,
        typer.Option(
            "--build", metavar="PLATFORM=MEASUREMENT", help="A build for sgx, snp, tdx, nitro or simulated; repeatable."
        ),
    ] = None,
    debug_build: Annotated[
        list[str] | None,
        typer.Option(
            "--debug-build", metavar="PLATFORM=MEASUREMENT", help="A debug build, whose memory the host can read."
        ),
    ] = None,
    description: Description = None,
    group: Group = None,
    folder: StoreFolder = None,
    acting: Acting = None,
    as_json: AsJson = False,
) -> None:
    """Define an application of yours, with the measurements of its builds."""
    store, owner = open_store(folder), identities().choose(acting)

    builds = []
    for given, debug in ((build, False), (debug_build, True)):
        for one in given or ():
            platform, separator, measurement = one.partition("=")
            if not separator:
                message = "--build expects PLATFORM=MEASUREMENT"
                raise UsageMistake(message)
            builds.append({"platform": platform, "measurement": measurement.lower(), "debug": debug})
    made = Application.make(
        name=name,
        description=description,
        group=group,
        owner=owner.party.digest,
        image=image,
        builds=tuple(builds),
    )
    _keep(store, owner, made, as_json=as_json)


def app_config(
    name: Name,
    *,
    application: Annotated[
        str,
        typer.Option(
            "--application", metavar="APPLICATION", help="The application: its name, or the first digits of its digest."
        ),
    ],
    port: Annotated[list[str], typer.Option("--port", metavar="PORT", help="A port; repeatable.")],
    measurement: Annotated[
        str | None, typer.Option("--measurement", metavar="HEX", help="The build, if there are several.")
    ] = None,
    item: Annotated[
        list[str] | None,
        typer.Option("--item", metavar="PATH=FILE", help="A file for the application's app config; repeatable."),
    ] = None,
    label: Labels = None,
    description: Description = None,
    group: Group = None,
    folder: StoreFolder = None,
    acting: Acting = None,
    as_json: AsJson = False,
) -> None:
    """Define an app config: a build of an application, with its ports and files.

    All approvers can read these files: they must not contain secrets.
    """
    store, owner = open_store(folder), identities().choose(acting)

    program = store.find(application, Application)
    items = {
        path: {"contents": base64.b64encode(read_private(file, "item")).decode()}
        for path, file in pairs(item, "--item").items()
    }
    made = AppConfigDocument.make(
        name=name,
        description=description,
        group=group,
        owner=owner.party.digest,
        build={"application": program.digest, "measurement": _chosen(program, measurement)},
        ports=tuple(sorted(set(port))),
        labels=pairs(label, "--label"),
        items=items,
    )
    _keep(store, owner, made, as_json=as_json)


def _chosen(program: Application, measurement: str | None) -> str:
    known = [build.measurement for build in program.builds]
    if measurement is None and len(known) == 1:
        return known[0]
    found = [one for one in known if measurement and one.startswith(measurement.lower())]
    if len(found) != 1:
        listed = ", ".join(f"{build.platform} {build.measurement[:12]}" for build in program.builds)
        message = (
            f"choose a build of {program.name!r} by the first digits of its measurement, --measurement HEX: {listed}"
        )
        raise ConfigError(message)
    return found[0]


def _text(path: str) -> str:
    if "://" in path:
        text = _unix(fetch_text(path, "long description"))
        console.note("This text is now part of the document, and is not fetched again:", text.splitlines())
        return text
    try:
        return _unix(read_private(path, "long description").decode())
    except UnicodeDecodeError:
        message = f"the long description {path!r} is not UTF-8 text"
    raise ConfigError(message)


def _keep(store: DocumentStore, owner: Identity, document: Document, *, as_json: bool) -> None:
    store.add(owner.party)
    digest = store.add(document)
    if as_json:
        console.print_json({"digest": digest, **document.members()})
    else:
        console.print_line(digest)


def _unix(text: str) -> str:
    """Return a text from any system with the line ends that documents have."""
    return text.replace("\r\n", "\n")
