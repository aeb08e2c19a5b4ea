"""The contract of reading one object."""

from __future__ import annotations

import io
import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from connectors.errors import IntegrityError, ObjectChanged, ObjectNotFound
from connectors.testing.tools import CHUNK, OTHER_KEY, SIZES, Contract, dataset, plain, sealed

if TYPE_CHECKING:
    from connectors.testing.store import Store

__all__ = ["ReadingContract"]


class ReadingContract(Contract):
    """The contract of reading one object, also from a malicious storage."""

    @pytest.mark.parametrize("size", SIZES)
    def test_sealed_object_decrypts_to_its_plain_bytes(self, store: Store, name: str, size: int) -> None:
        store.put(name, sealed(plain(size)))
        given = dataset(store.connection(name))
        assert given.read_bytes() == plain(size)
        with given.open() as file:
            assert file.seek(0, os.SEEK_END) == size

    def test_seek_and_read_behave_like_a_file(self, store: Store, name: str) -> None:
        data = plain(20 * CHUNK + 5)
        store.put(name, sealed(data))
        model, chance = io.BytesIO(data), random.Random(1)  # noqa: S311
        with dataset(store.connection(name)).open() as file:
            for _ in range(60):
                offset, size = chance.randrange(len(data) + CHUNK), chance.choice([0, 1, 100, CHUNK, 3 * CHUNK])
                assert file.seek(offset) == model.seek(offset)
                assert file.read(size) == model.read(size)
                assert file.tell() == model.tell()

    def test_text_mode_reads_lines(self, store: Store, name: str) -> None:
        store.put(name, sealed("Größe\n".encode() * 5000))
        with dataset(store.connection(name)).open("rt") as file:
            assert sum(line == "Größe\n" for line in file) == 5000

    def test_filesystem_has_plain_sizes_and_ranges(self, store: Store, name: str) -> None:
        data = plain(5 * CHUNK)
        store.put(name, sealed(data))
        fs, path = dataset(store.connection(name), format="cobblestone-256").filesystem()
        assert fs.info(path)["size"] == fs.size(path) == len(data)
        assert fs.isfile(path)
        assert fs.exists(path)
        assert fs.cat_file(path, 100, 2 * CHUNK) == data[100 : 2 * CHUNK]
        assert fs.head(path, 100) == data[:100]
        assert fs.tail(path, CHUNK + 1) == data[-CHUNK - 1 :]
        assert fs.tail(path, len(data) + 1) == data
        starts, ends = [0, 3 * CHUNK, -5], [10, 4 * CHUNK, None]
        assert fs.cat_ranges([path] * 3, starts, ends) == [data[a:b] for a, b in zip(starts, ends, strict=True)]

    def test_many_readers_do_not_disturb_each_other(self, store: Store, name: str) -> None:
        data = plain(40 * CHUNK)
        store.put(name, sealed(data))
        given = dataset(store.connection(name))

        def read(seed: int) -> bool:
            chance = random.Random(seed)  # noqa: S311
            with given.open() as file:
                for _ in range(10):
                    offset = chance.randrange(len(data))
                    file.seek(offset)
                    if file.read(2 * CHUNK) != data[offset : offset + 2 * CHUNK]:
                        return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(16)))

    def test_missing_object_raises_object_not_found(self, store: Store, name: str) -> None:
        given = dataset(store.connection(name))
        with pytest.raises(ObjectNotFound):
            given.open()
        fs, path = given.filesystem()
        with pytest.raises(FileNotFoundError):
            fs.info(path)
        assert not fs.exists(path)

    # Nothing that the storage reports is trusted.

    @pytest.mark.parametrize("place", ["head", "middle", "end"])
    def test_modified_byte_is_detected(self, store: Store, name: str, place: str) -> None:
        data = bytearray(sealed(plain(9 * CHUNK)))
        data[{"head": 3, "middle": len(data) // 2, "end": -1}[place]] ^= 1
        store.put(name, bytes(data))
        with pytest.raises(IntegrityError):
            dataset(store.connection(name), format="cobblestone-256").read_bytes()

    @pytest.mark.parametrize("kept", [0, 10, 56, 56 + CHUNK + 16, -1])
    def test_truncated_object_is_detected(self, store: Store, name: str, kept: int) -> None:
        store.put(name, sealed(plain(3 * CHUNK))[:kept])
        with pytest.raises(IntegrityError):
            dataset(store.connection(name), format="cobblestone-256").read_bytes()

    def test_wrong_key_is_an_integrity_error(self, store: Store, name: str) -> None:
        store.put(name, sealed(plain(100)))
        with pytest.raises(IntegrityError):
            dataset(store.connection(name), key=OTHER_KEY).read_bytes()

    def test_object_replaced_during_a_read_returns_no_foreign_byte(self, store: Store, name: str) -> None:
        data, other = plain(600 * CHUNK), plain(600 * CHUNK, seed=1)
        store.put(name, sealed(data))
        with dataset(store.connection(name)).open() as file:
            assert file.read(CHUNK) == data[:CHUNK]
            store.put(name, sealed(other))
            file.seek(300 * CHUNK)
            try:
                later = file.read(CHUNK)
            except (ObjectChanged, IntegrityError):
                later = data[300 * CHUNK : 301 * CHUNK]
        assert later == data[300 * CHUNK : 301 * CHUNK]
