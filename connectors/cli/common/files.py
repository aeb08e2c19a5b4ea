"""Input and output files of a command line: regular files, pipes, devices, and ``-``."""

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

__all__ = ["readable", "writable"]


@contextlib.contextmanager
def readable(path: str) -> Iterator[str | BinaryFile]:
    """Yield what to read: the path of a regular file, an open file for a pipe, a device or ``-``.

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
    """Yield where to write: the path of a regular file, an open file for a pipe, a device or ``-``.

    Raises:
        ConfigError: it is a URL.
    """
    if path == "-":
        yield console.Stdout()
    elif _is_special(_local(path)):
        # A rename would replace the pipe or device with a file.
        with open(path, "wb", buffering=0) as file:
            yield file
    else:
        # A rename would replace a link; as `cp` does, write the file that it points to.
        yield os.path.realpath(path) if os.path.islink(path) else path


def _is_special(path: str) -> bool:
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _local(path: str) -> str:
    if "://" in path:
        message = f"{redact_url(path)} is a URL, but a local file is expected; `connectors cp` copies datasets"
        raise ConfigError(message)
    return path
