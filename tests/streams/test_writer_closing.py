"""Files that others close, and files that nobody refers to: an object appears only if nothing went wrong."""

from __future__ import annotations

import contextlib
import gc
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sealing import COBBLESTONE
from staged import Staged, Trouble, published

from connectors.streams import SealedText, SealedWriter


class TestClosedByOthers:
    """Code that closes its files in a `finally`, as fsspec and pandas do, closes them just so when an error passes."""

    def test_close_raises_the_passing_error_again_and_says_why(self, sink: Staged, writer: SealedWriter) -> None:
        error = Trouble("half way")
        with pytest.raises(Trouble) as caught:
            try:
                writer.write(b"half")
                raise error
            finally:
                writer.close()
        assert caught.value is error
        assert error.__context__ is None
        assert error.__notes__[0].startswith("output/result was not written: its file was closed while")
        assert sink.stands

    def test_an_error_that_the_library_swallows_does_not_publish(self, sink: Staged, writer: SealedWriter) -> None:
        with pytest.raises(Trouble):
            try:
                raise Trouble
            except Trouble:
                writer.close()
        assert sink.stands

    def test_text_closed_while_an_error_passes(self, sink: Staged) -> None:
        for make in (SealedText, io.TextIOWrapper):
            text = make(SealedWriter(sink, COBBLESTONE.codec()), "utf-8")
            with pytest.raises(Trouble):
                try:
                    text.write("half")
                    raise Trouble
                finally:
                    text.close()
            assert text.closed
            assert sink.stands

    def test_exit_stack_and_closing(self, sink: Staged, writer: SealedWriter) -> None:
        with pytest.raises(Trouble), contextlib.closing(writer):
            raise Trouble
        assert sink.stands

    def test_commit_publishes_from_inside_an_except_block(self, sink: Staged, writer: SealedWriter) -> None:
        try:
            raise Trouble
        except Trouble:
            writer.write(b"report")
            writer.commit()
        assert published(sink) == b"report"

    def test_a_file_opened_and_closed_inside_an_except_block_is_published(self, sink: Staged) -> None:
        try:
            raise Trouble
        except Trouble:
            writer = SealedWriter(sink, COBBLESTONE.codec())
            writer.write(b"report")
            writer.close()
        assert published(sink) == b"report"

    def test_with_inside_an_except_block_is_published(self, sink: Staged) -> None:
        try:
            raise Trouble
        except Trouble:
            with SealedWriter(sink, COBBLESTONE.codec()) as writer:
                writer.write(b"report")
        assert published(sink) == b"report"

    def test_a_bare_raise_ends_the_block_of_a_library_that_only_closes(self, sink: Staged) -> None:
        with pytest.raises(Trouble):
            try:
                raise Trouble
            except Trouble:
                with contextlib.closing(SealedWriter(sink, COBBLESTONE.codec())) as writer:
                    writer.write(b"half")
                    raise
        assert sink.stands

    def test_a_report_that_is_written_while_another_block_is_left_is_published(self, sink: Staged) -> None:
        class Reporting:
            def __enter__(self) -> None: ...

            def __exit__(self, kind: object, error: object, trace: object) -> None:
                with contextlib.closing(SealedWriter(sink, COBBLESTONE.codec())) as writer:
                    writer.write(f"failed: {error!r}".encode())

        with pytest.raises(Trouble), Reporting():
            raise Trouble
        assert published(sink) == b"failed: Trouble()"

    def test_a_generator_that_is_dropped_half_way(self, sink: Staged) -> None:
        def rows() -> Iterator[int]:
            with SealedWriter(sink, COBBLESTONE.codec()) as writer:
                for number in range(10):
                    writer.write(b"row\n")
                    yield number

        generator = rows()
        next(generator)
        generator.close()
        assert sink.calls[-1] == "discard"
        assert sink.stands


DROPPED: dict[str, Callable[[SealedWriter], Any]] = {
    "writer": lambda writer: writer,
    "sealed-text": lambda writer: SealedText(writer, "utf-8"),
    "plain-text": lambda writer: io.TextIOWrapper(writer, "utf-8"),
    "unflushed-text": lambda writer: io.TextIOWrapper(writer, "utf-8", write_through=False),
}


class TestDropped:
    @pytest.mark.parametrize("wrap", DROPPED.values(), ids=DROPPED)
    def test_a_file_that_nobody_refers_to_is_discarded_with_a_warning(
        self, wrap: Callable[[SealedWriter], Any], sink: Staged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Where the warning is an error it cannot leave a finalizer, and is printed instead.
        file = wrap(SealedWriter(sink, COBBLESTONE.codec(), name="output/result"))
        file.write("half" if isinstance(file, io.TextIOBase) else b"half")
        with pytest.warns(ResourceWarning, match="output/result was never closed, so it was not written"):
            del file
            gc.collect()
        assert sink.calls[-1] == "discard"
        assert sink.stands

    @pytest.mark.parametrize("wrap", DROPPED.values(), ids=DROPPED)
    def test_in_a_cycle_too(self, wrap: Callable[[SealedWriter], Any], sink: Staged) -> None:
        file = wrap(SealedWriter(sink, COBBLESTONE.codec()))
        file.write("half" if isinstance(file, io.TextIOBase) else b"half")
        holder: list[Any] = [file]
        holder.append(holder)
        with pytest.warns(ResourceWarning, match="never closed"):
            del file, holder
            gc.collect()
        assert sink.stands

    def test_a_published_file_is_dropped_in_silence(self, sink: Staged) -> None:
        for wrap in DROPPED.values():
            file = wrap(SealedWriter(sink, COBBLESTONE.codec()))
            file.close()
            del file
            gc.collect()
        assert sink.calls.count("discard") == 0
