"""Sources of sealed bytes: the `Source` protocol for range reads, and local or file-like objects as sources."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from typing import IO, TYPE_CHECKING, Protocol, runtime_checkable

from connectors.errors import AccessDenied, ConfigError, NotAnObject, NotSupported, ObjectNotFound, TruncatedObject
from connectors.secrets import redact_url
from connectors.system.atomic_files import write_all
from connectors.system.locks import ForkSafeLock
from connectors.system.os_errors import failure, spooled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import TypeIs

__all__ = [
    "BinaryFile",
    "ByteStream",
    "FileSource",
    "FillsBuffers",
    "KeepsProperties",
    "Source",
    "StrPath",
    "StreamsRanges",
    "as_path",
    "as_source",
    "check_binary",
    "fill",
    "fill_exactly",
    "fills_buffers",
    "keeping_properties",
    "read_exactly",
    "stream_exactly",
    "streams_ranges",
]

StrPath = str | os.PathLike[str]
BinaryFile = IO[bytes] | io.RawIOBase | io.BufferedIOBase


@runtime_checkable
class Source(Protocol):
    """Random access to the sealed bytes of one object that does not change while it is open."""

    @property
    def size(self) -> int:
        """The object's size in bytes, as the storage reports it. May cost a request before the first read."""

    def read_range(self, start: int, stop: int) -> bytes | memoryview:
        """Return the bytes from `start` to `stop`; fewer only if the object ends before `stop`.

        The returned bytes must not change later: do not return a view of a memory-mapped file.
        """

    def close(self) -> None:
        """Release the object."""


@runtime_checkable
class FillsBuffers(Protocol):
    """A `Source` that reads into the caller's buffer, which saves a copy.

    It does not inherit from `Source`: `isinstance` would then read `size`, which may cost a request.
    """

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Read from `start` into `buffer`; return the number of bytes: a short read only at the object's end."""


class ByteStream(Protocol):
    """A range of an object that is read from its start to its end, by one thread at a time.

    A broken connection is resumed: its user sees one stream.
    """

    def read_into(self, buffer: memoryview, /) -> int:
        """Read the next bytes into `buffer`; return their number.

        It is at least 1 and at most the length of `buffer`; 0 only at the end of the range or of the object. The errors
        are those of `Source.read_range`.
        """

    def cancel(self) -> None:
        """Wake a `read_into` that waits, which then raises or returns; nothing more is read. Safe in any thread."""

    def close(self) -> None:
        """Release the connection: called by the thread that reads, or when none does, perhaps after the source's."""


@runtime_checkable
class StreamsRanges(Protocol):
    """A `Source` that reads a long range as one stream: one request, whatever its length.

    It does not inherit from `Source`: `isinstance` would then read `size`, which may cost a request.
    """

    def open_stream(self, start: int, stop: int) -> ByteStream:
        """Return the bytes from `start` to `stop` as a stream. It makes no request before it is first read."""


@runtime_checkable
class KeepsProperties(Protocol):
    """A `Source` that knows what its storage keeps with the object, such as the user metadata of S3."""

    def properties(self) -> Mapping[str, str]:
        """Return the properties of the version that is read, by names in lower case; makes a request if none was made.

        Raises:
            NotSupported: the storage keeps none.
        """

    def read_beside(self, suffix: str, most: int) -> bytes:
        """Return the object whose name is this one's and a suffix.

        Raises:
            ObjectNotFound: there is none.
            NotSupported: it has more than `most` bytes, or the storage keeps no properties.
        """


# `isinstance` of a protocol takes longer than opening a stream; a plain attribute tells the same.


def fills_buffers(source: object) -> TypeIs[FillsBuffers]:
    """Return whether a source fills its caller's buffers."""
    return hasattr(source, "read_into")


def streams_ranges(source: object) -> TypeIs[StreamsRanges]:
    """Return whether a source streams long ranges."""
    return hasattr(source, "open_stream")


