"""``connectors ls``, ``cat`` and ``cp``: list, print and copy the datasets of an app config."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.app.protocol import DatasetFileSystem
from connectors.cli.common import console
from connectors.cli.common.exit_codes import CHECK_FAILED, TAMPERED, UsageMistake
from connectors.cli.common.files import readable, writable
from connectors.cli.common.options import AllowEmpty, AppConfigFolder, AsJson, Force, example
from connectors.errors import ConfigError, ConnectorError, IntegrityError
from connectors.formats import Plain
from connectors.names import other_forms, printable
from connectors.secrets import redact_url
from connectors.streams import SealedWriter, as_sink, copy_stream
from connectors.streams.sources import open_local

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.streams.sources import BinaryFile

__all__ = ["register"]

_PREFIX = "dataset://"


def register(app: typer.Typer) -> None:
    """Add the three verbs."""
    app.command("ls", epilog=example("ls -l dataset://input"))(ls)
    app.command("cat", epilog=example("cat dataset://input/conditions | head"))(cat)
    app.command("cp", epilog=example("cp result.csv dataset://output/result"))(cp)


def _filesystem(app_config: str | None) -> DatasetFileSystem:

    return DatasetFileSystem(app_config)


def _path(url: str) -> str:
    """Return the path of a dataset's URL.

    Raises:
        ConfigError: it is not one.
    """
    if not url.startswith(_PREFIX):
        message = f"{redact_url(url)!r} is not a dataset's URL, dataset://PORT/NAME; `connectors ls` lists the datasets"
        raise ConfigError(message)
    return url.removeprefix(_PREFIX).strip("/")


def ls(
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="dataset://PORT, or a dataset; the default is all.")
    ] = None,
    *,
    long: Annotated[bool, typer.Option("-l", "--long", help="Also show plain sizes; this opens each dataset.")] = False,
    app_config: AppConfigFolder = None,
    as_json: AsJson = False,
) -> None:
    """List the datasets of an app config, or the objects of a folder dataset.

    The name of a folder dataset ends in a slash. Of two names that look the same, one is shown with escapes.
    """
    files = _filesystem(app_config)
    start = _path(url or _PREFIX)
    names = _names(files, start)
    sizes: dict[str, int | None] = {}
    worst = 0
    for name in names if long else ():
        try:
            sizes[name] = None if name.endswith("/") else files.info(name)["size"]
        except ConnectorError as error:
            # One unreachable dataset must not hide the others.
            console.error(str(error))
            worst = max(worst, TAMPERED if isinstance(error, IntegrityError) else CHECK_FAILED)
            sizes[name] = None
    if as_json:
        console.print_json([{"url": _PREFIX + name} | ({"size": sizes[name]} if long else {}) for name in names])
    else:
        width = max((len(str(size)) for size in sizes.values()), default=0)
        alike = other_forms(names)
        for name in names:
            unknown = "" if name.endswith("/") else "?"
            size = "" if not long else f"{unknown if sizes[name] is None else sizes[name]!s:>{width}}  "
            shown = name.replace("\\", "\\\\")  # else it could be taken for an escape
            if name in alike:
                shown = shown.encode("ascii", "backslashreplace").decode()
            console.print_line(f"{size}{_PREFIX}{printable(shown)}")
    if worst:
        raise typer.Exit(worst)


def _names(files: DatasetFileSystem, start: str) -> list[str]:
    """Return the names to list below a path: for a folder dataset its name, unless the path leads into it."""
    if "/" in start:
        port, name, *inside = start.split("/")
        _ = files.app[port][name]  # raises if it does not exist; an empty folder is no error
        found = list(files.find(start))
        if inside and not found:
            files.info(start)  # raises if nothing is there
        return found
    ports = [start] if start else files.ls("", detail=False)
    entries = [entry for port in ports for entry in files.ls(port, detail=True)]
    return [entry["name"] + ("/" if entry["type"] == "directory" else "") for entry in entries]


def cat(
    url: Annotated[str, typer.Argument(metavar="URL", help="dataset://PORT/NAME.")],
    *,
    app_config: AppConfigFolder = None,
) -> None:
    """Decrypt a dataset to standard output.

    Each part is written as soon as it is verified. Check the exit code before you use the output: 3 means that the rest
    failed verification.
    """
    with _filesystem(app_config).open(_path(url), "rb") as source:
        target = console.Stdout()
        copy_stream(source, target)
        target.flush()


def cp(
    source: Annotated[str, typer.Argument(metavar="SRC", help="A dataset's URL, a local file, or - for stdin.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="A dataset's URL, a local file, or - for stdout.")],
    *,
    app_config: AppConfigFolder = None,
    force: Force = False,
    allow_empty: AllowEmpty = False,
) -> None:
    """Copy to, from or between datasets. Local files are plain; datasets are encrypted and decrypted as needed.

    The copy appears only when it is complete and verified. A dataset is replaced; an existing local file only with
    --force. Empty standard input is refused without --allow-empty: the command before the pipe may have failed.
    """
    if not any(place.startswith(_PREFIX) for place in (source, target)):
        if any(place.startswith("dataset:") for place in (source, target)):
            message = "a dataset's URL has two slashes: dataset://PORT/NAME"
            raise UsageMistake(message)
        odd = next((place for place in (source, target) if "://" in place), None)
        message = "SRC or DST must be a dataset, dataset://PORT/NAME; " + (
            f"add {redact_url(odd)} as one: connectors dataset new" if odd else "use `cp` for two local files"
        )
        raise UsageMistake(message)

    files = _filesystem(app_config)
    with (
        _reader(files, source, allow_empty=allow_empty) as reader,
        _writer(files, target, force=force) as writer,
        console.progress("copying") as callback,
    ):
        copy_stream(reader, writer, callback)


@contextlib.contextmanager
def _reader(files: DatasetFileSystem, place: str, *, allow_empty: bool) -> Iterator[BinaryFile]:
    """Yield a file of a place's plain bytes."""
    if place.startswith(_PREFIX):
        with files.open(_path(place), "rb") as file:
            yield file
        return
    with readable(place, allow_empty=allow_empty) as opened:
        if not isinstance(opened, str):
            yield opened
            return

        with open_local(opened) as file:
            yield file


@contextlib.contextmanager
def _writer(files: DatasetFileSystem, place: str, *, force: bool) -> Iterator[BinaryFile]:
    """Yield a file for plain bytes, which appears at the place if the block succeeds."""
    if place.startswith(_PREFIX):
        with files.open(_path(place), "wb") as file:
            yield file
        return

    with writable(place, force=force) as opened, SealedWriter(as_sink(opened), Plain()) as file:
        yield file
