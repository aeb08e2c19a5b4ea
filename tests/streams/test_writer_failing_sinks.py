"""Sinks that fail while they are written to, committed or discarded."""

from __future__ import annotations

import io
from typing import Any

import pytest
from sealing import COBBLESTONE, GCM, TINK_TINY
from staged import Staged, Trouble

from connectors.errors import ConnectorError, NotSupported, StorageError
from connectors.formats import Plain
from connectors.streams import SealedText, SealedWriter


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
