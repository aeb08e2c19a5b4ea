"""Input and output files of a command line: regular files, pipes, devices, and ``-``."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from typing import TYPE_CHECKING, Any

from connectors.cli.common import console
from connectors.cli.common.private_files import exists_error
from connectors.errors import ConfigError, ObjectExists
from connectors.secrets import redact_url
from connectors.streams import PathSink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.streams import Sink
    from connectors.streams.sources import BinaryFile

__all__ = ["readable", "same_file", "writable"]


@contextlib.contextmanager
def readable(path: str, *, allow_empty: bool = True) -> Iterator[str | BinaryFile]:
    """Yield what to read: the path of a regular file, an open file for a pipe, a device or ``-``.

    Args:
        path: the file.
        allow_empty: accept standard input and pipes without a byte; otherwise reading their end is a `ConfigError`.

    Raises:
        ConfigError: it is a URL.
    """
    if path in ("-", "/dev/stdin"):
        yield console.stdin() if allow_empty else _NotEmpty(console.stdin(), "standard input")
    elif _is_special(_local(path)):
        with open(path, "rb", buffering=0) as file:
            may_be_cut = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
            yield _NotEmpty(file, path) if may_be_cut and not allow_empty else file
    else:
        yield path


class _NotEmpty(io.RawIOBase):
    """A file whose end is an error if it comes first: a pipe whose writer has failed looks like an empty one."""

    def __init__(self, file: Any, name: str) -> None:
        super().__init__()
        self._file = file
        self._name = name
        self._begun = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """Read into a buffer.

        Raises:
            ConfigError: there is nothing to read.
        """
        size: int | None = self._file.readinto(buffer)
        if size == 0 and not self._begun and len(buffer):
            message = (
                f"{self._name} is empty, so nothing was written: the command that writes to it may have failed; "
                "--allow-empty accepts empty input"
            )
            raise ConfigError(message)
        self._begun = self._begun or bool(size)
        return size


@contextlib.contextmanager
def writable(path: str, *, force: bool, source: str | None = None) -> Iterator[str | BinaryFile | Sink]:
    """Yield where to write: the path of a regular file or a sink for it, an open file for a pipe, a device or ``-``.

    Args:
        path: the file.
        force: replace an existing file.
        source: the file that is read: it may be replaced by what is made of it.

    Raises:
        ConfigError: it is a URL.
        ObjectExists: the file exists, perhaps only by now, and may not be replaced.
    """
    if path in ("-", "/dev/stdout"):  # which may be redirected to a file, and is no existing file to protect
        yield console.Stdout()
    elif _is_special(_local(path)):
        # A rename would replace the pipe or device with a file.
        with open(path, "wb", buffering=0) as file:
            yield file
    else:
        # A rename would replace a link; as `cp` does, write the file that it points to.
        target = os.path.realpath(path) if os.path.islink(path) else path
        # The names are compared: another link to the source's data is another file, which the user did not name.
        if force or (source not in (None, "-") and os.path.realpath(path) == os.path.realpath(str(source))):
            yield target
        else:
            with _new_file(target, path) as sink:
                yield sink


@contextlib.contextmanager
def _new_file(target: str, shown: str) -> Iterator[Sink]:
    sink = None
    try:
        sink = PathSink(target, exclusive=True)
        yield sink
    except ObjectExists:
        taken = True
    else:
        taken = False
    finally:
        if sink is not None:
            sink.discard()  # does nothing after a commit
    if taken:
        raise exists_error(shown)


def same_file(one: str, other: str) -> bool:
    """Tell whether two names lead to one file that exists."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _is_special(path: str) -> bool:
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _local(path: str) -> str:
    if "://" in path:
        message = f"{redact_url(path)} is a URL, but a local file is expected; `connectors cp` copies datasets"
        raise ConfigError(message)
    return path
