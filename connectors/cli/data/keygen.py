"""``connectors keygen``: generate a key."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.key_files import ask_for_passphrases, read_key
from connectors.cli.common.options import Force, example
from connectors.cli.common.private_files import write_private
from connectors.cli.common.wrapping import PassphraseFile, UsePassphrase, Wrap, wrap_key, wrapping_of
from connectors.keys import source_of
from connectors.secrets import Hidden, SecretKey

if TYPE_CHECKING:
    from connectors.keys import KeyReference

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    examples = example(
        "keygen clinic.hex",
        "keygen clinic.json --passphrase",
        "keygen clinic.json --wrap vault address=https://vault.clinic.example \\\n"
        "    key=conditions token_file=/run/vault/token",
    )
    app.command("keygen", epilog=examples)(keygen)


def keygen(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE MEMBER=VALUE", help="The file to write; the default is stdout. Members for --wrap."
        ),
    ] = None,
    *,
    wrap: Wrap = None,
    passphrase: UsePassphrase = False,
    passphrase_file: PassphraseFile = None,
    key_file: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Wrap the key in this file, not a new one.")
    ] = None,
    root: Annotated[
        str | None,
        typer.Option("--app-config", metavar="DIR", help="The app config that files in the reference are in."),
    ] = None,
    force: Force = False,
) -> None:
    """Generate a key: 64 hex digits, in a file that only you can read.

    With --passphrase or --wrap, the file holds the key wrapped, as a reference: a JSON object for -K, and for
    encryption.key in a credentials document. An existing file is not replaced without --force: data whose key is lost
    cannot be decrypted.
    """
    given = list(words or ())
    file = given.pop(0) if given and "=" not in given[0] else None
    place = wrapping_of(wrap, given, passphrase=passphrase or passphrase_file is not None)
    if key_file is not None and place is None:
        message = "--from FILE wraps a key that exists; say what by: --passphrase, or --wrap SOURCE"
        raise UsageMistake(message)
    if key_file == passphrase_file == "-":
        message = "the key and the passphrase cannot both come from standard input"
        raise UsageMistake(message)
    if force and file in (None, "-"):
        message = "--force needs the name of a file to replace"
        raise UsageMistake(message)
    key = SecretKey.generate() if key_file is None else read_key(key_file)
    if place is None:
        _write(file, Hidden(key.reveal().hex().upper()), force=force)
        what = "a new key"
    else:
        ask_for_passphrases(new_file=passphrase_file, new_advice="use --passphrase-file FILE")
        made = wrap_key(key, place, None if root is None else os.path.abspath(root))
        _write(file, _text(made), force=force)
        what = source_of(made.source).holder(made)
    if file not in (None, "-"):
        _tell(file, what, wrapped=place is not None)


def _text(made: KeyReference) -> Hidden:
    return Hidden(f"{json.dumps(made.document(), indent=2, ensure_ascii=False)}\n")


def _write(file: str | None, text: Hidden, *, force: bool) -> None:
    if file is None or file == "-":
        ends = sys.stdout.isatty() or text.reveal().endswith("\n")
        console.print_line(text.reveal().rstrip("\n"), end="\n" if ends else "")
    else:
        write_private(file, Hidden(text.reveal().encode()), force=force)


def _tell(file: str | None, what: str, *, wrapped: bool) -> None:
    if wrapped:
        console.note(f"Wrote a reference to {file}: the key is wrapped by {what}, and without that it is lost.")
    else:
        console.note(f"Wrote {what} to {file}. Keep a copy: without the key, its data cannot be decrypted.")
