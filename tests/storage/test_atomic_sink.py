"""The base of sinks that hold an object back: what its states allow."""

from __future__ import annotations

import array

import pytest
from forked import use

from connectors.errors import StorageUnavailable
from connectors.storage import AtomicSink
from connectors.testing.tools import in_child


class Kept(AtomicSink):
    """Keeps the bytes and counts what becomes of them."""

    def __init__(self, fails: str = "") -> None:
        super().__init__("shelf://room/object")
        self.data = b""
        self.done: list[str] = []
        self._fails = fails

    def _note(self, what: str) -> None:
        self.done.append(what)
        if what == self._fails:
            message = "no"
            raise StorageUnavailable(message)

    def take(self, data: memoryview) -> None:
        self._note("take")
        self.data += data

    def publish(self) -> None:
        self._note("publish")

    def drop(self) -> None:
        self._note("drop")


def test_a_committed_object_is_published_once_and_never_dropped():
    sink = Kept()
    sink.write(memoryview(array.array("H", [0x3130, 0x3332])))
    sink.commit()
    sink.discard()
    assert (sink.data, sink.done) == (b"0123", ["take", "publish"])
    for again in (sink.commit, lambda: sink.write(memoryview(b"x"))):
        with pytest.raises(ValueError, match="shelf://room/object was already committed"):
            again()
    assert repr(sink) == "<Kept shelf://room/object committed>"


def test_a_discarded_object_is_dropped_once_and_never_published():
    sink = Kept()
    sink.discard()
    sink.discard()
    assert sink.done == ["drop"]
    for again in (sink.commit, lambda: sink.write(memoryview(b"x"))):
        with pytest.raises(StorageUnavailable, match="already discarded"):
            again()


@pytest.mark.parametrize("fails", ["take", "publish"])
def test_an_object_that_fails_is_dropped(fails):
    sink = Kept(fails)
    with pytest.raises(StorageUnavailable, match="^no$"):
        sink.write(memoryview(b"x"))
        sink.commit()
    assert sink.done[-2:] == [fails, "drop"]
    with pytest.raises(StorageUnavailable, match="already discarded"):
        sink.write(memoryview(b"x"))


def test_a_forked_child_leaves_the_object_to_its_parent():
    sink = Kept()
    assert "was opened for writing by the parent process" in in_child("fork", use, sink)
    sink.commit()
    assert sink.done == ["publish"]
