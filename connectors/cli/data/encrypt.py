"""``connectors encrypt`` and ``connectors decrypt``: encrypt and decrypt a local file."""

from __future__ import annotations

from typing import Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.encryption import Context, KeyFile, SegmentSize, encryption_options
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.files import readable, same_file, writable
from connectors.cli.common.key_files import read_key
from connectors.cli.common.options import AllowEmpty, Force, example
from connectors.streams import decrypt as decrypt_stream
from connectors.streams import encrypt as encrypt_stream

__all__ = ["register"]

_Paths = Annotated[list[str] | None, typer.Argument(metavar="IN OUT", help="The two files, instead of -in and -out.")]
_Source = Annotated[str | None, typer.Option("-in", "--in", metavar="FILE", help="The file to read; - for stdin.")]
_Target = Annotated[str | None, typer.Option("-out", "--out", metavar="FILE", help="The file to write; - for stdout.")]


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
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="cobblestone-256, tink-gcm-hkdf or gcm; the default is the first, or what a Tink keyset says.",
        ),
    ] = None,
    context: Context = None,
    segment_size: SegmentSize = None,
    force: Force = False,
    allow_empty: AllowEmpty = False,
) -> None:
    """Encrypt a file.

    The sealed file appears only when it is complete. -in and -out may be the same file; any other existing file is
    replaced only with --force. Empty standard input is refused without --allow-empty: the command before the pipe may
    have failed. If it fails later, this cannot be detected; check its exit code (set -o pipefail).
    """
    source, target = _ends(paths, source, target, key_file)
    name, bound_to, size = encryption_options(format_ or "cobblestone-256", context, segment_size)
    key = read_key(key_file)
    name = name if format_ is not None else "auto"

    with readable(source, allow_empty=allow_empty) as plain, writable(target, force=force, source=source) as sealed:
        if isinstance(sealed, console.Stdout) and sealed.isatty():
            message = "sealed bytes are not written to a terminal; redirect them to a file or a pipe"
            raise UsageMistake(message)
        with console.progress("encrypting") as callback:
            encrypt_stream(plain, sealed, key, format=name, context=bound_to, segment_size=size, callback=callback)


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
        str | None,
        typer.Option(
            "--pin", metavar="HEX", help="Accept only the version with this pin; see `connectors fingerprint`."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Decrypt a sealed file.

    The plain file appears only when the whole sealed file is verified; if that fails, the exit code is 3. With -out -
    each part is written as soon as it is verified: check the exit code before you use the output. -in and -out may be
    the same file; any other existing file is replaced only with --force.
    """
    source, target = _ends(paths, source, target, key_file)
    name, bound_to, size = encryption_options(format_, context, segment_size)
    key = read_key(key_file)

    with (
        readable(source) as sealed,
        writable(target, force=force, source=source) as plain,
        console.progress("decrypting") as callback,
    ):
        decrypt_stream(sealed, plain, key, format=name, context=bound_to, segment_size=size, pin=pin, callback=callback)


def _ends(paths: list[str] | None, source: str | None, target: str | None, key_file: str) -> tuple[str, str]:
    """Return the two files, named by options or as arguments.

    Raises:
        UsageMistake: one is missing or named twice, or the target is the key file.
    """
    names, message = list(paths or ()), None
    if names and (source is not None or target is not None):
        message = "name the files with -in and -out, or as IN OUT, not both"
    elif len(names) > 2:  # noqa: PLR2004
        message = f"expected two files, IN and OUT, not {len(names)}"
    elif names:
        source, target = names[0], names[1] if len(names) > 1 else None
    if message is None:
        if source is None:
            message = "name the file to read: -in FILE, or - for standard input"
        elif target is None:
            message = "name the file to write: -out FILE, or - for standard output"
        elif source == key_file == "-":
            message = "the key and the data cannot both come from standard input"
        elif same_file(target, key_file):
            message = "-out is the key file, which would be overwritten; name another file"
        else:
            return source, target
    raise UsageMistake(message)
