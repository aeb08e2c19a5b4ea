"""EncryptedFileSystem and Dataset: plain sizes, ranges and files over sealed objects, committed on success."""

from __future__ import annotations

import copy
import gc
import io
import json
import os
import pickle
import threading

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

import connectors
from connectors.errors import (
    IntegrityError,
    InvalidLocation,
    NotAnObject,
    NotSupported,
    ObjectExists,
    ObjectNotFound,
    TruncatedObject,
    WrongKey,
)

KEY = bytes(range(32))
FORMATS = ["cobblestone-256", "tink-gcm-hkdf", "gcm", "auto"]
TEXT = b"".join(b"line %d\n" % number for number in range(20_000))


@pytest.fixture(params=["local", "memory", "other"])
def store(request, tmp_path):
    """A filesystem and a folder in it: one that is staged, one that is special, and one that knows nothing of us."""
    if request.param == "local":
        yield LocalFileSystem(), str(tmp_path)
    elif request.param == "other":
        yield DirFileSystem(path=str(tmp_path), fs=LocalFileSystem()), ""
    else:
        fs = MemoryFileSystem()
        fs.mkdir("/store")
        yield fs, "/store"
        fs.rm("/store", recursive=True)


@pytest.fixture
def fs(store):
    return connectors.EncryptedFileSystem(fs=store[0], key=KEY)


@pytest.fixture
def path(store):
    return f"{store[1]}/object".lstrip("/") if store[1] == "" else f"{store[1]}/object"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [0, 1, 16384, 100_000])
def test_sizes_are_plain_and_bytes_come_back(store, path, name, size):
    view = connectors.EncryptedFileSystem(fs=store[0], key=KEY, format=name)
    data = os.urandom(size)
    view.pipe_file(path, data)
    assert view.cat_file(path) == data
    info = view.info(path)
    assert (info["size"], info["sealed_size"]) == (size, store[0].size(path))
    (listed,) = view.ls(os.path.dirname(path))
    assert (listed["size"], listed["sealed_size"]) == (None, store[0].size(path))
    assert data == b"" or size < 100 or data[:100] not in store[0].cat_file(path)


@pytest.mark.parametrize(("start", "end"), [(None, None), (5, 20), (-7, None), (None, -7), (16380, 16390), (50, 10)])
def test_ranges_are_those_of_a_slice(fs, path, start, end):
    fs.pipe_file(path, TEXT)
    assert fs.cat_file(path, start, end) == TEXT[start:end]


def test_many_ranges_at_once(fs, path):
    fs.pipe_file(path, TEXT)
    starts, ends = [0, 100, 16000], [10, 200, 40000]
    assert fs.cat_ranges([path] * 3, starts, ends) == [TEXT[a:b] for a, b in zip(starts, ends, strict=True)]


def test_text_lines_and_seeking(fs, path):
    with fs.open(path, "wt", encoding="utf-8", newline="") as file:
        file.write("Sinusitis ä\n" * 5000)
    with fs.open(path, "rt", encoding="utf-8") as file:
        assert sum(line == "Sinusitis ä\n" for line in file) == 5000
    with fs.open(path) as file:
        assert file.seek(-4, io.SEEK_END) == 13 * 5000 - 4
        assert file.read() == " ä\n".encode()


def test_compressed_files_are_read(fs, path):
    fs.pipe_file(path, __import__("gzip").compress(TEXT))
    with fs.open(path, "rb", compression="gzip") as file:
        assert file.read() == TEXT
    with pytest.raises(NotSupported, match="compress into the open file"):
        fs.open(path, "wb", compression="gzip")


@pytest.mark.parametrize("mode", ["ab", "r+b", "w+b", "at"])
def test_sealed_objects_cannot_grow_or_change_in_place(fs, path, mode):
    with pytest.raises(NotSupported, match="the end of a sealed object is authenticated"):
        fs.open(path, mode)


@pytest.mark.parametrize("mode", ["wb", "wt"])
def test_block_that_raises_leaves_the_old_object(fs, path, mode, store):
    fs.pipe_file(path, b"old")
    with pytest.raises(ZeroDivisionError), fs.open(path, mode) as file:
        file.write(b"x" * (5 << 20) if mode == "wb" else "x" * (5 << 20))
        1 / 0  # noqa: B018
    assert fs.cat_file(path) == b"old"
    assert len(store[0].ls(os.path.dirname(path))) == 1


def test_dropped_writer_leaves_the_old_object(fs, path, store):
    fs.pipe_file(path, b"old")
    with pytest.warns(ResourceWarning, match="never closed, so it was not written"):
        fs.open(path, "wb").write(b"new")
        gc.collect()
    assert fs.cat_file(path) == b"old"
    assert len(store[0].ls(os.path.dirname(path))) == 1


def test_object_in_the_making_does_not_show(fs, path):
    with fs.open(path, "wb") as file:
        file.write(b"x" * (5 << 20))
        assert not fs.exists(path)
    assert fs.size(path) == 5 << 20


