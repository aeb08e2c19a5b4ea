"""``connectors dataset``: check credentials, and add datasets to an app config."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.app.config import load
from connectors.app.dataset import Dataset
from connectors.app.layout import write_dataset
from connectors.cli.common import console
from connectors.cli.common.encryption import format_name
from connectors.cli.common.exit_codes import CHECK_FAILED, TAMPERED, UsageMistake
from connectors.cli.common.options import AppConfigFolder, AsJson, Force, example
from connectors.cli.common.private_files import read_private
from connectors.cli.data.inspection import inspect_dataset, inspect_document, measure, moment
from connectors.credentials.parsing import parse_document
from connectors.errors import ConfigError, InvalidLocation, ObjectExists
from connectors.secrets import Hidden

if TYPE_CHECKING:
    from connectors.cli.data.inspection import Finding

__all__ = ["register"]

_PREFIX = "dataset://"


def register(app: typer.Typer) -> None:
    """Add the group of verbs."""
    group = typer.Typer(rich_markup_mode=None)
    group.callback()(_group)
    group.command("check", epilog=example("dataset check credentials.json"))(check)
    laying = example(
        "dataset new app-config input conditions \\\n"
        "    --location https://clinic.example/object --credentials credentials.json"
    )
    group.command("new", epilog=laying)(new)
    app.add_typer(group, name="dataset")


def _group() -> None:
    """Check credentials, and add datasets to an app config."""


def check(
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|dataset://PORT/NAME]",
            help="A credentials document or a dataset; the default is all datasets.",
        ),
    ] = None,
    *,
    location: Annotated[
        str | None, typer.Option("--location", metavar="URL", help="The URL that the document is for.")
    ] = None,
    online: Annotated[bool, typer.Option("--online", help="Also open the dataset and show its size.")] = False,
    app_config: AppConfigFolder = None,
    as_json: AsJson = False,
) -> None:
    """Check credentials, without sending anything.

    Only --online opens the dataset. No secret is shown. Without an argument, all datasets of the app config are
    checked. The exit code is 2 if a check fails.
    """
    if location is not None and (subject is None or subject.startswith(_PREFIX)):
        message = "--location needs a credentials FILE; the datasets of an app config have their own"
        raise UsageMistake(message)
    if subject is None or subject.startswith(_PREFIX):
        found = _check_app_config(subject, app_config, online=online)
    else:
        found = [_check_file(subject, location, online=online)]
    if as_json:
        everything = [one.as_json() for one in found]
        console.print_json(everything if subject is None else everything[0])
    elif subject is None:
        _print_table(found)
    else:
        _print_finding(found[0])
    if not all(one.good for one in found):
        raise typer.Exit(TAMPERED if any(one.tampered for one in found) else CHECK_FAILED)


def _check_file(path: str, location: str | None, *, online: bool) -> Finding:
    if online and location is None:
        message = "--online needs the location of the dataset: --location URL"
        raise UsageMistake(message)
    data = read_private(path, "credentials document")

    found = inspect_document("standard input" if path == "-" else path, data, location)
    if online and location is not None and found.good:
        measure(found, Dataset(location, data))
    return found


def _check_app_config(url: str | None, folder: str | None, *, online: bool) -> list[Finding]:

    app = load(folder)
    if url is None:
        chosen = {f"{_PREFIX}{port}/{name}": dataset for port in app for name, dataset in app[port].items()}
    else:
        port, _, name = url.removeprefix(_PREFIX).strip("/").partition("/")
        chosen = {url: app[port][name]}
    if not chosen:
        message = f"the app config {app.root} has no datasets"
        raise ConfigError(message)
    found = []
    for name, dataset in chosen.items():
        one = inspect_dataset(name, dataset)
        if online and one.good:
            measure(one, dataset)
        found.append(one)
    return found


def _print_finding(found: Finding) -> None:

    for problem in found.problems:
        console.error(f"{found.name}: {problem}")
    if not found.good:
        return
    console.print_line(f"{found.name}: good")
    console.print_line(f"  backend   {found.backend}")
    if found.location is not None:
        console.print_line(f"  location  {found.location}")
    bound = ", bound to a context" if found.context else ""
    console.print_line(f"  format    {found.format}{bound}{' (not sealed)' if found.format == 'plain' else ''}")
    console.print_line(f"  expires   {moment(found.expires_at) if found.expires_at else 'not stated in the document'}")
    if found.plain_size is not None:
        console.print_line(f"  size      {found.plain_size} bytes, plain")


def _print_table(found: list[Finding]) -> None:

    rows = [
        (
            one.name,
            one.backend or "-",
            one.format or "-",
            moment(one.expires_at) if one.expires_at else "-",
            "-" if one.plain_size is None else str(one.plain_size),
            "; ".join(one.problems) or "good",
        )
        for one in found
    ]
    console.table(("DATASET", "BACKEND", "FORMAT", "EXPIRES", "SIZE", "STATE"), rows)


def new(
    root: Annotated[str, typer.Argument(metavar="ROOT", help="The app config folder; created if it does not exist.")],
    port: Annotated[str, typer.Argument(metavar="PORT", help="The port: input, output, ….")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The dataset's name on that port.")],
    *,
    location: Annotated[str, typer.Option("--location", metavar="URL", help="The sealed object's URL.")],
    credentials: Annotated[
        str, typer.Option("--credentials", metavar="FILE", help="Its credentials document, or - for stdin.")
    ],
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="The dataset's format, if its document does not name it."),
    ] = None,
    force: Force = False,
) -> None:
    """Add a dataset to an app config folder.

    Its credentials are checked first. Only you can read the files.
    """
    if not location.isprintable() or location != location.strip():
        message = "the location has leading or trailing white space, or characters that are not allowed in a URL"
        raise InvalidLocation(message)
    data = read_private(credentials, "credentials document")
    if format_ is not None:
        data = _with_format(Hidden(data), format_name(format_)).reveal()

    found = inspect_document(credentials, data, location)
    if not found.good:
        for problem in found.problems:
            console.error(problem)
        raise typer.Exit(CHECK_FAILED)
    exists = None
    try:
        written = write_dataset(root, port, name, location, data, replace=force)
    except ObjectExists as error:
        exists = f"{error}; --force replaces it"
    if exists:
        raise ObjectExists(exists)
    console.note(f"Wrote {written}. The application reads it as dataset://{port}/{name}.")


def _with_format(data: Hidden, name: str) -> Hidden:
    """Return a credentials document that names its format."""
    document = Hidden(parse_document(data))
    encryption = Hidden(document.reveal().get("encryption"))
    if not isinstance(encryption.reveal(), dict) or encryption.reveal().get("format", name) != name:
        message = "--format is for a document whose encryption names no format yet, or this one; change the document"
        raise UsageMistake(message)
    members = Hidden({**document.reveal(), "encryption": {**encryption.reveal(), "format": name}})
    return Hidden(json.dumps(members.reveal(), ensure_ascii=False).encode())
