"""An object appears when its file is closed in good order, and in no other case."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import random
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import PATIENCE
from sealing import AUTO, CASES, COBBLESTONE, GCM, TINK_TINY, Case, boundary_sizes, plain_bytes

import connectors
from connectors.errors import ConnectorError, NotSupported, StorageError
from connectors.formats import Plain
from connectors.streams import FileSink, SealedText, SealedWriter


class Trouble(Exception):
    pass


class Staged:
    """A sink in memory that keeps account of its life, and fails when told to."""

    def __init__(self, *, failing_write: int | None = None, failing: tuple[str, ...] = ()) -> None:
        self.staged = bytearray()
        self.object: bytes | None = b"what stood there"
        self.calls: list[str] = []
        self._failing_write = failing_write
        self._failing = failing

    def write(self, data: memoryview) -> None:
        self.calls.append("write")
        if self.calls.count("write") == self._failing_write:
            raise Trouble("the disk is full")
        self.staged += data
        if data and not data.readonly:
            data[:1] = b"\0"  # the buffer is the writer's again: it must not mind

    def commit(self) -> None:
        self.calls.append("commit")
        if "commit" in self._failing:
            raise Trouble("no commit")
        self.object = bytes(self.staged)

    def discard(self) -> None:
        self.calls.append("discard")
        if "discard" in self._failing:
            raise StorageError("no discard either")

    @property
    def stands(self) -> bool:
        return self.object == b"what stood there" and "commit" not in self.calls


@pytest.fixture
def sink() -> Staged:
    return Staged()


@pytest.fixture
def writer(sink: Staged) -> Iterator[SealedWriter]:
    writer = SealedWriter(sink, COBBLESTONE.codec(), name="output/result")
    yield writer
    writer.discard()


def published(sink: Staged, case: Case = COBBLESTONE) -> bytes:
    assert sink.calls.count("commit") == 1
    assert sink.calls[-1] == "commit"
    return case.unseal(sink.object)


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


class TestFailingSinks:
    @pytest.mark.parametrize("nth", [1, 2, 3, 4])
    def test_a_failed_write_is_never_followed_by_a_commit(self, nth: int) -> None:
        sink = Staged(failing_write=nth)
        with pytest.raises(Trouble), SealedWriter(sink, COBBLESTONE.codec()) as writer:
            for _ in range(5):
                writer.write(bytes(1 << 20))
        assert sink.calls.count("write") == nth
        assert sink.calls[-1] == "discard"
        assert sink.stands

    @pytest.mark.parametrize("finish", ["close", "commit", "exit"])
    def test_not_even_if_the_failure_is_swallowed_and_more_is_written(self, finish: str) -> None:
        sink = Staged(failing_write=2)
        writer = SealedWriter(sink, COBBLESTONE.codec(), name="output/result")
        with pytest.raises(Trouble):
            for _ in range(9):
                writer.write(bytes(1 << 20))
        for again in (lambda: writer.write(b"more"), lambda: writer.write(bytes(9 << 20))):
            with pytest.raises(ConnectorError, match="output/result: an earlier write failed, so nothing was written"):
                again()
        with pytest.raises(ConnectorError, match="output/result: an earlier write failed, so nothing was written"):
            writer.__exit__(None, None, None) if finish == "exit" else getattr(writer, finish)()
        assert writer.closed
        assert sink.calls[-1] == "discard"
        assert sink.stands

    @pytest.mark.parametrize("make", [SealedText, io.TextIOWrapper])
    def test_text_whose_last_flush_fails(self, make: type[io.TextIOWrapper]) -> None:
        sink = Staged(failing_write=2)
        text = make(SealedWriter(sink, TINK_TINY.codec()), "utf-8")
        text._CHUNK_SIZE = 1 << 24
        text.write("x" * (3 << 20))
        with pytest.raises((Trouble, ConnectorError)):
            text.close()
        assert text.closed
        assert sink.calls[-1] == "discard"
        assert sink.stands

    @pytest.mark.parametrize("finish", ["exit", "commit"])
    def test_sealed_text_whose_last_flush_fails_is_discarded_at_once(self, finish: str) -> None:
        sink = Staged(failing_write=2)
        text = SealedText(SealedWriter(sink, TINK_TINY.codec()), "utf-8")
        text._CHUNK_SIZE = 1 << 24
        text.write("x" * (3 << 20))
        with pytest.raises(Trouble):
            text.__exit__(None, None, None) if finish == "exit" else text.commit()
        assert sink.calls[-1] == "discard"
        assert sink.stands

    def test_a_failed_commit_is_discarded(self) -> None:
        sink = Staged(failing=("commit", "discard"))
        writer = SealedWriter(sink, COBBLESTONE.codec())
        with pytest.raises(Trouble, match="no commit") as caught:
            writer.close()
        assert caught.value.__notes__
        assert sink.calls[-1] == "discard"
        assert writer.closed
        with pytest.raises(ValueError, match="discarded"):
            writer.commit()

    def test_a_sealer_that_cannot_be_made_leaves_nothing_staged(self, sink: Staged) -> None:
        class Broken(Plain):
            def encryptor(self) -> Any:
                raise Trouble

        with pytest.raises(Trouble):
            SealedWriter(sink, Broken())
        assert sink.calls == ["discard"]

    def test_a_message_over_its_format_s_limit_is_discarded(self, sink: Staged) -> None:
        writer = SealedWriter(sink, GCM.codec(), name="output/result")
        writer._encryptor.sealed = writer._encryptor.layout.max_plain // (1 << 18) * (1 << 18)
        writer._encryptor._next = writer._encryptor.layout.index(writer._encryptor.sealed)
        with pytest.raises(NotSupported, match="output/result: this format holds at most"), writer:
            writer.write(bytes(2 << 20))
        assert sink.stands

    def test_our_errors_are_named(self) -> None:
        class Refusing(Staged):
            def write(self, data: memoryview) -> None:
                raise StorageError("no more room")

        for size in (0, 2 << 20, 9 << 20):
            with pytest.raises(StorageError) as caught:
                with SealedWriter(Refusing(), COBBLESTONE.codec(), name="output/result") as writer:
                    writer.write(bytes(size))
            assert str(caught.value) == "output/result: no more room"


class Busy(Staged):
    """A sink whose writes take until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def write(self, data: memoryview) -> None:
        self.begun.set()
        assert self.go.wait(PATIENCE)
        super().write(data)


