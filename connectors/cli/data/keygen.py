"""``connectors keygen``: generate a key."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.options import Force, example
from connectors.cli.common.private_files import write_private
from connectors.secrets import SecretKey

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("keygen", epilog=example("keygen clinic.hex"))(keygen)


def keygen(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="The file to write; the default is stdout.")
    ] = None,
    *,
    force: Force = False,
) -> None:
    """Generate a key: 64 hex digits, in a file that only you can read.

    An existing file is not replaced without --force: data whose key is lost cannot be decrypted.
    """
    digits = SecretKey.generate().reveal().hex().upper()
    if file is None or file == "-":
        if force:
            message = "--force needs the name of a file to replace"
            raise UsageMistake(message)
        console.print_line(digits, end="\n" if sys.stdout.isatty() else "")
        return
    write_private(file, digits.encode("ascii"), force=force)
    console.note(f"Wrote a new key to {file}. Keep a copy: without the key, its data cannot be decrypted.")
