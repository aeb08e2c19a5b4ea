"""``connectors fingerprint``: what tells one sealing from all others."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from connectors.cli import console
from connectors.cli.documents import read_key
from connectors.cli.failures import UsageMistake
from connectors.cli.options import AppConfigFolder, Context, OptionalKeyFile, SegmentSize, example, sealing
from connectors.cli.places import readable

__all__ = ["register"]

_PREFIX = "dataset://"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    commands = ("fingerprint -K clinic.hex conditions.csv.sealed", "fingerprint dataset://input/conditions")
    app.command("fingerprint", epilog=example(*commands))(fingerprint)


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
    """Print the pin of a sealed object: who reads with it, in encryption.pin, reads this sealing or none.

    It is no secret. The object's end is verified before it is printed.
    """
    if place.startswith(_PREFIX):
        if key_file is not None:
            message = "a dataset's key is in its app config; leave --key-file out"
            raise UsageMistake(message)
        console.say(_of_dataset(place.removeprefix(_PREFIX).strip("/"), app_config))
        return
    if key_file is None:
        message = "name the key of the file: --key-file FILE"
        raise UsageMistake(message)
    if place == key_file == "-":
        message = "the key and the data cannot both come from standard input"
        raise UsageMistake(message)
    name, bound_to, size = sealing(format_, context, segment_size)
    key = read_key(key_file)
    from connectors.streams import fingerprint as pin_of  # noqa: PLC0415 - loads the ciphers

    with readable(place) as sealed:
        console.say(pin_of(sealed, key, format=name, context=bound_to, segment_size=size))


def _of_dataset(path: str, app_config: str | None) -> str:
    from connectors.protocol import DatasetFileSystem  # noqa: PLC0415 - loads pydantic and fsspec

    opened: Any = DatasetFileSystem(app_config).open(path, "rb")
    with opened as file:
        pin: str = file.raw.pin
        return pin
