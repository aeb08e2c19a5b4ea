"""The contract of writing one object: it appears atomically, or not at all."""

from __future__ import annotations

import gc
import hashlib
import io
import os
import signal
from typing import TYPE_CHECKING

import pytest

import connectors
from connectors.errors import ObjectExists
from connectors.testing.tools import (
    KEY,
    MIB,
    ODD_NAMES,
    SIZES,
    Contract,
    can_create,
    can_replace,
    dataset,
    in_child,
    lay_down,
    plain,
)

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.testing.store import Store

__all__ = ["WritingContract"]


def write_and_die(given: connectors.Dataset) -> None:
    """Write a lot of data, and be killed before the end."""
    file = given.open("wb")
    file.write(plain(20 * MIB))
    os.kill(os.getpid(), signal.SIGKILL)


class WritingContract(Contract):
    """The contract of writing one object: it appears atomically, or not at all.

    Attributes:
        big: plain size of an object that is larger than any part the backend sends at once.
    """

    big = 40 * MIB + 1

    @pytest.mark.parametrize("size", SIZES)
    def test_written_objects_are_stored_sealed(self, store: Store, name: str, size: int) -> None:
        dataset(store.connection(name, write=True)).write_bytes(plain(size))
        stored = store.get(name)
        assert stored is not None
        with connectors.open_reader(io.BytesIO(stored), KEY, format="cobblestone-256") as file:
            assert file.read() == plain(size)
        assert plain(size)[:32] not in stored or size < 32

    def test_large_object_is_written_and_read_back(self, store: Store, name: str) -> None:
        told, piece = hashlib.sha256(), plain(MIB)
        with dataset(store.connection(name, write=True)).open("wb") as file:
            for start in range(0, self.big, MIB):
                data = piece[: self.big - start]
                file.write(data)
                told.update(data)
        read = hashlib.sha256()
        with dataset(store.connection(name)).open() as file:
            while data := file.read(MIB):
                read.update(data)
        assert read.digest() == told.digest()
        assert store.unfinished() == []

    def test_second_write_replaces_the_first(self, store: Store, name: str) -> None:
        if not can_replace(store.connection(name, write=True)):
            return
        given = dataset(store.connection(name, write=True))
        given.write_bytes(b"first, and longer")
        given.write_bytes(b"second")
        assert dataset(store.connection(name)).read_bytes() == b"second"

    def test_object_appears_only_when_closed(self, store: Store, name: str) -> None:
        with dataset(store.connection(name, write=True)).open("wb") as file:
            file.write(plain(3 * MIB))
            assert store.get(name) is None
        assert store.get(name) is not None

    @pytest.mark.parametrize("size", [10, 40 * MIB])
    def test_failed_write_keeps_the_previous_object(self, store: Store, name: str, size: int) -> None:
        if not can_replace(store.connection(name, write=True)):
            return
        store.put(name, b"what stood there")
        with pytest.raises(ZeroDivisionError), dataset(store.connection(name, write=True)).open("wb") as file:
            for _ in range(0, size, MIB):
                file.write(plain(min(size, MIB)))
            1 / 0  # noqa: B018
        assert store.get(name) == b"what stood there"
        assert store.unfinished() == []

    def test_failed_write_creates_no_object(self, store: Store, name: str) -> None:
        with pytest.raises(ZeroDivisionError), dataset(store.connection(name, write=True)).open("wb") as file:
            file.write(plain(100))
            1 / 0  # noqa: B018
        assert store.get(name) is None
        assert store.unfinished() == []

    def test_dropped_writer_writes_nothing(self, store: Store, name: str) -> None:
        if not can_replace(store.connection(name, write=True)):
            return
        store.put(name, b"what stood there")
        file = dataset(store.connection(name, write=True)).open("wb")
        file.write(plain(20 * MIB))
        with pytest.warns(ResourceWarning, match="never closed"):
            del file
            gc.collect()
        assert store.get(name) == b"what stood there"
        assert store.unfinished() == []

    def test_killed_process_keeps_the_previous_object(self, store: Store, name: str, tmp_path: Path) -> None:
        if not can_replace(store.connection(name, write=True)):
            return
        store.put(name, b"what stood there")
        given = lay_down(tmp_path, store.connection(name, write=True), port="output")
        with pytest.raises(AssertionError, match="the child died"):
            in_child("spawn", write_and_die, given)
        assert store.get(name) == b"what stood there"

    def test_exclusive_creation_replaces_nothing(self, store: Store, name: str) -> None:
        if not can_create(store.connection(name, write=True)):
            return
        given = dataset(store.connection(name, write=True))
        with given.open("xb") as file:
            file.write(b"first")
        with pytest.raises(ObjectExists), given.open("xb") as file:
            file.write(b"second")
        assert dataset(store.connection(name)).read_bytes() == b"first"
        assert store.unfinished() == []

    def test_of_two_exclusive_writers_one_succeeds(self, store: Store, name: str) -> None:
        if not can_create(store.connection(name, write=True)):
            return
        given = dataset(store.connection(name, write=True))
        first, second = given.open("xb"), given.open("xb")
        first.write(b"first")
        second.write(b"second")
        first.close()
        with pytest.raises(ObjectExists):
            second.close()
        assert dataset(store.connection(name)).read_bytes() == b"first"
        assert store.unfinished() == []

    def test_plain_datasets_are_stored_as_they_are(self, store: Store, name: str) -> None:
        dataset(store.connection(name, write=True), key=None).write_bytes(b"37.2")
        assert store.get(name) == b"37.2"
        assert dataset(store.connection(name), key=None).read_bytes() == b"37.2"

    @pytest.mark.parametrize("odd", ODD_NAMES)
    def test_special_characters_in_names(self, store: Store, name: str, odd: str) -> None:
        whole = f"{name}/{odd}"
        dataset(store.connection(whole, write=True)).write_bytes(odd.encode())
        assert store.get(whole) is not None
        assert dataset(store.connection(whole)).read_bytes() == odd.encode()
