"""``connectors encrypt`` and ``connectors decrypt``: seal and open a local file."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.io import readable, writable
from connectors.cli.common.options import Context, KeyFile, SegmentSize, example, sealing
from connectors.cli.common.private_files import read_key

__all__ = ["register"]

_Paths = Annotated[list[str] | None, typer.Argument(metavar="IN OUT", help="The same two, without their options.")]
_Source = Annotated[str | None, typer.Option("-in", "--in", metavar="FILE", help="What to read; - for stdin.")]
_Target = Annotated[str | None, typer.Option("-out", "--out", metavar="FILE", help="What to write; - for stdout.")]


def register(app: typer.Typer) -> None:
    """Add both verbs."""
    app.command("encrypt", epilog=example("encrypt -K clinic.hex -in conditions.csv -out conditions.csv.sealed"))(
        encrypt
    )
    app.command("decrypt", epilog=example("decrypt -K clinic.hex -in conditions.csv.sealed -out conditions.csv"))(
        decrypt
    )


def encrypt(
    key_file: KeyFile,
    paths: _Paths = None,
    *,
    source: _Source = None,
    target: _Target = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help="cobblestone-256, tink-gcm-hkdf or gcm.")
    ] = "cobblestone-256",
    context: Context = None,
    segment_size: SegmentSize = None,
) -> None:
    """Seal a file.

    The sealed file appears when all of it is written, and not otherwise. It may take the place of the plain one.
    """
    source, target = _ends(paths, source, target, key_file)
    name, bound_to, size = sealing(format_, context, segment_size)
    key = read_key(key_file)
    from connectors.streams import encrypt as seal  # noqa: PLC0415 - loads the ciphers

    with readable(source) as plain, writable(target) as sealed:
        if isinstance(sealed, console.Stdout) and sealed.isatty():
            message = "sealed bytes are nothing to look at; send them into a file or a pipe"
            raise UsageMistake(message)
        with console.progress("encrypting") as callback:
            seal(plain, sealed, key, format=name, context=bound_to, segment_size=size, callback=callback)


def decrypt(
    key_file: KeyFile,
    paths: _Paths = None,
    *,
    source: _Source = None,
    target: _Target = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help="auto, cobblestone-256, tink-gcm-hkdf or gcm.")
    ] = "auto",
    context: Context = None,
    segment_size: SegmentSize = None,
    pin: Annotated[
        str | None, typer.Option("--pin", metavar="HEX", help="Open this sealing alone; `connectors fingerprint`.")
    ] = None,
) -> None:
    """Open a sealed file.

    The plain file appears when all of the sealed one has verified; if it has not, the exit code is 3. A pipe (-out -)
    is given each part as it verifies, so look at the exit code before you use what came.
    """
    source, target = _ends(paths, source, target, key_file)
    name, bound_to, size = sealing(format_, context, segment_size)
    key = read_key(key_file)
    from connectors.streams import decrypt as unseal  # noqa: PLC0415 - loads the ciphers

    with readable(source) as sealed, writable(target) as plain, console.progress("decrypting") as callback:
        unseal(sealed, plain, key, format=name, context=bound_to, segment_size=size, pin=pin, callback=callback)


def _ends(paths: list[str] | None, source: str | None, target: str | None, key_file: str) -> tuple[str, str]:
    """Return the two files that were named in either way.

    Raises:
        UsageMistake: one is missing, or named twice, or is the key's.
    """
    names, message = list(paths or ()), None
    if names and (source is not None or target is not None):
        message = "name the files with -in and -out, or as IN OUT, not in both ways"
    elif len(names) > 2:  # noqa: PLR2004
        message = f"two files are expected, IN and OUT, not {len(names)}"
    elif names:
        source, target = names[0], names[1] if len(names) > 1 else None
    if message is None:
        if source is None:
            message = "name the file to read: -in FILE, or - for standard input"
        elif target is None:
            message = "name the file to write: -out FILE, or - for standard output"
        elif source == key_file == "-":
            message = "the key and the data cannot both come from standard input"
        elif _same_file(target, key_file):
            message = "-out is the key file, which would be lost; name another file"
        else:
            return source, target
    raise UsageMistake(message)


def _same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False
