"""A sink in memory, for the tests of writers."""

from __future__ import annotations

from sealing import COBBLESTONE, Case

from connectors.errors import StorageError

__all__ = ["Staged", "Trouble", "published"]


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


def published(sink: Staged, case: Case = COBBLESTONE) -> bytes:
    assert sink.calls.count("commit") == 1
    assert sink.calls[-1] == "commit"
    return case.unseal(sink.object)
