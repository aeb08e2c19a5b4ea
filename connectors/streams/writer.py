"""A writer of plain bytes whose sealed object appears atomically, when it is closed without an error."""

from __future__ import annotations

import inspect
import io
import os
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NoReturn, Self

from connectors.errors import ConnectorError, naming
from connectors.streams.background import BackgroundWriter, note_failure
from connectors.streams.sinks import ExpectsSize, give_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from _typeshed import ReadableBuffer

    from connectors.formats import Format
    from connectors.streams.sinks import Sink

__all__ = ["SealedText", "SealedWriter"]

RUN_SIZE = 1 << 20
"""Plain bytes encrypted at a time, unless a chunk is larger."""

State = Literal["open", "finished", "committed", "discarded", "dropped"]


class SealedWriter(io.BufferedIOBase):
    """A file that encrypts plain bytes and writes one sealed object.

    The object appears atomically when the file is closed: by `close`, or at the end of a ``with`` block that did not
    raise. If the block raises, the writer is dropped without closing, or the process dies, nothing appears and the
    previous object stays. Some libraries (`fsspec.open`, pandas) close their files while an exception propagates, just
    as after a success. So `close` checks: if an exception is being handled that was not being handled when the file
    was opened, or that was and now ends a ``with`` block, the object is discarded and the exception is raised again. To
    publish from inside an ``except`` block, call `commit`.

    Native code can close after an error of its own, of which Python knows nothing. So DuckDB's files belong into a
    transaction: see docs/ecosystem.md.

    Args:
        sink: the destination of the sealed bytes.
        codec: the format, with its key.
        name: the object's name in errors, such as ``port/object``.
        autocommit: if False, `close` does not publish the object; a transaction calls `commit` or `discard` later.
        committed: called with the object's plain size and pin once it has been published.
    """

    def __init__(
        self,
        sink: Sink,
        codec: Format,
        *,
        name: str | None = None,
        autocommit: bool = True,
        committed: Callable[[int, str], object] | None = None,
    ) -> None:
        self._state: State = "discarded"  # until there is something to discard
        super().__init__()
        self._dataset = name
        self._autocommit = autocommit
        self._committed = committed
        self._sink = sink
        self._background = BackgroundWriter(sink)
        self._pending = bytearray()
        # None until there is a run to encrypt: the buffer of a small object is allocated at the end, in its exact size.
        self._out: memoryview | None = None
        self._filled = 0
        self._position = 0
        self._broken = False
        self._handled = sys.exception()
        self._exits = _exits_for(self._handled)
        self._process = os.getpid()
        self._state = "open"
        with self._discarding():
            self._encryptor = codec.encryptor()
            if self._encryptor.properties:
                give_properties(sink, self._encryptor.properties)
            self._run = max(RUN_SIZE, self._encryptor.layout.chunk)

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the number of plain bytes written."""
        return self._position

    @property
    def closed(self) -> bool:
        """True once closed, committed or discarded."""
        return self._state not in ("open", "dropped")

    def expect(self, size: int) -> None:
        """Prepare for `size` plain bytes, before the first write; more or fewer may come.

        Raises:
            StorageError: the storage takes no object of that size.
        """
        if isinstance(self._sink, ExpectsSize):
            with naming(self._dataset):
                self._sink.expect(self._encryptor.layout.sealed_size(size))

    def write(self, data: ReadableBuffer, /) -> int:
        """Encrypt and send `data`; return its number of bytes."""
        view = memoryview(data).cast("B")
        if self._state == "dropped":
            return len(view)
        self._check_open()
        with naming(self._dataset):
            self._check_process()
            self._check_whole()
            # Set before anything is sent: an object with a failed write must never be committed.
            self._broken = True
            self._take(view)
            self._broken = False
        self._position += len(view)
        return len(view)

    def _check_whole(self) -> None:
        if self._broken:
            message = "an earlier write failed, so nothing was written: the object is unchanged"
            raise ConnectorError(message)

    def _check_process(self) -> None:
        if self._process != os.getpid():
            message = (
                "a file that is open for writing cannot be used after a fork; open it in the process that writes it"
            )
            raise ConnectorError(message)

    def _take(self, view: memoryview) -> None:
        """Encrypt whole runs of the pending bytes and of `view`, without a copy; keep the rest pending."""
        if len(self._pending) + len(view) <= self._run:
            self._pending += view
            return
        if self._pending:
            layout = self._encryptor.layout
            end = self._encryptor.sealed + len(self._pending)
            missing = layout.plain_start(layout.index(end - 1) + 1) - end
            self._pending += view[:missing]
            view = view[missing:]
            with memoryview(self._pending) as pending:
                done = self._encrypt_runs(pending, more=bool(view))
            del self._pending[:done]
            if not view:
                return
        self._pending += view[self._encrypt_runs(view, more=False) :]

    def _encrypt_runs(self, view: memoryview, *, more: bool) -> int:
        """Encrypt the whole chunks of `view`; return their number of bytes.

        The last chunk known so far is not encrypted: it may be the final one, which is encrypted differently.
        """
        layout, done = self._encryptor.layout, 0
        while (known := min(len(view) + more - done, self._run + 1)) > 0:
            sealed = self._encryptor.sealed
            size = layout.plain_start(layout.index(sealed + known - 1)) - sealed
            if size <= 0:
                break
            self._seal(view[done : done + size])
            done += size
        return done

    def _seal(self, plain: memoryview) -> None:
        if self._out is None:
            self._out = memoryview(bytearray(self._room_for(self._run + RUN_SIZE)))
            self._put_header(self._out)
        self._filled += self._encryptor.encrypt(plain, self._out[self._filled :])
        if self._filled >= RUN_SIZE:
            self._out, self._filled = self._background.send(self._out, self._filled), 0

    def _room_for(self, size: int) -> int:
        return len(self._encryptor.header) + self._encryptor.sealed_bound(size)

    def _put_header(self, out: memoryview) -> None:
        self._filled = len(self._encryptor.header)
        out[: self._filled] = self._encryptor.header

    def commit(self) -> None:
        """Publish the object now, even while an exception is being handled.

        Raises:
            ValueError: it was discarded.
        """
        if self._state in ("discarded", "dropped"):
            self._check_open()
        with naming(self._dataset):
            if self._state == "open":
                self._finish()
            if self._state == "finished":
                self._check_process()
                with self._discarding():
                    self._sink.commit()
                self._state = "committed"
                if self._committed is not None:
                    self._committed(self._encryptor.sealed, self._encryptor.pin)

    def _finish(self) -> None:
        """Encrypt and send the remaining bytes."""
        with self._discarding(), memoryview(self._pending) as pending:
            self._check_process()
            self._check_whole()
            if self._out is None:
                self._out = memoryview(bytearray(self._room_for(len(pending))))
                self._put_header(self._out)
            self._filled += self._encryptor.encrypt(pending, self._out[self._filled :], final=True)
            self._background.finish(self._out[: self._filled])
        self._out = None
        self._state = "finished"
        self._handled = None

    def discard(self) -> None:
        """Close without publishing: the previous object stays. A forked child leaves its parent's staged data alone."""
        if self._state in ("open", "finished"):
            self._state = "discarded"
            self._handled = None
            self._pending, self._out = bytearray(), None
            if self._process != os.getpid():
                return
            with naming(self._dataset):
                try:
                    self._background.abandon()
                finally:
                    self._sink.discard()

    @contextmanager
    def _discarding(self) -> Iterator[None]:
        """Discard if the block raises, and raise the block's error."""
        try:
            yield
        except BaseException as error:
            self._discard_for(error)
            raise

    def _discard_for(self, error: BaseException) -> None:
        """Discard because of `error`; a failure to discard becomes a note of it."""
        try:
            self.discard()
        except Exception as failure:  # noqa: BLE001 - reported in a note
            note_failure(error, failure)

    def close(self) -> None:
        """Publish the object, unless an exception is propagating."""
        if self._state == "dropped":
            self._state = "discarded"
        if self._state != "open":
            return
        passing = sys.exception()
        if passing is not None and (passing is not self._handled or _exits_for(passing) > self._exits):
            self._discard_for(passing)
            passing.add_note(
                f"{self._dataset or 'The object'} was not written: its file was closed while this error was being "
                "handled. Call commit() to publish from inside an except block."
            )
            raise passing
        self._close_normally()

    def _close_normally(self) -> None:
        if self._autocommit:
            self.commit()
        else:
            with naming(self._dataset):
                self._finish()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._discard_for(error)
        elif self._state == "open":
            self._close_normally()

    def __del__(self) -> None:
        # Also reached through a text file over this one. The inherited method would close, and so publish.
        if self._state == "open":
            self._dealloc_warn(self)

    def _dealloc_warn(self, source: object) -> None:
        """Discard: `io` calls this when it closes an unreferenced text file over this one."""
        self.discard()
        if source is not self:
            self._state = "dropped"  # `io` now flushes and closes, and from Python 3.13 on reports what that raises
        message = f"{self._dataset or 'an object'} was never closed, so it was not written ({source!r})"
        warnings.warn(message, ResourceWarning, stacklevel=2)

    def _check_open(self) -> None:
        if self._state != "open":
            message = f"write to a file that is {'closed' if self._state == 'committed' else self._state}"
            raise ValueError(message)

    def __reduce__(self) -> NoReturn:
        message = f"a {type(self).__name__} holds a key and does not pickle or copy; open the object again"
        raise TypeError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._dataset or ''} {self._state} at {self._position}>"


def _exits_for(error: BaseException | None) -> int:
    """Return how many ``with`` blocks are being left because of this error.

    A bare ``raise`` makes an error propagate that was already being handled. Nothing else tells the two apart.
    """
    count, frame = 0, None if error is None else inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name in ("__exit__", "__aexit__"):
            given = [one if isinstance(one, tuple) else (one,) for one in frame.f_locals.values()]  # fsspec has *args
            count += any(value is error for values in given for value in values)
        frame = frame.f_back
    return count


class SealedText(io.TextIOWrapper):
    """A text file over a `SealedWriter`, with the same atomic commit."""

    buffer: SealedWriter  # type: ignore[assignment]  # typeshed expects a buffer with a name

    def commit(self) -> None:
        """Publish the object now, even while an exception is being handled."""
        self._flush_or_discard()
        self.buffer.commit()

    def discard(self) -> None:
        """Close without publishing: the previous object stays."""
        self.buffer.discard()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush_or_discard()
        self.buffer.__exit__(kind, error, trace)

    def _flush_or_discard(self) -> None:
        if not self.closed:
            with self.buffer._discarding():  # noqa: SLF001 - the two classes work as one
                self.flush()
