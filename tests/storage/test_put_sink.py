"""A sink that spools an object, in memory or in a file, and sends it once."""

from __future__ import annotations

import pytest

from connectors.errors import StorageUnavailable
from connectors.storage import FileBody, PutSink


class Kept(PutSink):
    """Keeps what it sends, each time that it is read."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self._fails = fails

    def send(self, body: FileBody) -> None:
        self.sent += [b"".join(body.blocks()), b"".join(body.blocks())]
        assert body.size == len(self.sent[0])
        if self._fails:
            message = "no response came"
            raise StorageUnavailable(message)


@pytest.mark.parametrize("size", [0, 5, 40 << 20])
def test_an_object_is_sent_on_commit_and_again_for_a_retry(size):
    sink, data = Kept(), bytes(range(256)) * (size // 256) + b"12345"[: size % 256]
    for start in range(0, size, 1 << 20):
        sink.write(memoryview(data)[start : start + (1 << 20)])
    assert sink.sent == []
    assert sink.size == size
    sink.commit()
    assert sink.sent == [data, data]


def test_nothing_is_sent_of_an_object_that_is_discarded():
    sink = Kept()
    sink.write(memoryview(b"one"))
    sink.discard()
    sink.discard()
    assert sink.sent == []


def test_an_object_that_was_not_sent_can_be_discarded():
    sink = Kept(fails=True)
    sink.write(memoryview(b"one"))
    with pytest.raises(StorageUnavailable):
        sink.commit()
    sink.discard()
