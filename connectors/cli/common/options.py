"""Options that several verbs have, so that they read and behave alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common.exit_codes import UsageMistake
from connectors.errors import ConfigError

if TYPE_CHECKING:
    from connectors.formats import FormatName

__all__ = [
    "AppConfigFolder",
    "AsJson",
    "Context",
    "Force",
    "KeyFile",
    "OptionalKeyFile",
    "SegmentSize",
    "context_bytes",
    "example",
    "format_name",
    "sealing",
]

_KEY = typer.Option("-K", "--key-file", metavar="FILE", help="The key: a file of 64 hex digits, or - for stdin.")
KeyFile = Annotated[str, _KEY]
OptionalKeyFile = Annotated[str | None, _KEY]
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="TEXT", help="Text the object is bound to; decrypting needs the same."),
]
SegmentSize = Annotated[
    int | None, typer.Option("--segment-size", metavar="BYTES", help="For tink-gcm-hkdf alone; 1048576 if not given.")
]
AppConfigFolder = Annotated[
    str | None,
    typer.Option("--app-config", metavar="DIR", help="The app config; else $CONNECTORS_APP_CONFIG, or the enclave's."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def example(*commands: str) -> str:
    """Return the end of a verb's help: examples, one to a line, which no terminal's width breaks."""
    lines = "\n".join(f"  connectors {command}" for command in commands)
    # What follows a line with a backspace alone is printed as it is.
    return f"\b\nExample:\n{lines}"


def format_name(name: str) -> FormatName:
    """Return a format's name as the type it has.

    Raises:
        ConfigError: there is no such format.
    """
    from connectors.formats import NAMES  # noqa: PLC0415 - loads the ciphers

    for known in NAMES:
        if known == name:
            return known
    message = f"unknown format {name!r}; known are {', '.join(NAMES)}"
    raise ConfigError(message)


def context_bytes(context: str | None) -> bytes:
    """Return a context as the bytes that are sealed with.

    Raises:
        ConfigError: it is not text.
    """
    try:
        return (context or "").encode()
    except UnicodeEncodeError:
        message = "the context is not UTF-8 text"
    raise ConfigError(message)


def sealing(name: str, context: str | None, segment_size: int | None) -> tuple[FormatName, bytes, int]:
    """Return a format, context and segment size that go together.

    Raises:
        ConfigError: there is no such format, or the context is not text.
        UsageMistake: the format has no segments to give a size.
    """
    from connectors.formats import DEFAULT_SEGMENT_SIZE  # noqa: PLC0415

    known = format_name(name)
    if segment_size is not None and known != "tink-gcm-hkdf":
        message = f"--segment-size goes with --format tink-gcm-hkdf; {known} has none to choose"
        raise UsageMistake(message)
    return known, context_bytes(context), DEFAULT_SEGMENT_SIZE if segment_size is None else segment_size
