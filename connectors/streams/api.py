"""The top-level functions: `encrypt`, `decrypt`, `open_reader`, `open_writer` and `fingerprint`."""

from __future__ import annotations

import io
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from connectors.formats import DEFAULT_SEGMENT_SIZE, FormatName, select
from connectors.secrets import Hidden
from connectors.streams.background import BackgroundWriter
from connectors.streams.executor import submit
from connectors.streams.object import SealedObject
from connectors.streams.plain_file import PlainFile
from connectors.streams.reader import SealedReader
from connectors.streams.sinks import as_sink
from connectors.streams.sources import BinaryFile, Source, StrPath, as_source, check_binary, open_local
from connectors.streams.writer import RUN_SIZE, SealedWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from connectors.formats import Format
    from connectors.secrets import SecretKey
    from connectors.streams.sinks import Sink

    class Callback(Protocol):
        """The part of `fsspec.Callback` that copying calls."""

        def set_size(self, size: int | None, /) -> object: ...
        def relative_update(self, inc: int = 1, /) -> object: ...


__all__ = ["BUFFER_SIZE", "buffered", "copy_stream", "decrypt", "encrypt", "fingerprint", "open_reader", "open_writer"]

_PIECE = 1 << 22
"""Bytes of a local file read at a time, while the previous piece is encrypted."""
BUFFER_SIZE = 1 << 12
"""Bytes buffered for lines and small reads: one page, which rarely spans two chunks."""


def buffered(source: Source, codec: Format, *, name: str | None = None) -> PlainFile:
    """Return a buffered file of plain bytes over a source and a format."""
    return PlainFile(SealedReader(source, codec, name=name), BUFFER_SIZE)


def open_reader(
    file: StrPath | BinaryFile | Source,
    key: SecretKey | bytes | str,
    *,
    format: FormatName = "auto",  # noqa: A002 - the word of the credentials document
    context: bytes = b"",
    segment_size: int = DEFAULT_SEGMENT_SIZE,
    pin: str | None = None,
) -> io.BufferedReader:
    r"""Open a sealed object for reading its plain bytes: seekable, verified, in bounded memory.

    Args:
        file: a path, a seekable binary file (which stays open), or a `Source` of byte ranges. A stream that is not
            seekable is first copied, still sealed, to a temporary file.
        key: a `SecretKey`, 32 bytes, or 64 hexadecimal digits.
        format: a name from `connectors.formats.NAMES`.
        context: the context it was encrypted with.
        segment_size: bytes in a sealed segment; tink-gcm-hkdf only.
        pin: the `fingerprint` of the only version to accept; None accepts any.

    Raises:
        InvalidKey, ConfigError: the key or an option is wrong.
        ObjectNotFound: there is no such file.
        PinMismatch: it is not the version that is pinned.
        IntegrityError: the object is not what its owner encrypted. Its end is verified before this returns, each
            chunk before it is returned, and a `gcm` object as a whole.

    >>> import io
    >>> sealed = io.BytesIO()
    >>> with open_writer(sealed, "00" * 32) as file:
    ...     _ = file.write(b"first line\nsecond line\n")
    >>> with open_reader(sealed, "00" * 32) as file:
    ...     file.readlines()[1]
    b'second line\n'
    """
    hidden = Hidden(key)
    del key  # so that a traceback that prints locals does not print it
    codec = select(format, hidden, context=context, segment_size=segment_size, pin=pin)
    return buffered(as_source(file), codec)


def fingerprint(
    file: StrPath | BinaryFile | Source,
    key: SecretKey | bytes | str,
    *,
    format: FormatName = "auto",  # noqa: A002
    context: bytes = b"",
    segment_size: int = DEFAULT_SEGMENT_SIZE,
) -> str:
    """Return the fingerprint of this version of an object: 64 hexadecimal digits, for the reader's `pin`.

    The arguments and errors are those of `open_reader`. The object's end is verified, a `gcm` object as a whole.

    >>> import io
    >>> sealed = io.BytesIO()
    >>> encrypt(io.BytesIO(b"37.2"), sealed, "00" * 32)
    >>> pin = fingerprint(sealed, "00" * 32)
    >>> open_reader(sealed, "00" * 32, pin=pin).read()
    b'37.2'
    """
    hidden = Hidden(key)
    del key  # so that a traceback that prints locals does not print it
    codec = select(format, hidden, context=context, segment_size=segment_size)
    with closing(SealedObject(as_source(file), codec)) as opened:
        return opened.pin


def open_writer(
    file: StrPath | BinaryFile | Sink,
    key: SecretKey | bytes | str,
    *,
    format: FormatName = "cobblestone-256",  # noqa: A002
    context: bytes = b"",
    segment_size: int = DEFAULT_SEGMENT_SIZE,
) -> SealedWriter:
    """Open a writer of plain bytes; the sealed object appears atomically when the writer is closed without an error.

    Args:
        file: a path (staged, then renamed), a binary file (written immediately, left open), or a `Sink`.
        key: a `SecretKey`, 32 bytes, or 64 hexadecimal digits.
        format: a name from `connectors.formats.NAMES`; ``auto`` writes cobblestone-256.
        context: bytes that bind the object to a place or purpose; the reader must give the same.
        segment_size: bytes in a sealed segment; tink-gcm-hkdf only.

    Raises:
        InvalidKey, ConfigError: the key or an option is wrong.
        NotAnObject, ObjectNotFound: the path is a folder, or its folder does not exist.
    """
    hidden = Hidden(key)
    del key  # so that a traceback that prints locals does not print it
    codec = select(format, hidden, context=context, segment_size=segment_size)
    return SealedWriter(as_sink(file), codec)