class TestBehind:
    """Large objects are written by a thread, while the next run is sealed."""

    def test_sealing_goes_on_while_the_sink_is_busy_but_not_far(self) -> None:
        sink = Busy()
        with SealedWriter(sink, COBBLESTONE.codec()) as writer:
            writer.write(plain_bytes(3 << 20))
            assert sink.begun.wait(PATIENCE)
            assert sink.calls == []
            ahead = threading.Thread(target=writer.write, args=(plain_bytes(9 << 20),))
            ahead.start()
            ahead.join(0.2)
            assert ahead.is_alive()
            assert writer._encryptor.sealed <= 7 << 20
            sink.go.set()
            ahead.join()
        assert published(sink) == plain_bytes(3 << 20) + plain_bytes(9 << 20)

    def test_a_discard_waits_for_what_is_being_written_and_drops_the_rest(self) -> None:
        sink = Busy()
        writer = SealedWriter(sink, COBBLESTONE.codec())
        writer.write(bytes(3 << 20))
        assert sink.begun.wait(PATIENCE)
        timer = threading.Timer(0.1, sink.go.set)
        timer.start()
        writer.discard()
        assert sink.calls == ["write", "discard"]
        timer.join()

    def test_a_small_object_is_written_at_once_and_without_a_thread(self, sink: Staged, writer: SealedWriter) -> None:
        with writer:
            writer.write(plain_bytes(1 << 20))
            assert writer._background._thread is None
        assert sink.calls == ["write", "commit"]
        assert published(sink) == plain_bytes(1 << 20)

    def test_somebodys_own_file_is_written_to_by_whoever_writes(self) -> None:
        threads = set()

        class Bound(io.BytesIO):
            def write(self, data: Any) -> int:
                threads.add(threading.current_thread())
                return super().write(data)

        file = Bound()
        with SealedWriter(FileSink(file), COBBLESTONE.codec()) as writer:
            writer.write(plain_bytes(9 << 20))
        assert threads == {threading.current_thread()}
        assert COBBLESTONE.unseal(file.getvalue()) == plain_bytes(9 << 20)

    def test_a_forked_child_is_told_and_the_parent_goes_on(self, sink: Staged, writer: SealedWriter) -> None:
        writer.write(plain_bytes(3 << 20))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with contextlib.suppress(ConnectorError):
                    writer.write(bytes(3 << 20))
                    code = 2
                writer.discard()
                code = code - 1
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        writer.close()
        assert published(sink) == plain_bytes(3 << 20)

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_writes_of_any_size_make_the_same_object(self, case: Case) -> None:
        plain = plain_bytes(5 << 20)
        chance = random.Random(str(case))
        sink = Staged()
        with SealedWriter(sink, case.codec()) as writer:
            start = 0
            while start < len(plain):
                size = chance.choice([1, 57, 16384, 100_000, 1 << 20, (1 << 20) + 1, 3 << 20])
                writer.write(plain[start : start + size])
                start += size
                assert writer.tell() == min(start, len(plain))
        assert published(sink, case) == plain


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
