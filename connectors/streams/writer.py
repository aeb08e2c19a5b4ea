"""A file to write plain bytes to, which appears sealed, whole and only when it is closed in good order."""

from __future__ import annotations

import io
import os
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NoReturn, Self

from connectors.errors import ConnectorError, naming
from connectors.streams.background import BackgroundWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from _typeshed import ReadableBuffer

    from connectors.formats import Format
    from connectors.streams.sinks import Sink

__all__ = ["SealedText", "SealedWriter"]

RUN_SIZE = 1 << 20
"""Plain bytes that are sealed at once, unless a chunk has more."""

State = Literal["open", "finished", "committed", "discarded"]


class SealedWriter(io.BufferedIOBase):
    """Plain bytes in, one sealed object out.

    The object appears when the file is closed: by `close`, or at the end of a ``with`` block that did not raise. A
    block that raises, a writer that is dropped unclosed, a process that dies: nothing appears, and what stood there
    stands. Code that closes its files while an error passes through it (`fsspec.open` and pandas do) tells them apart
    from a success by nothing, so `close` looks itself: if an exception is being handled that was not when the file was
    opened, the object is discarded and that exception raised again. To publish from inside an ``except`` block, call
    `commit`.

    Args:
        sink: where the sealed bytes go.
        codec: the format, with its key.
        name: what errors call the object, ``port/object`` for one.
        autocommit: False leaves the object unpublished when it is closed, for a transaction to `commit` or `discard`.
        committed: is told the plain size and the pin of the object once it has appeared.
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
        # None until there is a run to seal: what a small object comes to is known when it is finished.
        self._out: memoryview | None = None
        self._filled = 0
        self._position = 0
        self._broken = False
        self._handled = sys.exception()
        self._process = os.getpid()
        self._state = "open"
        with self._discarding():
            self._encryptor = codec.encryptor()
            self._run = max(RUN_SIZE, self._encryptor.layout.chunk)

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return how many plain bytes were written."""
        return self._position

    @property
    def closed(self) -> bool:
        """True once closed, committed or discarded."""
        return self._state != "open"

    def write(self, data: ReadableBuffer, /) -> int:
        """Seal and send `data` as it comes; return how many bytes that is."""
        self._check_open()
        view = memoryview(data).cast("B")
        with naming(self._dataset):
            self._check_process()
            self._check_whole()
            # It holds from the first byte that may not have arrived: such an object must never be committed.
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
        """Seal whole runs of what is pending and of `view`, straight from there; the rest is pending then."""
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
        """Seal the whole chunks of `view`; return how many bytes they have.

        A chunk that nothing follows yet is not sealed: only the end of the message tells how.
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
        """Publish the object now, whatever is going on around.

        Raises:
            ValueError: it was discarded.
        """
        if self._state == "discarded":
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
        """Seal and send the end."""
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
        """Close without publishing: what stood there stands. A forked child leaves what its parent has staged alone."""
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
        """Discard if the block raises; it is the block's error that leaves."""
        try:
            yield
        except BaseException as error:
            self._discard_for(error)
            raise

    def _discard_for(self, error: BaseException) -> None:
        """Discard because of `error`, which a failure to discard must not hide."""
        try:
            self.discard()
        except Exception as failure:  # noqa: BLE001 - told in a note
            # Only our own errors are known to hold no secret.
            told = f": {failure}" if isinstance(failure, ConnectorError) else ""
            error.add_note(f"Its staged data could not be removed: {type(failure).__name__}{told}")

    def close(self) -> None:
        """Publish the object, unless an error is passing through."""
        if self._state != "open":
            return
        passing = sys.exception()
        if passing is not None and passing is not self._handled:
            self._discard_for(passing)
            passing.add_note(
                f"{self._dataset or 'The object'} was not written: its file was closed while this error was being "
                "handled. Call commit() to publish from inside an except block."
            )
            raise passing
        self._close_in_good_order()

    def _close_in_good_order(self) -> None:
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
            self._close_in_good_order()

    def __del__(self) -> None:
        # Also what a text file over this one leaves behind; `io` would close, and so publish.
        if self._state == "open":
            self._dealloc_warn(self)

    def _dealloc_warn(self, source: object) -> None:
        """Discard: `io` calls this when it closes a text file over this one because nobody refers to it any more."""
        self.discard()
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


class SealedText(io.TextIOWrapper):
    """Text over a `SealedWriter`, with the same promise."""

    buffer: SealedWriter  # type: ignore[assignment]  # what typeshed calls a wrapped buffer has a name

    def commit(self) -> None:
        """Publish the object now, whatever is going on around."""
        self._flush_or_discard()
        self.buffer.commit()

    def discard(self) -> None:
        """Close without publishing: what stood there stands."""
        self.buffer.discard()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush_or_discard()
        self.buffer.__exit__(kind, error, trace)

    def _flush_or_discard(self) -> None:
        if not self.closed:
            with self.buffer._discarding():  # noqa: SLF001 - the two classes are one promise
                self.flush()