def encrypt(
    src: StrPath | BinaryFile,
    dst: StrPath | BinaryFile | Sink,
    key: SecretKey | bytes | str,
    *,
    format: FormatName = "cobblestone-256",  # noqa: A002
    context: bytes = b"",
    segment_size: int = DEFAULT_SEGMENT_SIZE,
    callback: Callback | None = None,
) -> None:
    """Encrypt everything in `src` to `dst`.

    Both are paths or binary files; `src` need not be seekable. A path in `dst` is replaced atomically at the end. The
    other arguments are those of `open_writer`; `callback` is an `fsspec.Callback` that counts plain bytes.
    """
    hidden = Hidden(key)
    del key  # so that a traceback that prints locals does not print it
    codec = select(format, hidden, context=context, segment_size=segment_size)
    if isinstance(src, (str, os.PathLike)):
        source: BinaryFile = open_local(src)
    else:
        check_binary(src)
        source = src
    try:
        with SealedWriter(as_sink(dst), codec) as writer:
            copy_stream(source, writer, callback)
    finally:
        if source is not src:
            source.close()


def decrypt(
    src: StrPath | BinaryFile,
    dst: StrPath | BinaryFile | Sink,
    key: SecretKey | bytes | str,
    *,
    format: FormatName = "auto",  # noqa: A002
    context: bytes = b"",
    segment_size: int = DEFAULT_SEGMENT_SIZE,
    pin: str | None = None,
    callback: Callback | None = None,
) -> None:
    """Decrypt everything in `src` to `dst`.

    Both are paths or binary files. A path in `dst` appears only after all of `src` has been verified. The other
    arguments are those of `open_reader`; `callback` is an `fsspec.Callback` that counts plain bytes.
    """
    hidden = Hidden(key)
    del key  # so that a traceback that prints locals does not print it
    codec = select(format, hidden, context=context, segment_size=segment_size, pin=pin)
    with SealedReader(as_source(src), codec) as reader:
        sink = as_sink(dst)
        background = BackgroundWriter(sink)
        try:
            if callback is not None:
                callback.set_size(reader.size)
            # Decrypted into the buffers that are written: a SealedWriter would copy them.
            buffer = memoryview(bytearray(RUN_SIZE))
            while size := reader.readinto(buffer):
                buffer = background.send(buffer, size)
                if callback is not None:
                    callback.relative_update(size)
            background.finish(buffer[:0])
            sink.commit()
        except BaseException as error:
            background.discard(error)
            raise


def copy_stream(
    source: BinaryFile, target: BinaryFile, callback: Callback | None = None, *, ahead: bool = False
) -> None:
    """Copy the rest of one binary file to another in bounded memory, reporting the bytes to `callback`.

    Args:
        source: the file that is read.
        target: the file that is written.
        callback: an `fsspec.Callback` that counts the bytes.
        ahead: read a large source in a thread while its bytes are written, as is always done with a large local file.
            A read that never ends would then block the caller forever.
    """
    size = _rest(source)
    large = size is not None and size > _PIECE if ahead else _is_large(source)
    if size is not None and isinstance(target, SealedWriter):
        target.expect(size)
    if callback is not None:
        callback.set_size(size)
    for piece in _pieces_ahead(source) if large else _pieces(source):
        target.write(piece)
        if callback is not None:
            callback.relative_update(len(piece))


def _pieces(file: BinaryFile) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(RUN_SIZE))
    while size := _read_into(file, buffer):
        yield buffer[:size]


def _pieces_ahead(file: BinaryFile) -> Iterator[memoryview]:
    """Yield the rest of a file in pieces; a thread prefetches the next one while the caller uses the current one."""
    buffer, other = memoryview(bytearray(_PIECE)), memoryview(bytearray(_PIECE))
    with ThreadPoolExecutor(1, "connectors-ahead") as thread:
        size = _read_into(file, buffer)
        while size:
            coming = submit(thread, _read_into, file, other)
            yield buffer[:size]
            size = coming.result()
            buffer, other = other, buffer


def _is_large(file: BinaryFile) -> bool:
    """Return whether it is a large regular file. A read from a pipe could block a thread forever."""
    raw = file.raw if type(file) is io.BufferedReader else file
    if type(raw) is not io.FileIO:
        return False
    found = os.fstat(raw.fileno())
    return stat.S_ISREG(found.st_mode) and found.st_size > _PIECE


def _rest(file: BinaryFile) -> int | None:
    """Return the number of bytes left to read, or None if the file is not seekable."""
    if not file.seekable():
        return None
    position = file.tell()
    size = file.seek(0, os.SEEK_END) - position
    file.seek(position)
    return size


def _read_into(file: BinaryFile, buffer: memoryview) -> int:
    if isinstance(file, io.RawIOBase | io.BufferedIOBase):
        size = file.readinto(buffer)
    else:
        data = file.read(len(buffer))
        size = None if data is None else len(data)
        buffer[: size or 0] = data or b""
    if size is None:
        # Not the end of the file: treating it as one would publish a truncated object.
        message = "the source has no data at the moment; open it in blocking mode"
        raise BlockingIOError(message)
    return size
