"""An object appears when its file is closed in good order, and in no other case."""

from __future__ import annotations

import contextlib
import io
import sys
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing import AUTO, CASES, COBBLESTONE, GCM, TINK_TINY, Case, boundary_sizes, plain_bytes
from staged import Staged, Trouble, published

import connectors
from connectors.streams import SealedText, SealedWriter


class TestGoodOrder:
    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_what_was_written_is_what_is_read(self, case: Case) -> None:
        for size in boundary_sizes(case.layout):
            sink, plain = Staged(), plain_bytes(size)
            with SealedWriter(sink, case.codec()) as writer:
                for start in range(0, size, 70_001):
                    assert writer.write(plain[start : start + 70_001]) == len(plain[start : start + 70_001])
                assert writer.tell() == size
            assert published(sink, case) == plain

    @pytest.mark.parametrize("case", [COBBLESTONE, GCM, TINK_TINY], ids=str)
    @settings(max_examples=30, deadline=None)
    @given(
        sizes=st.lists(st.integers(0, 50) | st.integers(0, 40_000) | st.integers(1 << 20, (1 << 20) + 2), max_size=8)
    )
    def test_however_it_is_cut_up(self, case: Case, sizes: list[int]) -> None:
        sink, plain = Staged(), plain_bytes(sum(sizes))
        with SealedWriter(sink, case.codec()) as writer:
            start = 0
            for size in sizes:
                writer.write(memoryview(plain)[start : start + size])
                start += size
        assert published(sink, case) == plain

    def test_by_close(self, sink: Staged, writer: SealedWriter) -> None:
        writer.write(b"plain")
        assert sink.stands
        writer.close()
        assert published(sink) == b"plain"

    def test_by_commit_then_nothing_more_happens(self, sink: Staged, writer: SealedWriter) -> None:
        with writer:
            writer.write(b"plain")
            writer.commit()
            writer.commit()
        writer.close()
        writer.discard()
        assert published(sink) == b"plain"

    def test_an_empty_object(self, sink: Staged, writer: SealedWriter) -> None:
        writer.close()
        assert published(sink) == b""

    def test_any_buffer(self, sink: Staged, writer: SealedWriter) -> None:
        with writer:
            assert writer.write(bytearray(b"ab")) == 2
            assert writer.write(memoryview(b"abcdefgh").cast("I")) == 8
            writer.writelines([b"1\n", b"2\n"])
            for wrong in ("text", None, 7):
                with pytest.raises(TypeError):
                    writer.write(wrong)
            with pytest.raises(TypeError):
                writer.write(memoryview(b"abcd")[::2])
        assert published(sink) == b"ababcdefgh1\n2\n"

    def test_memory_is_bounded_and_chunks_go_out_as_they_fill(self, sink: Staged, writer: SealedWriter) -> None:
        for _ in range(64):
            writer.write(bytes(1 << 18))
            assert len(writer._pending) <= 2 << 20
        assert len(sink.staged) > 10 << 20
        writer.discard()

    def test_text(self, sink: Staged) -> None:
        with SealedText(SealedWriter(sink, COBBLESTONE.codec()), "utf-8", newline="\r\n") as text:
            text.write("é\n")
            print("two", file=text)
        assert text.closed
        assert published(sink) == "é\r\ntwo\r\n".encode()


class TestDoubleClose:
    def test_closing_twice_publishes_once(self, sink: Staged, writer: SealedWriter) -> None:
        writer.close()
        writer.close()
        with pytest.raises(ValueError, match="write to a file that is closed"):
            writer.write(b"more")
        assert published(sink) == b""

    def test_a_discarded_file_is_closed_and_cannot_be_published(self, sink: Staged, writer: SealedWriter) -> None:
        writer.discard()
        writer.discard()
        writer.close()
        assert writer.closed
        for method in (lambda: writer.write(b""), writer.commit, writer.__enter__):
            with pytest.raises(ValueError, match="discarded"):
                method()
        assert sink.calls == ["discard"]
        assert sink.stands


