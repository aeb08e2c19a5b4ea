"""A file to write plain bytes to, which appears sealed, whole and only when it is closed in good order."""

from __future__ import annotations

import io
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Self

from connectors.errors import ConnectorError, naming

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from _typeshed import ReadableBuffer

    from connectors.formats import Format
    from connectors.streams.sinks import Sink

__all__ = ["SealedText", "SealedWriter"]

RUN_SIZE = 1 << 20
"""About how many plain bytes are sealed at once."""

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
    """

    def __init__(self, sink: Sink, codec: Format, *, name: str | None = None, autocommit: bool = True) -> None:
        self._state: State = "discarded"  # until there is something to discard
        super().__init__()
        self._dataset = name
        self._autocommit = autocommit
        self._sink = sink
        self._pending = bytearray()
        self._position = 0
        self._broken = False
        self._handled = sys.exception()
        self._state = "open"
        with self._discarding():
            self._sealer = codec.sealer()
            self._out = memoryview(bytearray(self._sealer.sealed_bound(2 * RUN_SIZE + self._sealer.layout.chunk)))
            with naming(name):
                sink.write(memoryview(self._sealer.header))

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
        # `_broken` holds from the first byte that may not have arrived: such an object must never be committed.
        self._broken, was_broken = True, self._broken
        with naming(self._dataset):
            for start in range(0, len(view), RUN_SIZE):
                self._pending += view[start : start + RUN_SIZE]
                self._position += min(RUN_SIZE, len(view) - start)
                if len(self._pending) > RUN_SIZE:
                    self._seal_whole_chunks()
        self._broken = was_broken
        return len(view)

    def _seal_whole_chunks(self) -> None:
        """Seal the pending chunks, all but the last one: only the end of the message tells how it is sealed."""
        layout = self._sealer.layout
        sealed = self._sealer.sealed
        size = layout.plain_start(layout.index(sealed + len(self._pending) - 1)) - sealed
        if size > 0:
            self._seal(size, final=False)

    def _seal(self, size: int, *, final: bool) -> None:
        with memoryview(self._pending) as plain:
            done = self._sealer.seal(plain[:size], self._out, final=final)
        del self._pending[:size]
        self._sink.write(self._out[:done])

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
                with self._discarding():
                    self._sink.commit()
                self._state = "committed"

    def _finish(self) -> None:
        """Seal and send the end."""
        if self._broken:
            self.discard()
            message = "an earlier write failed, so nothing was written: the object stands as it did"
            raise ConnectorError(message)
        with self._discarding():
            self._seal(len(self._pending), final=True)
        self._state = "finished"
        self._handled = None

    def discard(self) -> None:
        """Close without publishing: what stood there stands."""
        if self._state in ("open", "finished"):
            self._state = "discarded"
            self._pending = bytearray()
            self._handled = None
            with naming(self._dataset):
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
            error.add_note(f"What was staged for it could not be removed: {type(failure).__name__}{told}")

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
