"""What every backend promises of single objects, as tests."""

from __future__ import annotations

import gc
import hashlib
import io
import os
import pickle
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import connectors
from connectors.errors import (
    AccessDenied,
    CredentialsExpired,
    IntegrityError,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StorageError,
)
from connectors.testing.tools import (
    CHUNK,
    KEY,
    ODD_NAMES,
    Contract,
    Heard,
    dataset,
    everything_about,
    in_child,
    lay_down,
    leaks,
    plain,
    sealed,
)

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.testing.store import Store

__all__ = ["BackendContract"]

MIB = 1 << 20
OTHER_KEY = "0ff1ce" * 10 + "4321"
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 7 * CHUNK // 2, 3 * MIB + 17]


def read_all(*given: connectors.Dataset) -> list[bytes]:
    """Return datasets' bytes; at a module's top, so that it can be sent to another process."""
    return [one.read_bytes() for one in given]


def write_and_die(given: connectors.Dataset) -> None:
    """Write much, and be killed before the end."""
    file = given.open("wb")
    file.write(plain(20 * MIB))
    os.kill(os.getpid(), signal.SIGKILL)


class BackendContract(Contract):
    """What every backend promises of single objects. A subclass gives the fixture `store`.

    Attributes:
        big: plain bytes of the object that is to be larger than any part the backend sends at once.
    """

    big = 40 * MIB + 1

    # Reading.

    @pytest.mark.parametrize("size", SIZES)
    def test_what_its_owner_sealed_reads_as_it_was(self, store: Store, name: str, size: int) -> None:
        store.put(name, sealed(plain(size)))
        given = dataset(store.connection(name))
        assert given.read_bytes() == plain(size)
        with given.open() as file:
            assert file.seek(0, os.SEEK_END) == size

    def test_ranges_and_seeks_are_those_of_a_file(self, store: Store, name: str) -> None:
        data = plain(20 * CHUNK + 5)
        store.put(name, sealed(data))
        model, chance = io.BytesIO(data), random.Random(1)  # noqa: S311
        with dataset(store.connection(name)).open() as file:
            for _ in range(60):
                offset, size = chance.randrange(len(data) + CHUNK), chance.choice([0, 1, 100, CHUNK, 3 * CHUNK])
                assert file.seek(offset) == model.seek(offset)
                assert file.read(size) == model.read(size)
                assert file.tell() == model.tell()

    def test_text_comes_line_by_line(self, store: Store, name: str) -> None:
        store.put(name, sealed("Größe\n".encode() * 5000))
        with dataset(store.connection(name)).open("rt") as file:
            assert sum(line == "Größe\n" for line in file) == 5000

    def test_the_filesystem_tells_plain_sizes_and_gives_ranges(self, store: Store, name: str) -> None:
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

    def test_what_is_not_there_is_not_found(self, store: Store, name: str) -> None:
        given = dataset(store.connection(name))
        with pytest.raises(ObjectNotFound):
            given.open()
        fs, path = given.filesystem()
        with pytest.raises(FileNotFoundError):
            fs.info(path)
        assert not fs.exists(path)

    # What the storage says decides nothing.

    @pytest.mark.parametrize("place", ["head", "middle", "end"])
    def test_a_changed_byte_is_found(self, store: Store, name: str, place: str) -> None:
        data = bytearray(sealed(plain(9 * CHUNK)))
        data[{"head": 3, "middle": len(data) // 2, "end": -1}[place]] ^= 1
        store.put(name, bytes(data))
        with pytest.raises(IntegrityError):
            dataset(store.connection(name), format="cobblestone-256").read_bytes()

    @pytest.mark.parametrize("kept", [0, 10, 56, 56 + CHUNK + 16, -1])
    def test_a_cut_object_is_found(self, store: Store, name: str, kept: int) -> None:
        store.put(name, sealed(plain(3 * CHUNK))[:kept])
        with pytest.raises(IntegrityError):
            dataset(store.connection(name), format="cobblestone-256").read_bytes()

    def test_another_key_opens_nothing(self, store: Store, name: str) -> None:
        store.put(name, sealed(plain(100)))
        with pytest.raises(IntegrityError):
            dataset(store.connection(name), key=OTHER_KEY).read_bytes()

    def test_an_object_exchanged_in_mid_read_gives_no_byte_of_the_other(self, store: Store, name: str) -> None:
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

    # Writing: whole, or not at all.

    @pytest.mark.parametrize("size", SIZES)
    def test_what_is_written_is_stored_sealed(self, store: Store, name: str, size: int) -> None:
        dataset(store.connection(name, write=True)).write_bytes(plain(size))
        stored = store.get(name)
        assert stored is not None
        with connectors.open_reader(io.BytesIO(stored), KEY, format="cobblestone-256") as file:
            assert file.read() == plain(size)
        assert plain(size)[:32] not in stored or size < 32

    def test_a_big_object_arrives_part_by_part(self, store: Store, name: str) -> None:
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

    def test_writing_again_replaces(self, store: Store, name: str) -> None:
        given = dataset(store.connection(name, write=True))
        given.write_bytes(b"first, and longer")
        given.write_bytes(b"second")
        assert dataset(store.connection(name)).read_bytes() == b"second"

    def test_nothing_is_seen_before_the_end(self, store: Store, name: str) -> None:
        with dataset(store.connection(name, write=True)).open("wb") as file:
            file.write(plain(3 * MIB))
            assert store.get(name) is None
        assert store.get(name) is not None

    @pytest.mark.parametrize("size", [10, 40 * MIB])
    def test_a_block_that_raises_leaves_what_stood_there(self, store: Store, name: str, size: int) -> None:
        store.put(name, b"what stood there")
        with pytest.raises(ZeroDivisionError), dataset(store.connection(name, write=True)).open("wb") as file:
            for _ in range(0, size, MIB):
                file.write(plain(min(size, MIB)))
            1 / 0  # noqa: B018
        assert store.get(name) == b"what stood there"
        assert store.unfinished() == []

    def test_a_block_that_raises_leaves_nothing_where_nothing_was(self, store: Store, name: str) -> None:
        with pytest.raises(ZeroDivisionError), dataset(store.connection(name, write=True)).open("wb") as file:
            file.write(plain(100))
            1 / 0  # noqa: B018
        assert store.get(name) is None
        assert store.unfinished() == []

    def test_a_writer_that_is_forgotten_writes_nothing(self, store: Store, name: str) -> None:
        store.put(name, b"what stood there")
        file = dataset(store.connection(name, write=True)).open("wb")
        file.write(plain(20 * MIB))
        with pytest.warns(ResourceWarning, match="never closed"):
            del file
            gc.collect()
        assert store.get(name) == b"what stood there"
        assert store.unfinished() == []

    def test_a_killed_process_leaves_what_stood_there(self, store: Store, name: str, tmp_path: Path) -> None:
        store.put(name, b"what stood there")
        given = lay_down(tmp_path, store.connection(name, write=True), port="output")
        with pytest.raises(AssertionError, match="the child died"):
            in_child("spawn", write_and_die, given)
        assert store.get(name) == b"what stood there"

    def test_exclusive_creation_replaces_nothing(self, store: Store, name: str) -> None:
        given = dataset(store.connection(name, write=True))
        with given.open("xb") as file:
            file.write(b"first")
        with pytest.raises(ObjectExists), given.open("xb") as file:
            file.write(b"second")
        assert dataset(store.connection(name)).read_bytes() == b"first"
        assert store.unfinished() == []

    def test_of_two_exclusive_writers_one_succeeds(self, store: Store, name: str) -> None:
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
    def test_names_mean_themselves(self, store: Store, name: str, odd: str) -> None:
        whole = f"{name}/{odd}"
        dataset(store.connection(whole, write=True)).write_bytes(odd.encode())
        assert store.get(whole) is not None
        assert dataset(store.connection(whole)).read_bytes() == odd.encode()

    # Whose credentials they are.

    def test_two_datasets_never_mix(self, store: Store, name: str) -> None:
        store.put(f"{name}/one", sealed(b"one"))
        store.put(f"{name}/two", sealed(b"two", OTHER_KEY))

        def read(number: int) -> bytes:
            which, key = [("one", KEY), ("two", OTHER_KEY)][number % 2]
            return dataset(store.connection(f"{name}/{which}"), key=key).read_bytes()

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(read, range(16))) == [b"one", b"two"] * 8
        with pytest.raises(IntegrityError):
            dataset(store.connection(f"{name}/one"), key=OTHER_KEY).read_bytes()

    def test_refused_credentials_are_an_error_of_access(self, store: Store, name: str) -> None:
        refused = store.denied(name)
        if refused is None:
            return
        store.put(name, sealed(b"37.2"))
        given = dataset(refused)
        with pytest.raises(AccessDenied) as error:
            given.read_bytes()
        assert leaks(given, error.value) == []
        with pytest.raises(AccessDenied) as error:
            given.write_bytes(b"x")
        assert leaks(given, error.value) == []

    def test_expired_credentials_say_so(self, store: Store, name: str) -> None:
        store.put(name, before := sealed(b"37.2"))
        reading, writing = store.expired(name), store.expired(name, write=True)
        if reading is None or writing is None:
            return
        with pytest.raises(CredentialsExpired) as error:
            dataset(reading).read_bytes()
        assert leaks(dataset(reading), error.value) == []
        with pytest.raises(CredentialsExpired) as error:
            dataset(writing).write_bytes(b"x")
        assert leaks(dataset(writing), error.value) == []
        assert store.get(name) == before

    def test_renewed_credentials_are_taken_after_refresh(self, store: Store, name: str, tmp_path: Path) -> None:
        store.put(f"{name}/one", sealed(b"one"))
        store.put(f"{name}/two", sealed(b"two"))
        given = lay_down(tmp_path, store.connection(f"{name}/one"))
        assert given.read_bytes() == b"one"
        lay_down(tmp_path, store.connection(f"{name}/two"))
        given.refresh()
        assert given.read_bytes() == b"two"

    # Other processes.

    def test_a_dataset_of_an_app_config_travels_by_its_name(self, store: Store, name: str, tmp_path: Path) -> None:
        store.put(name, sealed(b"37.2"))
        given = lay_down(tmp_path, store.connection(name))
        assert given.read_bytes() == b"37.2"
        sent = pickle.dumps((given, given.filesystem()[0]))
        assert leaks(given, sent) == []
        copy, fs = pickle.loads(sent)  # noqa: S301 - our own
        assert copy.read_bytes() == fs.cat_file(given.filesystem()[1]) == b"37.2"

    def test_a_dataset_with_credentials_of_its_own_does_not_travel(self, store: Store, name: str) -> None:
        given = dataset(store.connection(name))
        for one in (given, given.filesystem()[0], given.filesystem()[0].fs if given.credentials.encryption else None):
            if one is not None and leaks(given, _sent(one)):
                pytest.fail(f"a pickled {type(one).__name__} holds a secret")
        with pytest.raises(TypeError, match="does not pickle"):
            pickle.dumps(given)

    @pytest.mark.parametrize("context", ["fork", "spawn"])
    def test_other_processes_read_the_same(self, store: Store, name: str, tmp_path: Path, context: str) -> None:
        data, other = plain(10 * CHUNK), plain(10 * CHUNK, seed=1)
        store.put(f"{name}/one", sealed(data))
        store.put(f"{name}/two", sealed(other, OTHER_KEY))
        one = lay_down(tmp_path, store.connection(f"{name}/one"), name="one")
        two = lay_down(tmp_path, store.connection(f"{name}/two"), name="two", key=OTHER_KEY)
        assert read_all(one, two) == [data, other]  # connections are open now
        assert in_child(context, read_all, two, one) == [other, data]
        assert read_all(one, two) == [data, other]

    # Secrets.

    def test_secrets_are_shown_nowhere(self, store: Store, name: str, tmp_path: Path) -> None:
        store.put(name, sealed(plain(3 * CHUNK)))
        with Heard() as heard:
            given = lay_down(tmp_path, store.connection(name))
            fs, path = given.filesystem()
            given.read_bytes()
            fs.info(path)
            writing = dataset(store.connection(f"{name}-2", write=True))
            writing.write_bytes(b"37.2")
            errors: list[BaseException] = []
            for missing in (lambda: dataset(store.connection(f"{name}-none")).read_bytes(), lambda: fs.info("/none")):
                with pytest.raises(Exception) as error:  # noqa: PT011 - whatever it is, it holds no secret
                    missing()
                errors.append(error.value)
        store.tidy(f"{name}-2")
        shown = [
            given,
            given.credentials,
            *everything_about(fs),
            *everything_about(fs.fs),
            *errors,
            "\n".join(heard.lines),
        ]
        assert leaks(given, *shown) == []
        assert leaks(writing, *shown, writing, *everything_about(writing.filesystem()[0].fs)) == []

    def test_errors_are_of_one_tree(self, store: Store, name: str) -> None:
        with pytest.raises(connectors.errors.ConnectorError) as error:
            dataset(store.connection(name)).read_bytes()
        assert isinstance(error.value, StorageError)
        assert error.value.__context__ is None or isinstance(error.value.__context__, connectors.errors.ConnectorError)


def _sent(one: object) -> bytes:
    try:
        return pickle.dumps(one)
    except TypeError:
        return b""
