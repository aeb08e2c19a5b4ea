"""The terminal: results on standard output, everything else on standard error, secrets on neither."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import select
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TextIO

from connectors.cli.common.exit_codes import OutputClosed, one_line, scrub
from connectors.names import printable, shows, spaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from connectors._fsspec import Callback

__all__ = [
    "Stdout",
    "columns",
    "error",
    "flush",
    "give_up_output",
    "note",
    "output_is_closed",
    "prepare",
    "print_json",
    "print_line",
    "progress",
    "stdin",
    "table",
    "write_error",
]


_PUNCTUATION = {"…": "...", "—": "-", "→": "->"}


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Return what a terminal without some letters shows in their place, as the handler of an encoding's errors."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_PUNCTUATION.get(letter, ascii(letter)[1:-1]) for letter in letters), error.end


codecs.register_error("connectors-spelled", _spelled)


def prepare() -> None:
    """Make the standard streams write every text, whatever their encoding: missing letters as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="connectors-spelled")


def print_line(text: str, *, end: str = "\n") -> None:
    """Write a result to standard output."""
    stream = sys.stdout
    if isinstance(
        getattr(stream, "buffer", None), io.RawIOBase
    ):  # PYTHONUNBUFFERED: a text file drops what one write leaves over
        Stdout().write((text + end).encode(stream.encoding, stream.errors or "strict"))
    else:
        _guarded(lambda: stream.write(text + end))


def print_json(value: object) -> None:
    """Write a result to standard output as JSON. Whatever a terminal would obey, or cannot show, is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print_line(
        "".join(
            one if one == "\n" or (shows(text, place) and _is_known(one)) else json.dumps(one)[1:-1]
            for place, one in enumerate(text)
        )
    )


def _is_known(letter: str) -> bool:
    """Tell whether standard output's encoding has a letter."""
    try:
        letter.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def flush() -> None:
    """Flush standard output."""
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
    """Write a message, with indented lines below it, if standard error is a terminal. Scripts get results alone."""
    if sys.stderr.isatty():
        write_error("".join(f"{line}\n" for line in (one_line(message), *(f"  {printable(line)}" for line in lines))))


def write_error(text: str) -> None:
    """Write to standard error, if it is open."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def output_is_closed() -> bool:
    """Tell whether the reader of standard output has gone, for output that was written without this module."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    # A second write may succeed: what the first one could not send may have been dropped.
    watch = select.poll()
    watch.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))


def give_up_output() -> None:
    """Flush what can be flushed, and drop the rest: Python would try again at exit and report it in its own words."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write aligned columns. Nothing is cut or wrapped, so that cells can be copied and searched.

    Between columns are at least two spaces; within a cell, never.
    """
    for line in columns([[spaced(printable(cell)) for cell in row] for row in (head, *rows)], indent=""):
        print_line(line)


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Return aligned lines, one for each row."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[-1:] = [0]  # the last cell of one row may be a stranger's text of a MiB
    return [
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def stdin() -> BinaryIO:
    """Return standard input as a binary file."""
    return sys.stdin.buffer


class Stdout(io.RawIOBase):
    """Standard output as a binary file. A reader that has gone raises `OutputClosed`, not `BrokenPipeError`."""

    def __init__(self) -> None:
        super().__init__()
        self._stream: TextIO = sys.stdout
        self._closed = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Tell whether standard output is a terminal."""
        return self._stream.isatty()

    def write(self, data: Any, /) -> int:
        """Write all of `data`."""
        view = memoryview(data).cast("B")
        size = len(view)
        while view:
            view = view[self._write_some(view) :]
        return size

    def _write_some(self, view: memoryview) -> int:
        """Write as much as one call takes: with PYTHONUNBUFFERED no buffer holds the rest."""
        taken: list[int | None] = []
        self._try(lambda: taken.append(self._stream.buffer.write(view)))
        if not taken[0]:
            message = "standard output takes no data now: it is in non-blocking mode"
            raise BlockingIOError(message)
        return taken[0]

    def flush(self) -> None:
        """Flush the buffer."""
        # Python flushes again when it collects this file, and an error then would reach nobody.
        if not self._closed:
            self._try(self._stream.buffer.flush)

    def _try(self, write: Callable[[], object]) -> None:
        try:
            _guarded(write)
        except OutputClosed:
            self._closed = True
            raise


@contextlib.contextmanager
def progress(description: str, *, of: Literal["bytes", "objects"] = "bytes") -> Iterator[Callback]:
    """Yield an `fsspec.Callback` that draws a progress bar on standard error, if that is a terminal.

    Args:
        description: one or two words: "encrypting".
        of: what the callback counts.
    """
    from connectors._fsspec import DEFAULT_CALLBACK  # noqa: PLC0415 - loads fsspec

    if not sys.stderr.isatty():
        yield DEFAULT_CALLBACK
        return
    from connectors.cli.common.progress import bar  # noqa: PLC0415 - loads Rich

    with bar(one_line(description), of) as callback:
        yield callback
