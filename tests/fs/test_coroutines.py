"""EncryptedFileSystem over an asynchronous filesystem: fsspec's coroutines, in fsspec's loop and in a loop of one's own."""

from __future__ import annotations

import asyncio
import os
import uuid

import numpy as np
import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.memory import MemoryFileSystem

import connectors
from connectors.errors import ConfigError, NotSupported, ObjectNotFound, WrongKey

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def inner(s3):
    document = {
        "access_key_id": s3.access_key,
        "secret_access_key": s3.secret_key,
        "endpoint_url": s3.endpoint,
        "encryption": None,
    }
    return connectors.Dataset("s3://clinic/", document).filesystem()[0].fs


@pytest.fixture
def root():
    return f"clinic/async-{uuid.uuid4().hex}"


def test_the_kind_follows_the_inner_filesystem(inner):
    over_s3 = connectors.EncryptedFileSystem(fs=inner, key=KEY)
    over_memory = connectors.EncryptedFileSystem(fs=MemoryFileSystem(), key=KEY)
    assert isinstance(over_s3, connectors.EncryptedFileSystem)
    assert isinstance(over_s3, AsyncFileSystem)
    assert over_s3.async_impl
    assert not isinstance(over_memory, AsyncFileSystem)
    assert not over_memory.async_impl


def test_coroutines_run_in_a_loop_of_ones_own(inner, root):
    fs = connectors.EncryptedFileSystem(fs=inner, key=KEY, root=root, asynchronous=True)
    data = os.urandom(200_000)

    async def work():
        await asyncio.gather(*(fs._pipe_file(f"{root}/{number}", data[number:]) for number in range(20)))
        found = await asyncio.gather(*(fs._cat_file(f"{root}/{number}") for number in range(20)))
        ranges = await fs._cat_ranges([f"{root}/3"] * 2, [0, -10], [10, None])
        sizes = set(await fs._sizes([entry["name"] for entry in await fs._ls(root)]))
        names = await fs._find(root)
        await fs._rm_file(f"{root}/0")
        gone = not await fs._exists(f"{root}/0")
        await fs._cp_file(f"{root}/1", f"{root}/copy")
        return found, ranges, sizes, names, gone, await fs._cat_file(f"{root}/copy"), await fs._info(f"{root}/1")

    found, ranges, sizes, names, gone, copy, info = asyncio.run(work())
    assert found == [data[number:] for number in range(20)]
    assert ranges == [data[3:13], data[-10:]]
    assert sizes == {200_000 - number for number in range(20)}
    assert sorted(names) == sorted(f"{root}/{number}" for number in range(20))
    assert gone
    assert copy == data[1:]
    assert info["size"] == 199_999


def test_errors_of_coroutines_are_ours(inner, root):
    fs = connectors.EncryptedFileSystem(fs=inner, key=KEY, asynchronous=True)
    with pytest.raises(ObjectNotFound):
        asyncio.run(fs._cat_file(f"{root}/none"))
    asyncio.run(fs._pipe_file(f"{root}/one", b"37.2"))
    other = connectors.EncryptedFileSystem(fs=inner, key=bytes(32), asynchronous=True)
    with pytest.raises(WrongKey):
        asyncio.run(other._cat_file(f"{root}/one"))


def test_many_files_come_side_by_side_without_a_loop(inner, root):
    fs = connectors.EncryptedFileSystem(fs=inner, key=KEY)
    fs.pipe({f"{root}/{number}": b"%d" % number for number in range(40)})
    assert fs.cat(f"{root}/*") == {f"{root}/{number}": b"%d" % number for number in range(40)}


def test_zarr_takes_it_as_an_asynchronous_store(inner, root):
    import zarr  # noqa: PLC0415 - a large library

    fs = connectors.EncryptedFileSystem(fs=inner, key=KEY, root=root, asynchronous=True)
    store = zarr.storage.FsspecStore(fs, path=root)
    field = np.arange(10_000, dtype="i4").reshape(100, 100)
    array = zarr.create_array(store, name="dose", data=field, chunks=(50, 50), overwrite=True)
    assert np.array_equal(array[40:60, 40:60], field[40:60, 40:60])
    sealed = inner.cat_file(f"{root}/dose/c/0/0")
    assert len(sealed) > 0
    assert connectors.EncryptedFileSystem(fs=inner, key=KEY, root=root).info(f"{root}/dose/c/0/0")[
        "sealed_size"
    ] == len(sealed)


def test_what_has_no_coroutines_is_not_made_asynchronous():
    with pytest.raises(NotSupported, match="MemoryFileSystem is not asynchronous"):
        connectors.EncryptedFileSystem(fs=MemoryFileSystem(), key=KEY, asynchronous=True)


def test_an_inner_filesystem_that_is_bound_to_a_loop_is_refused():
    class Bound(AsyncFileSystem):
        cachable = False

    with pytest.raises(ConfigError, match="without asynchronous=True"):
        connectors.EncryptedFileSystem(fs=Bound(asynchronous=True), key=KEY)
