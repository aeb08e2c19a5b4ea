"""Writing behind: large objects are written by a thread, while the next run is sealed."""

from __future__ import annotations

import contextlib
import io
import os
import random
import threading
from typing import Any

import pytest
from patience import PATIENCE
from sealing import CASES, COBBLESTONE, Case, plain_bytes
from staged import Staged, published

from connectors.errors import ConnectorError
from connectors.streams import FileSink, SealedWriter


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
