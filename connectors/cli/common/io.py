"""Where bytes come from and go to on a command line: files, pipes, devices, and ``-``."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from connectors.cli.common import console
from connectors.errors import ConfigError
from connectors.secrets import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.streams.sources import BinaryFile

__all__ = ["readable", "shown", "writable"]


@contextlib.contextmanager
def readable(path: str) -> Iterator[str | BinaryFile]:
    """Yield what to read from: a regular file's path as it is, an open file for anything else.

    Raises:
        ConfigError: it is a URL.
    """
    if path == "-":
        yield console.stdin()
    elif _is_special(_local(path)):
        with open(path, "rb", buffering=0) as file:
            yield file
    else:
        yield path


@contextlib.contextmanager
def writable(path: str) -> Iterator[str | BinaryFile]:
    """Yield what to write to: a path where a whole file is to appear, an open file for pipes and devices.

    Raises:
        ConfigError: it is a URL.
    """
    if path == "-":
        yield console.Stdout()
    elif _is_special(_local(path)):
        # A rename would put a file in the place of the pipe or device.
        with open(path, "wb", buffering=0) as file:
            yield file
    else:
        # Of a link, the file it points to is meant, as with `cp`; a rename would replace the link.
        yield os.path.realpath(path) if os.path.islink(path) else path


def shown(path: str) -> str:
    """Return a place as messages call it."""
    return {"-": "standard input or output"}.get(path, path)


def _is_special(path: str) -> bool:
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _local(path: str) -> str:
    if "://" in path:
        message = f"{redact_url(path)} is a URL, where a local file was expected; `connectors cp` copies datasets"
        raise ConfigError(message)
    return path