def keeping_properties(source: object) -> KeepsProperties:
    """Return a source as one that keeps properties.

    Raises:
        NotSupported: it is not.
    """
    if hasattr(source, "read_beside") and isinstance(source, KeepsProperties):
        return source
    raise no_properties()


def no_properties() -> NotSupported:
    """Return the error for a storage that keeps no properties."""
    message = (
        "this storage keeps no metadata with its objects, and the dataset's format needs it; the format "
        "s3-encryption-client is for S3 only"
    )
    return NotSupported(message)


class FileSource:
    """A seekable binary file as a `Source`. Local files are read without moving their position."""

    def __init__(self, file: BinaryFile, *, owned: bool = False) -> None:
        self._file = file
        self._owned = owned
        self._lock = ForkSafeLock()
        self._local = _local(file)
        self.size = os.fstat(self._local.fileno()).st_size if self._local else file.seek(0, os.SEEK_END)

    def read_range(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`."""
        if self._local is not None:
            # Call `fileno` each time: the number of a closed file may be reused for another one.
            return _pread(self._local.fileno(), start, stop)
        with self._lock.current:
            self._file.seek(start)
            return _read_up_to(self._file, stop - start)

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Read from `start` into `buffer`; return the number of bytes."""
        if self._local is not None and hasattr(os, "preadv"):
            return _preadv(self._local.fileno(), start, buffer)
        return _copy(self, start, buffer)

    def close(self) -> None:
        """Close the file, if it was opened for this source."""
        if self._owned:
            self._file.close()


def _local(file: BinaryFile) -> io.FileIO | None:
    """Return the raw local file that `file` is or buffers; None for any other kind of file."""
    raw = file.raw if type(file) is io.BufferedReader else file
    return raw if type(raw) is io.FileIO and hasattr(os, "pread") else None


def _pread(descriptor: int, start: int, stop: int) -> bytes:
    data = os.pread(descriptor, stop - start, start)
    if len(data) == stop - start:
        return data
    pieces = [data]
    while data and (start := start + len(data)) < stop:
        data = os.pread(descriptor, stop - start, start)
        pieces.append(data)
    return b"".join(pieces)


def _preadv(descriptor: int, start: int, buffer: memoryview) -> int:
    done = 0
    while done < len(buffer) and (size := os.preadv(descriptor, [buffer[done:]], start + done)):
        done += size
    return done


def _read_up_to(file: BinaryFile, size: int) -> bytes:
    data = file.read(size) or b""
    if len(data) == size:
        return data
    pieces = [data]
    while data and (size := size - len(data)) > 0:
        data = file.read(size) or b""
        pieces.append(data)
    return b"".join(pieces)


def read_exactly(source: Source, start: int, stop: int) -> bytes | memoryview:
    """Return the bytes from `start` to `stop`.

    Raises:
        TruncatedObject: the object ends before `stop`, whatever size the storage reported.
    """
    data = source.read_range(start, stop)
    _check_size(len(data), start, stop)
    return data


def fill_exactly(source: Source, start: int, buffer: memoryview) -> memoryview:
    """Return as many bytes from `start` on as `buffer` has: in it, or as the source gave them.

    Raises:
        TruncatedObject: the object ends before that, whatever size the storage claimed.
    """
    if not fills_buffers(source):
        return memoryview(read_exactly(source, start, start + len(buffer)))
    _check_size(source.read_into(start, buffer), start, start + len(buffer))
    return buffer


def stream_exactly(stream: ByteStream, start: int, buffer: memoryview) -> memoryview:
    """Return `buffer`, filled with the next bytes of a stream, which are those of the object from `start` on.

    Raises:
        TruncatedObject: the object ends before that, whatever size the storage reported.
    """
    done = 0
    while done < len(buffer) and (size := stream.read_into(buffer[done:])):
        done += size
    _check_size(done, start, start + len(buffer))
    return buffer


def fill(source: Source, start: int, buffer: memoryview) -> int:
    """Read from `start` into `buffer`, through a copy if the source cannot fill it; return the number of bytes."""
    return source.read_into(start, buffer) if fills_buffers(source) else _copy(source, start, buffer)


def _copy(source: Source, start: int, buffer: memoryview) -> int:
    data = source.read_range(start, start + len(buffer))
    buffer[: len(data)] = data
    return len(data)


def _check_size(size: int, start: int, stop: int) -> None:
    if size != stop - start:
        message = (
            f"the storage returned {size} of the {stop - start} bytes at {start}: "
            "the object is shorter than its reported size"
        )
        raise TruncatedObject(message)


def as_path(path: StrPath) -> str:
    """Return a local path as text.

    Raises:
        ConfigError: it is a URL, which only a `Dataset` can open.
    """
    text = os.fspath(path)
    if "://" in text:
        message = f"{redact_url(text)} is a URL, not a local path; open it as connectors.Dataset(...)"
        raise ConfigError(message)
    return text


def open_local(path: StrPath, *, pipes: bool = True) -> io.FileIO:
    """Open a local file for reading.

    Args:
        path: its path.
        pipes: whether it may be a named pipe or a device, whose other end may never come.

    Raises:
        NotSupported: not `pipes`, and it is something else than a file.
        ObjectNotFound: there is none.
        NotAnObject: it is a folder.
        AccessDenied: this process may not read it.
        MachineFailed: too many files are open.
    """
    text = as_path(path)
    try:
        if pipes:
            return io.FileIO(text, "rb")
        opened = io.FileIO(text, "rb", opener=_at_once)
        if stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            return opened
        opened.close()
        error: Exception = NotSupported(f"{text} is a device, pipe or socket; only files can be read")
    except (FileNotFoundError, NotADirectoryError):
        error = ObjectNotFound(f"there is no file {text}")
    except IsADirectoryError:
        error = NotAnObject(f"{text} is a folder; name a file")
    except PermissionError:
        error = AccessDenied(f"this process may not read {text}")
    except OSError as problem:
        error = failure(problem, text, "cannot be read")
    raise error


def _at_once(path: str, flags: int) -> int:
    """Open a file; a named pipe without waiting for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def as_source(file: StrPath | BinaryFile | Source) -> Source:
    """Return `file` as a `Source`.

    A stream that is not seekable is first copied, still sealed, to an unnamed temporary file: its end must be verified
    before any of it is released.

    Raises:
        ConfigError: a file in text mode, or not a file.
        ObjectNotFound, NotAnObject, AccessDenied: the path cannot be read.
    """
    if isinstance(file, (str, os.PathLike)):
        local = open_local(file)
        if local.seekable():
            return FileSource(local, owned=True)
        with local:  # a named pipe
            return _spooled(local)
    if _gives_ranges(file):
        return file
    check_binary(file)
    return FileSource(file) if file.seekable() else _spooled(file)


def _gives_ranges(file: BinaryFile | Source) -> TypeIs[Source]:
    # Not `isinstance`, which would read `size` and so may cost an extra request.
    return hasattr(file, "read_range")


def check_binary(file: object) -> None:
    """Check that `file` is a binary file.

    Raises:
        ConfigError: it is bytes, a file in text mode, or not a file.
    """
    if isinstance(file, io.TextIOBase):
        message = "the file is open in text mode; open it in binary mode"
    elif isinstance(file, (bytes, bytearray, memoryview)):
        message = "a path or a binary file is expected, not bytes; wrap them in io.BytesIO"
    elif not hasattr(file, "seekable") and not hasattr(file, "read") and not hasattr(file, "write"):
        message = f"a path or a binary file is expected, not {type(file).__name__}"
    else:
        return
    raise ConfigError(message)


def _spooled(file: BinaryFile) -> FileSource:
    spool = spooled(lambda: tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - owned by the source
    try:
        while data := file.read(1 << 20):
            _append(spool, data)
        return FileSource(spool, owned=True)
    except BaseException:
        spool.close()
        raise


def _append(spool: IO[bytes], data: bytes) -> None:
    spooled(lambda: write_all(spool, data))
