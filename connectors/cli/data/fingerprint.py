"""``connectors fingerprint`` and ``connectors manifest``: pin a sealed object, or a folder of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.app.config import load
from connectors.app.protocol import DatasetFileSystem
from connectors.cli.common import console
from connectors.cli.common.encryption import Context, OptionalKeyFile, SegmentSize, encryption_options
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.files import readable
from connectors.cli.common.key_files import read_key
from connectors.cli.common.options import AppConfigFolder, example
from connectors.secrets import redact_url
from connectors.streams import fingerprint as pin_of

if TYPE_CHECKING:
    from connectors.app.dataset import Dataset

__all__ = ["register"]

_PREFIX = "dataset://"


def register(app: typer.Typer) -> None:
    """Add the two verbs."""
    commands = ("fingerprint -K clinic.hex conditions.csv.sealed", "fingerprint dataset://input/conditions")
    app.command("fingerprint", epilog=example(*commands))(fingerprint)
    app.command("manifest", epilog=example("manifest dataset://input/wards"))(manifest)


def fingerprint(
    place: Annotated[str, typer.Argument(metavar="FILE", help="A sealed file, - for stdin, or a dataset's URL.")],
    *,
    key_file: OptionalKeyFile = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help="auto, cobblestone-256, tink-gcm-hkdf or gcm.")
    ] = "auto",
    context: Context = None,
    segment_size: SegmentSize = None,
    app_config: AppConfigFolder = None,
) -> None:
    """Print the pin of a sealed object.

    With the pin in `encryption.pin` of the credentials, a reader accepts only this version of the object. A pin is not
    secret. Before it is printed, the object's end is verified. The pin of a folder is that of its manifest.
    """
    if place.startswith(_PREFIX):
        if key_file is not None:
            message = "a dataset's key is in its app config; omit --key-file"
            raise UsageMistake(message)
        console.print_line(_of_dataset(place.removeprefix(_PREFIX).strip("/"), app_config))
        return
    if key_file is None:
        message = "a file needs its key: --key-file FILE"
        raise UsageMistake(message)
    if place == key_file == "-":
        message = "the key and the data cannot both come from standard input"
        raise UsageMistake(message)
    name, bound_to, size = encryption_options(format_, context, segment_size)
    key = read_key(key_file)

    with readable(place) as sealed:
        console.print_line(pin_of(sealed, key, format=name, context=bound_to, segment_size=size))


def manifest(
    url: Annotated[str, typer.Argument(metavar="URL", help="A folder dataset, dataset://PORT/NAME.")],
    *,
    app_config: AppConfigFolder = None,
) -> None:
    """Write the manifest of a folder dataset, and print its pin.

    Run it as the folder's owner once the folder is complete. Each object is opened and its end verified. A missing or
    outdated object cannot be detected at this point.
    """
    dataset = _dataset(url, app_config)
    with console.progress("opening", of="objects") as callback:
        count = dataset.write_manifest(callback)
    console.note(f"The manifest of {url} lists {count} object{'' if count == 1 else 's'}. Its pin:")
    console.print_line(dataset.fingerprint())


def _of_dataset(path: str, app_config: str | None) -> str:
    port, _, rest = path.partition("/")
    if "/" not in rest:
        return _dataset(f"{_PREFIX}{port}/{rest}", app_config).fingerprint()

    opened: Any = DatasetFileSystem(app_config).open(path, "rb")
    with opened as file:
        pin: str = file.raw.pin
        return pin


def _dataset(url: str, app_config: str | None) -> Dataset:

    port, _, name = url.removeprefix(_PREFIX).strip("/").partition("/")
    if not url.startswith(_PREFIX) or not name or "/" in name:
        message = f"{redact_url(url)!r} is not a dataset's URL, dataset://PORT/NAME; `connectors ls` lists the datasets"
        raise UsageMistake(message)
    return load(app_config)[port][name]
