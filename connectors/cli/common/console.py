"""What reaches the terminal: results on standard output, everything else on standard error, secrets on neither."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TextIO

from connectors.cli.common.exit_codes import OutputClosed, one_line, printable, scrub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from connectors._fsspec import Callback

__all__ = [
    "Stdout",
    "error",
    "flush",
    "give_up_output",
    "note",
    "output_is_closed",
    "progress",
    "say",
    "say_json",
    "stdin",
    "table",
    "write_error",
]


def say(text: str, *, end: str = "\n") -> None:
    """Write a result to standard output."""
    stream = sys.stdout
    if isinstance(getattr(stream, "buffer", None), io.RawIOBase):  # with PYTHONUNBUFFERED, whose text files lose a rest
        Stdout().write((text + end).encode(stream.encoding, stream.errors or "strict"))
    else:
        _guarded(lambda: stream.write(text + end))


def say_json(value: object) -> None:
    """Write a result to standard output as JSON, and nothing but JSON."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def flush() -> None:
    """Make sure that what was said has arrived."""
    _guarded(sys.stdout.flush)


def _guarded(write: Callable[[], object]) -> None:
    try:
        write()
    except BrokenPipeError:
        closed = True
    else:
        closed = False
    if closed:
        raise OutputClosed


def error(message: str, *, kind: str = "error") -> None:
    """Write one line about what went wrong to standard error."""
    write_error(f"connectors: {kind}: {scrub(one_line(message))}\n")


def note(message: str, lines: Iterable[str] = ()) -> None:
    """Tell somebody who sits at a terminal, and show them lines; scripts have asked for nothing but results."""
    if sys.stderr.isatty():
        write_error("".join(f"{line}\n" for line in (one_line(message), *(f"  {printable(line)}" for line in lines))))


def write_error(text: str) -> None:
    """Write to standard error, if anybody listens there."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def output_is_closed() -> bool:
    """Tell whether whoever read standard output has left, where something was written to it without this module."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    # A second write need not fail: what the first one could not send may have been dropped.
    watch = select.poll()
    watch.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))


def give_up_output() -> None:
    """Send what can still be sent; what cannot, Python would try again at its end, and complain in its own words."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write aligned columns; nothing is cut or wrapped, so that what was found can be copied and searched."""
    lines = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def stdin() -> BinaryIO:
    """Return standard input as a binary file."""
    return sys.stdin.buffer


class Stdout(io.RawIOBase):
    """Standard output as a binary file, which tells a reader that left from any other broken pipe."""

    def __init__(self) -> None:
        super().__init__()
        self._stream: TextIO = sys.stdout
        self._left = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Tell whether a person would see the bytes."""
        return self._stream.isatty()

    def write(self, data: Any, /) -> int:
        """Write all of `data`."""
        view = memoryview(data).cast("B")
        size = len(view)
        while view:
            view = view[self._write_some(view) :]
        return size

    def _write_some(self, view: memoryview) -> int:
        """Write what goes out at once: with PYTHONUNBUFFERED there is no buffer that takes the rest."""
        taken: list[int | None] = []
        self._try(lambda: taken.append(self._stream.buffer.write(view)))
        if not taken[0]:
            message = "standard output takes nothing at the moment; it is not in blocking mode"
            raise BlockingIOError(message)
        return taken[0]

    def flush(self) -> None:
        """Send what is buffered."""
        # Python flushes once more when it collects this file, and there is nobody to tell about it then.
        if not self._left:
            self._try(self._stream.buffer.flush)

    def _try(self, write: Callable[[], object]) -> None:
        try:
            _guarded(write)
        except OutputClosed:
            self._left = True
            raise


@contextlib.contextmanager
def progress(description: str, *, of: Literal["bytes", "objects"] = "bytes") -> Iterator[Callback]:
    """Yield an `fsspec.Callback` that draws a progress bar on standard error, if that is a terminal.

    Args:
        description: what is going on, a word or two: "encrypting".
        of: what the callback counts.
    """
    from connectors._fsspec import DEFAULT_CALLBACK  # noqa: PLC0415 - loads fsspec

    if not sys.stderr.isatty():
        yield DEFAULT_CALLBACK
        return
    from connectors.cli.common.progress import bar  # noqa: PLC0415 - loads Rich

    with bar(one_line(description), of) as callback:
        yield callback