def test_exclusive_creation(fs, path):
    with fs.open(path, "xb") as file:
        file.write(b"first")
    with pytest.raises(ObjectExists), fs.open(path, "xb") as file:
        file.write(b"second")
    with pytest.raises(FileExistsError):
        fs.pipe_file(path, b"second", mode="create")
    assert fs.cat_file(path) == b"first"


def test_exclusive_creation_loses_against_one_that_was_faster(fs, path):
    slow = fs.open(path, "xb")
    slow.write(b"slow")
    fs.pipe_file(path, b"fast")
    with pytest.raises(ObjectExists):
        slow.close()
    assert fs.cat_file(path) == b"fast"


def test_transaction_publishes_together_or_not_at_all(fs, path):
    fs.pipe_file(path, b"old")
    with fs.transaction:
        with fs.open(path, "wb") as file:
            file.write(b"new")
        assert fs.cat_file(path) == b"old"
    assert fs.cat_file(path) == b"new"
    with pytest.raises(ZeroDivisionError), fs.transaction:
        fs.pipe_file(path, b"newer")
        1 / 0  # noqa: B018
    assert fs.cat_file(path) == b"new"


def test_missing_object_is_not_found(fs, path):
    with pytest.raises(ObjectNotFound):
        fs.open(path)
    with pytest.raises(FileNotFoundError):
        fs.info(path)
    assert not fs.exists(path)


def test_folder_is_no_object(fs, path):
    fs.makedirs(f"{path}/inside", exist_ok=True)
    with pytest.raises(NotAnObject):
        fs.open(path)
    with pytest.raises(NotAnObject):
        fs.pipe_file(path, b"x")


def test_size_is_verified_and_kept_for_one_version(fs, path, store, monkeypatch):
    fs.pipe_file(path, b"sealed")
    opened = []
    opens = type(fs)._open_object
    monkeypatch.setattr(type(fs), "_open_object", lambda self, path: opened.append(path) or opens(self, path))
    assert fs.size(path) == fs.size(path) == 6
    told_apart = {"mtime", "ino", "ETag"} & store[0].info(path).keys()
    assert len(opened) == (1 if told_apart else 2)
    fs.pipe_file(path, b"sealed again")
    assert fs.size(path) == 12


def test_what_is_not_sealed_is_listed_and_has_no_size(fs, path, store):
    fs.pipe_file(path, b"sealed")
    store[0].pipe_file(f"{path}.txt", b"not sealed")
    listed = sorted(os.path.basename(name) for name in fs.ls(os.path.dirname(path), detail=False))
    assert listed == ["object", "object.txt"]
    with pytest.raises(TruncatedObject):
        fs.info(f"{path}.txt")


def test_copies_stay_sealed(fs, path, store):
    fs.pipe_file(path, b"37.2")
    fs.cp_file(path, f"{path}.copy")
    assert store[0].cat_file(path) == store[0].cat_file(f"{path}.copy")
    fs.mv(f"{path}.copy", f"{path}.moved")
    assert fs.cat_file(f"{path}.moved") == b"37.2"
    fs.rm(f"{path}.moved")
    assert not fs.exists(f"{path}.moved")


def test_get_leaves_no_file_of_an_object_that_does_not_verify(fs, path, store, tmp_path):
    fs.pipe_file(path, TEXT)
    sealed = bytearray(store[0].cat_file(path))
    sealed[20_000] ^= 1
    store[0].pipe_file(path, bytes(sealed))
    target = tmp_path / "plain" / "out"
    with pytest.raises(IntegrityError):
        fs.get_file(path, str(target))
    assert list(target.parent.iterdir()) == []


def test_put_and_get_tell_their_progress(fs, path, tmp_path):
    (tmp_path / "in").write_bytes(TEXT)
    for transfer, source, target in (
        (fs.put_file, str(tmp_path / "in"), path),
        (fs.get_file, path, str(tmp_path / "o")),
    ):
        callback = fsspec.Callback()
        transfer(source, target, callback=callback)
        assert (callback.size, callback.value) == (len(TEXT), len(TEXT))
    assert (tmp_path / "o").read_bytes() == TEXT


def test_two_keys_never_mix_in_fsspecs_caches(path, store):
    first = connectors.EncryptedFileSystem(fs=store[0], key=connectors.SecretKey(b"a" * 32))
    second = connectors.EncryptedFileSystem(fs=store[0], key=connectors.SecretKey(b"b" * 32))
    assert first is not second
    assert first != second
    assert first._fs_token != second._fs_token
    first.pipe_file(path, b"37.2")
    with pytest.raises(WrongKey):
        second.cat_file(path)


