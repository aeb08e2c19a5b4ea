"""``connectors workflow dataset``, ``application`` and ``app-config``: what a party brings to a workflow."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import CHECK_FAILED, UsageMistake
from connectors.cli.common.options import AsJson, example
from connectors.cli.common.private_files import read_private
from connectors.cli.workflow.context import Acting, Labels, StoreFolder, identities, open_store, pairs
from connectors.errors import ConfigError

if TYPE_CHECKING:
    from connectors.workflow.documents.kinds import Application, DatasetDocument
    from connectors.workflow.documents.model import Document
    from connectors.workflow.store.contract import DocumentStore
    from connectors.workflow.trust.identities import Identity

__all__ = ["register"]

Name = Annotated[str, typer.Argument(metavar="NAME", help="What people call it.")]
Description = Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What it is, in a line.")]
Group = Annotated[str | None, typer.Option("--group", metavar="TEXT", help="A group that it belongs to.")]


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
    location: Annotated[str, typer.Option("--location", metavar="URL", help="Where the sealed object lies.")],
    direction: Annotated[str, typer.Option("--direction", metavar="WAY", help="input, output or both.")],
    credentials: Annotated[
        str, typer.Option("--credentials", metavar="FILE", help="Its credentials document, or - for stdin.")
    ],
    description: Description = None,
    long_description: Annotated[
        str | None,
        typer.Option(
            "--long-description", metavar="FILE", help="More about it, in Markdown; or https://…, which is read now."
        ),
    ] = None,
    label: Labels = None,
    group: Group = None,
    store: StoreFolder = None,
    acting: Acting = None,
    as_json: AsJson = False,
) -> None:
    """Define a dataset of yours.

    Its credentials are checked and stay with you, beside your identity. The document holds a commitment to them alone:
    who approves the dataset's use approves that version of them, without seeing it.
    """
    kept, owner = open_store(store), identities().choose(acting)
    data = read_private(credentials, "credentials document")
    from connectors.cli.data.inspection import inspect_document  # noqa: PLC0415 - loads pydantic
    from connectors.credentials.model import parse_document  # noqa: PLC0415
    from connectors.workflow.documents.kinds import DatasetDocument  # noqa: PLC0415 - the extra

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

    defined("00" * 32)  # what breaks a rule, does so before credentials are kept for it
    _keep(kept, owner, defined(owner.keep_credentials(document)), as_json=as_json)


def application(
    name: Name,
    *,
    image: Annotated[str, typer.Option("--image", metavar="REFERENCE", help="Its image, with @sha256:DIGEST.")],
    build: Annotated[
        list[str] | None,
        typer.Option("--build", metavar="PLATFORM=MEASUREMENT", help="A build; sgx, snp, tdx, nitro or simulated."),
    ] = None,
    debug_build: Annotated[
        list[str] | None,
        typer.Option("--debug-build", metavar="PLATFORM=MEASUREMENT", help="A build that can be looked into."),
    ] = None,
    description: Description = None,
    group: Group = None,
    store: StoreFolder = None,
    acting: Acting = None,
    as_json: AsJson = False,
) -> None:
    """Define an application of yours, with what enclave platforms measure its builds as."""
    kept, owner = open_store(store), identities().choose(acting)
    from connectors.workflow.documents.kinds import Application  # noqa: PLC0415 - the extra

    builds = []
    for given, debug in ((build, False), (debug_build, True)):
        for one in given or ():
            platform, separator, measurement = one.partition("=")
            if not separator:
                message = "--build takes PLATFORM=MEASUREMENT"
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
    _keep(kept, owner, made, as_json=as_json)


def app_config(
    name: Name,
    *,
    application: Annotated[
        str, typer.Option("--application", metavar="APPLICATION", help="By name, or the first digits of its digest.")
    ],
    port: Annotated[list[str], typer.Option("--port", metavar="PORT", help="A port; may be given several times.")],
    measurement: Annotated[
        str | None, typer.Option("--measurement", metavar="HEX", help="Which build, where there are several.")
    ] = None,
    item: Annotated[
        list[str] | None,
        typer.Option("--item", metavar="PATH=FILE", help="A file that the application finds in its app config."),
    ] = None,
    label: Labels = None,
    description: Description = None,
    group: Group = None,
    store: StoreFolder = None,
    acting: Acting = None,
    as_json: AsJson = False,
) -> None:
    """Say how a build of an application takes part: its ports, and the files that it is given.

    Everybody who approves can read these files, so they hold no secrets.
    """
    kept, owner = open_store(store), identities().choose(acting)
    from connectors.workflow.documents.kinds import AppConfigDocument, Application  # noqa: PLC0415 - the extra

    program = kept.find(application, Application)
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
    _keep(kept, owner, made, as_json=as_json)


def _chosen(program: Application, measurement: str | None) -> str:
    known = [build.measurement for build in program.builds]
    if measurement is None and len(known) == 1:
        return known[0]
    found = [one for one in known if measurement and one.startswith(measurement.lower())]
    if len(found) != 1:
        listed = ", ".join(f"{build.platform} {build.measurement[:12]}" for build in program.builds)
        message = f"say which build of {program.name!r}, by the first digits of its measurement: {listed}"
        raise ConfigError(message)
    return found[0]


def _text(path: str) -> str:
    if "://" in path:
        from connectors.cli.common.fetch import fetch_text  # noqa: PLC0415 - loads urllib

        text = fetch_text(path, "long description")
        console.note("This was read, is part of the document, and is not read again:", text.splitlines())
        return text
    try:
        return read_private(path, "long description").decode()
    except UnicodeDecodeError:
        message = f"the long description {path!r} is not UTF-8 text"
    raise ConfigError(message)


def _keep(store: DocumentStore, owner: Identity, document: Document, *, as_json: bool) -> None:
    store.add(owner.party)
    digest = store.add(document)
    if as_json:
        console.say_json({"digest": digest, **document.members()})
    else:
        console.say(digest)
