"""``connectors key export-tink``: a key as a keyset that Tink reads."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.files import same_file
from connectors.cli.common.key_files import read_key
from connectors.cli.common.options import Force  # noqa: TC001 - Typer reads it
from connectors.cli.common.private_files import write_private
from connectors.errors import ConfigError
from connectors.formats import DEFAULT_SEGMENT_SIZE, select
from connectors.keys.keysets import plain_keyset
from connectors.secrets import TinkKey

__all__ = ["export_tink"]


def export_tink(
    key_file: Annotated[str, typer.Argument(metavar="KEYFILE", help="The key file; - for stdin.")],
    target: Annotated[str, typer.Argument(metavar="OUT.json", help="The keyset to write.")],
    *,
    segment_size: Annotated[
        int | None,
        typer.Option("--segment-size", metavar="BYTES", help="That of the objects; the default is 1048576, 1 MiB."),
    ] = None,
    force: Force = False,
) -> None:
    """Write a key as a plain Tink keyset, in a file that only you can read.

    With it, Tink reads and writes the objects of the format tink-gcm-hkdf that are under this key. Their context is
    Tink's associated data. The keyset contains the key. For one that is encrypted:
    connectors keygen OUT.json --from KEYFILE --wrap tink by.source=file by.path=KEK, whose member keyset is Tink's.
    """
    if target == "-":
        message = "the keyset is a private file; name one"
        raise UsageMistake(message)
    if same_file(target, key_file):
        message = "OUT.json is the key file, which would be overwritten; name another file"
        raise UsageMistake(message)
    key = read_key(key_file)
    size = segment_size or (key.segment_size if isinstance(key, TinkKey) else None) or DEFAULT_SEGMENT_SIZE
    if isinstance(key, TinkKey) and key.segment_size not in {None, size}:
        message = f"the segments of this Tink keyset have {key.segment_size} bytes; leave --segment-size out"
        raise ConfigError(message)
    select("tink-gcm-hkdf", key, segment_size=size)  # raises for what no object can have
    keyset = plain_keyset(key, size)
    write_private(target, f"{json.dumps(keyset, indent=2)}\n".encode(), force=force)
    console.note(f"Wrote a Tink keyset to {target}: it contains the key, unencrypted.")
