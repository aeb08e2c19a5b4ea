"""``connectors dataset``: check credentials before they are handed in, and lay datasets down in an app config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connectors.app.layout import write_dataset
from connectors.cli.common import console
from connectors.cli.common.exit_codes import CHECK_FAILED, TAMPERED, UsageMistake
from connectors.cli.common.options import AppConfigFolder, AsJson, Force, example
from connectors.cli.common.private_files import read_private
from connectors.errors import ConfigError, InvalidLocation, ObjectExists

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
    """Check credentials, and lay datasets down in an app config."""


def check(
    subject: Annotated[
        str | None,
        typer.Argument(metavar="[FILE|dataset://PORT/NAME]", help="A credentials document, or a dataset; else all."),
    ] = None,
    *,
    location: Annotated[
        str | None, typer.Option("--location", metavar="URL", help="The location the document goes with.")
    ] = None,
    online: Annotated[bool, typer.Option("--online", help="Also open the dataset, and tell its size.")] = False,
    app_config: AppConfigFolder = None,
    as_json: AsJson = False,
) -> None:
    """Check credentials, on this machine alone.

    None of them is shown, and nothing is sent anywhere, unless you ask for --online. Without FILE, every dataset of
    the app config is checked. The exit code is 2 if anything is wrong.
    """
    if location is not None and (subject is None or subject.startswith(_PREFIX)):
        message = "--location goes with a credentials FILE; datasets of an app config have their own"
        raise UsageMistake(message)
    if subject is None or subject.startswith(_PREFIX):
        found = _check_app_config(subject, app_config, online=online)
    else:
        found = [_check_file(subject, location, online=online)]
    if as_json:
        everything = [one.as_json() for one in found]
        console.say_json(everything if subject is None else everything[0])
    elif subject is None:
        _say_table(found)
    else:
        _say_one(found[0])
    if not all(one.good for one in found):
        raise typer.Exit(TAMPERED if any(one.tampered for one in found) else CHECK_FAILED)


def _check_file(path: str, location: str | None, *, online: bool) -> Finding:
    if online and location is None:
        message = "--online needs to know where the dataset lies: --location URL"
        raise UsageMistake(message)
    data = read_private(path, "credentials document")
    from connectors.cli.data.inspection import inspect_document, measure  # noqa: PLC0415 - loads pydantic

    found = inspect_document("standard input" if path == "-" else path, data, location)
    if online and location is not None and found.good:
        from connectors.app.dataset import Dataset  # noqa: PLC0415

        measure(found, Dataset(location, data))
    return found


def _check_app_config(url: str | None, folder: str | None, *, online: bool) -> list[Finding]:
    from connectors.app.config import load  # noqa: PLC0415 - loads pydantic and fsspec
    from connectors.cli.data.inspection import inspect_dataset, measure  # noqa: PLC0415

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


def _say_one(found: Finding) -> None:
    from connectors.cli.data.inspection import moment  # noqa: PLC0415 - loaded already

    for problem in found.problems:
        console.error(f"{found.name}: {problem}")
    if not found.good:
        return
    console.say(f"{found.name}: good")
    console.say(f"  backend   {found.backend}")
    if found.location is not None:
        console.say(f"  location  {found.location}")
    bound = ", bound to a context" if found.context else ""
    console.say(f"  format    {found.format}{bound}{' (not sealed)' if found.format == 'plain' else ''}")
    console.say(f"  expires   {moment(found.expires_at) if found.expires_at else 'the document does not say'}")
    if found.plain_size is not None:
        console.say(f"  size      {found.plain_size} bytes, plain")


def _say_table(found: list[Finding]) -> None:
    from connectors.cli.data.inspection import moment  # noqa: PLC0415 - loaded already

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
    root: Annotated[str, typer.Argument(metavar="ROOT", help="The app config folder; made if it is not there.")],
    port: Annotated[str, typer.Argument(metavar="PORT", help="The port: input, output, ….")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The dataset's name on that port.")],
    *,
    location: Annotated[str, typer.Option("--location", metavar="URL", help="Where the sealed object lies.")],
    credentials: Annotated[
        str, typer.Option("--credentials", metavar="FILE", help="Its credentials document, or - for stdin.")
    ],
    force: Force = False,
) -> None:
    """Lay a dataset down in an app config folder.

    It is checked first, and only you can read what is written.
    """
    if not location.isprintable() or location != location.strip():
        message = "the location has white space around it, or characters in it that no URL has"
        raise InvalidLocation(message)
    data = read_private(credentials, "credentials document")
    from connectors.cli.data.inspection import inspect_document  # noqa: PLC0415 - loads pydantic

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
    console.note(f"Wrote {written}, which an application sees as dataset://{port}/{name}.")
