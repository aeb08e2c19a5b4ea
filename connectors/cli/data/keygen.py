"""``connectors keygen``: a new key."""

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
        str | None, typer.Argument(metavar="[FILE]", help="Where to; standard output if not given.")
    ] = None,
    *,
    force: Force = False,
) -> None:
    """Make a key: 64 hex digits, in a file that only you can read.

    A file that is there stays as it is: a key that is lost takes its data along.
    """
    digits = SecretKey.generate().reveal().hex().upper()
    if file is None or file == "-":
        if force:
            message = "--force replaces a file, and none is named"
            raise UsageMistake(message)
        console.say(digits, end="\n" if sys.stdout.isatty() else "")
        return
    write_private(file, digits.encode("ascii"), force=force)
    console.note(f"Wrote a new key to {file}. Keep a copy: what it seals cannot be opened without it.")
