"""``connectors fingerprint`` and ``connectors manifest``: what tells one sealing from all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.io import readable
from connectors.cli.common.options import AppConfigFolder, Context, OptionalKeyFile, SegmentSize, example, sealing
from connectors.cli.common.private_files import read_key
from connectors.secrets import redact_url

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
    """Print the pin of a sealed object: who reads with it, in encryption.pin, reads this sealing or none.

    It is no secret. The object's end is verified before it is printed. That of a folder is its manifest's.
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


def manifest(
    url: Annotated[str, typer.Argument(metavar="URL", help="A folder dataset, dataset://PORT/NAME.")],
    *,
    app_config: AppConfigFolder = None,
) -> None:
    """Write the manifest of a folder dataset anew, and print its pin.

    For whoever fills the folder, when all that is to be in it is there: each object is opened, and its end verified.
    That none is missing, and none an older sealing, is taken on trust.
    """
    dataset = _dataset(url, app_config)
    with console.progress("opening", of="objects") as callback:
        count = dataset.write_manifest(callback)
    console.note(f"The manifest of {url} lists {count} object{'' if count == 1 else 's'}. Its pin:")
    console.say(dataset.fingerprint())


def _of_dataset(path: str, app_config: str | None) -> str:
    port, _, rest = path.partition("/")
    if "/" not in rest:
        return _dataset(f"{_PREFIX}{port}/{rest}", app_config).fingerprint()
    from connectors.app.protocol import DatasetFileSystem  # noqa: PLC0415 - loads pydantic and fsspec

    opened: Any = DatasetFileSystem(app_config).open(path, "rb")
    with opened as file:
        pin: str = file.raw.pin
        return pin


def _dataset(url: str, app_config: str | None) -> Dataset:
    from connectors.app.config import load  # noqa: PLC0415 - loads pydantic and fsspec

    port, _, name = url.removeprefix(_PREFIX).strip("/").partition("/")
    if not url.startswith(_PREFIX) or not name or "/" in name:
        message = (
            f"{redact_url(url)!r} is no dataset; they are called dataset://PORT/NAME, and `connectors ls` lists them"
        )
        raise UsageMistake(message)
    return load(app_config)[port][name]