def test_filesystem_holds_no_secret_that_shows(fs):
    for shown in (repr(fs), str(fs), str(vars(fs)), str(fs.storage_options), str(fs.storage_args)):
        assert KEY.hex() not in shown.lower()
        assert repr(KEY) not in shown
    for leak in (lambda: pickle.dumps(fs), fs.to_json, fs.to_dict):
        with pytest.raises(TypeError, match="holds secrets"):
            leak()
    assert copy.copy(fs.storage_options) == {}


# Datasets


def test_dataset_says_its_name_in_every_error(tmp_path):
    dataset = connectors.Dataset(f"file://{tmp_path}/none", {"encryption": {"key": KEY.hex()}}, name="input/x")
    for use in (dataset.read_bytes, lambda: dataset.open("rb"), lambda: dataset.download(tmp_path / "out")):
        with pytest.raises(ObjectNotFound, match="^input/x: there is no file"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_error_in_mid_read_says_the_datasets_name(tmp_path):
    dataset = connectors.Dataset(f"file://{tmp_path}/data", {"encryption": {"key": KEY.hex()}}, name="input/x")
    dataset.write_bytes(bytes(3_000_000))
    sealed = bytearray((tmp_path / "data").read_bytes())
    sealed[2_000_000] ^= 1
    (tmp_path / "data").write_bytes(sealed)
    with dataset.open() as file:
        file.read(100_000)
        with pytest.raises(IntegrityError, match="^input/x: chunk 121 does not verify"):
            file.read(2_900_000)


def test_plain_dataset_must_say_so_and_is_plain(tmp_path):
    dataset = connectors.Dataset(f"file://{tmp_path}/data", {"encryption": None})
    with dataset.open("wt") as file:
        file.write("open to all\n")
    assert (tmp_path / "data").read_text() == "open to all\n"
    with pytest.raises(ValueError, match="oops"), dataset.open("wb") as file:
        file.write(b"half")
        raise ValueError("oops")
    assert dataset.read_bytes() == b"open to all\n"


def test_upload_and_download(tmp_path):
    dataset = connectors.Dataset(f"file://{tmp_path}/data", {"encryption": {"key": KEY.hex(), "context": "ward 3"}})
    (tmp_path / "in").write_bytes(TEXT)
    callback = fsspec.Callback()
    dataset.upload(tmp_path / "in", callback=callback)
    dataset.download(tmp_path / "out", callback=callback)
    assert (tmp_path / "out").read_bytes() == TEXT
    assert callback.value == 2 * len(TEXT)
    with connectors.open_reader(tmp_path / "data", KEY, context=b"ward 3") as file:
        assert file.read() == TEXT
    with pytest.raises(NotAnObject, match="is a folder; name a file"):
        dataset.download(tmp_path)
    with pytest.raises(ObjectNotFound, match="there is no file"):
        dataset.upload(tmp_path / "missing")


def test_dataset_of_its_own_does_not_pickle(tmp_path):
    dataset = connectors.Dataset(f"file://{tmp_path}/data", {"encryption": {"key": KEY.hex()}})
    with pytest.raises(TypeError, match="holds credentials and does not pickle"):
        pickle.dumps(dataset)
    with pytest.raises(TypeError, match="holds secrets and does not pickle"):
        pickle.dumps(dataset.filesystem()[0])
    assert KEY.hex() not in repr(dataset) + str(vars(dataset)) + repr(dataset.credentials) + str(dataset.credentials)
    assert KEY.hex() not in json.dumps(dataset.credentials.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("conditions.csv", "is not a URL; write it with its scheme"),
        ("file://elsewhere/data", "a file location has an absolute path"),
        ("file:relative", "is not a URL"),
        ("file:///tmp/a#1.csv", "write . as %3F and # as %23"),
        ("file:///tmp/a?1.csv", "write . as %3F and # as %23"),
    ],
)
def test_locations_that_are_none(location, message):
    with pytest.raises(InvalidLocation, match=message):
        connectors.Dataset(location, {"type": "file", "encryption": None}).read_bytes()


def test_credentials_and_location_of_two_kinds():
    with pytest.raises(InvalidLocation, match="type 'file' are for file:// locations, not memory://"):
        connectors.Dataset("memory://a/b", {"type": "file", "encryption": None})


def test_file_location_may_be_percent_encoded(tmp_path):
    dataset = connectors.Dataset(f"file://{tmp_path}/two%20words%3F".replace("#", "%23"), {"encryption": None})
    dataset.write_bytes(b"x")
    assert (tmp_path / "two words?").read_bytes() == b"x"


def test_threads_share_a_dataset(tmp_path):
    dataset = connectors.Dataset(f"file://{tmp_path}/data", {"encryption": {"key": KEY.hex()}})
    dataset.write_bytes(TEXT)
    wrong = []

    def read(start: int) -> None:
        with dataset.open() as file:
            for offset in range(start, len(TEXT), 9973):
                file.seek(offset)
                if file.read(50) != TEXT[offset : offset + 50]:
                    wrong.append(offset)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
