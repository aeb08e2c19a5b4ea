"""The options that say how an object is encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common.exit_codes import UsageMistake
from connectors.errors import ConfigError
from connectors.formats import DEFAULT_SEGMENT_SIZE, NAMES

if TYPE_CHECKING:
    from connectors.formats import FormatName

__all__ = [
    "Context",
    "FormatOfDocument",
    "KeyFile",
    "OptionalKeyFile",
    "SegmentSize",
    "context_bytes",
    "encryption_options",
    "format_name",
]

_KEY = typer.Option(
    "-K",
    "--key-file",
    metavar="FILE",
    help="The key: a file of 64 hex digits, a reference or a Tink keyset; - for stdin.",
)
KeyFile = Annotated[str, _KEY]
OptionalKeyFile = Annotated[str | None, _KEY]
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="TEXT", help="Text the object is bound to; decrypting needs the same."),
]
FormatOfDocument = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="The format that the document names: that of the object, or the one to write. auto names none.",
    ),
]
SegmentSize = Annotated[
    int | None, typer.Option("--segment-size", metavar="BYTES", help="For tink-gcm-hkdf only; the default is 1048576.")
]


def format_name(name: str) -> FormatName:
    """Return a format's name as the literal type.

    Raises:
        ConfigError: there is no such format.
    """
    for known in NAMES:
        if known == name:
            return known
    message = f"unknown format {name!r}; the formats are {', '.join(NAMES)}"
    raise ConfigError(message)


def context_bytes(context: str | None) -> bytes:
    """Return a context as bytes.

    Raises:
        ConfigError: it is not text.
    """
    try:
        return (context or "").encode()
    except UnicodeEncodeError:
        message = "the context is not UTF-8 text"
    raise ConfigError(message)


def encryption_options(name: str, context: str | None, segment_size: int | None) -> tuple[FormatName, bytes, int]:
    """Return a format, context and segment size, after checking that they go together.

    Raises:
        ConfigError: there is no such format, or the context is not text.
        UsageMistake: the format has a fixed segment size, or none.
    """
    known = format_name(name)
    if segment_size is not None and known != "tink-gcm-hkdf":
        message = f"--segment-size needs --format tink-gcm-hkdf; {known} has no segment size to choose"
        raise UsageMistake(message)
    return known, context_bytes(context), DEFAULT_SEGMENT_SIZE if segment_size is None else segment_size