class TestErrorsInTheBlock:
    @pytest.mark.parametrize("error", [Trouble(), KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
    def test_a_block_that_raises_publishes_nothing(self, sink: Staged, error: BaseException) -> None:
        with pytest.raises(type(error)) as caught, SealedWriter(sink, COBBLESTONE.codec()) as writer:
            writer.write(bytes(5 << 20))
            raise error
        assert caught.value is error
        assert writer.closed
        assert sink.calls[-1] == "discard"
        assert sink.stands

    def test_text_too(self, sink: Staged) -> None:
        with (
            pytest.raises(Trouble),
            SealedText(SealedWriter(sink, COBBLESTONE.codec()), "utf-8") as text,
        ):
            text.write("half")
            raise Trouble
        assert text.closed
        assert sink.stands

    def test_a_failure_to_discard_does_not_hide_the_error(self) -> None:
        sink = Staged(failing=("discard",))
        with pytest.raises(Trouble) as caught, SealedWriter(sink, COBBLESTONE.codec()):
            raise Trouble
        assert caught.value.__notes__ == ["Its staged data could not be removed: StorageError: no discard either"]

    def test_an_error_handled_inside_the_block_is_over(self, sink: Staged) -> None:
        with SealedWriter(sink, COBBLESTONE.codec()) as writer:
            with contextlib.suppress(Trouble):
                raise Trouble
            writer.write(b"plain")
        assert published(sink) == b"plain"


class TestTransactions:
    """`autocommit=False`: closed is not published."""

    def test_closed_then_committed(self, sink: Staged) -> None:
        writer = SealedWriter(sink, COBBLESTONE.codec(), autocommit=False)
        with writer:
            writer.write(b"plain")
        assert writer.closed
        assert sink.stands
        writer.commit()
        assert published(sink) == b"plain"

    def test_text_closed_then_committed(self, sink: Staged) -> None:
        for leave in (lambda text: text.close(), lambda text: text.__exit__(None, None, None)):
            sink = Staged()
            text = SealedText(SealedWriter(sink, COBBLESTONE.codec(), autocommit=False), "utf-8")
            text.write("plain")
            leave(text)
            assert sink.stands
            text.commit()
            assert published(sink) == b"plain"

    def test_closed_then_discarded(self, sink: Staged) -> None:
        writer = SealedWriter(sink, COBBLESTONE.codec(), autocommit=False)
        writer.close()
        writer.discard()
        assert sink.calls[-1] == "discard"
        assert sink.stands

    def test_closed_while_an_error_passes(self, sink: Staged) -> None:
        writer = SealedWriter(sink, COBBLESTONE.codec(), autocommit=False)
        with pytest.raises(Trouble), contextlib.closing(writer):
            raise Trouble
        assert sink.calls[-1] == "discard"


class TestManners:
    def test_it_says_what_it_can(self, writer: SealedWriter) -> None:
        assert writer.writable()
        assert not writer.readable()
        assert not writer.seekable()
        for method in (lambda: writer.seek(0), writer.read, writer.truncate, writer.fileno, writer.detach):
            with pytest.raises(io.UnsupportedOperation):
                method()
        writer.flush()

    def test_its_repr_shows_state_and_place(self, writer: SealedWriter) -> None:
        writer.write(b"plain")
        assert repr(writer) == "<SealedWriter output/result open at 5>"
        writer.close()
        assert repr(writer) == "<SealedWriter output/result committed at 5>"

    def test_an_exception_that_was_seen_is_not_kept_alive(self, sink: Staged) -> None:
        try:
            raise Trouble
        except Trouble:
            writer = SealedWriter(sink, COBBLESTONE.codec())
        assert isinstance(writer._handled, Trouble)
        writer.close()
        assert writer._handled is None
        assert sys.exception() is None

    def test_the_note_shows_in_a_traceback(self, writer: SealedWriter) -> None:
        with pytest.raises(Trouble) as caught, contextlib.closing(writer):
            raise Trouble
        assert "Call commit() to publish" in "".join(traceback.format_exception(caught.value))


def test_what_auto_writes_is_cobblestone() -> None:
    assert COBBLESTONE.unseal(AUTO.seal(b"plain")) == b"plain"
    assert connectors.open_writer(io.BytesIO(), "00" * 32).__exit__(None, None, None) is None
