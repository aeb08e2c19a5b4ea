"""One file in several threads: native ones, which move and read without a lock, and Python's, which share a position."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import duckdb
import fsspec
import pandas as pd
import pytest

import connectors

KEY = "5a" * 32
DATA = bytes(range(256)) * 400


@pytest.fixture
def file():
    sealed = io.BytesIO()
    connectors.encrypt(io.BytesIO(DATA), sealed, KEY)
    sealed.seek(0)
    with connectors.open_reader(sealed, KEY) as opened:
        yield opened


@pytest.fixture
def native(monkeypatch):
    """A set of threads that count as native."""
    threads: set[int] = set()
    monkeypatch.setattr("connectors.streams.plain_file._is_native", lambda: threading.get_ident() in threads)
    return threads


def in_turn(pools, *steps):
    """Run each step in the thread that it names; return their results."""
    return [pools[who].submit(step).result() for who, step in steps]


@pytest.fixture
def pools():
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        yield {"one": one, "other": other}


@pytest.mark.parametrize("natives", [("one", "other"), ("one",), ("other",)])
def test_native_thread_reads_where_it_has_moved(file, native, pools, natives):
    native |= {pools[who].submit(threading.get_ident).result() for who in natives}
    *_, first, second = in_turn(
        pools,
        ("one", lambda: file.seek(1000)),
        ("other", lambda: file.seek(70_000)),
        ("one", lambda: file.read(50)),
        ("other", lambda: file.read(60)),
    )
    assert first == DATA[1000:1050]
    assert second == DATA[70_000:70_060]


@pytest.mark.parametrize("natives", [(), ("one", "other")])
def test_one_thread_reads_on_where_another_has_moved_and_read(file, native, pools, natives):
    native |= {pools[who].submit(threading.get_ident).result() for who in natives}
    found = in_turn(
        pools,
        ("one", lambda: file.seek(5)),
        ("other", lambda: file.read(10)),
        ("one", lambda: file.read(10)),
        ("other", lambda: file.readinto(bytearray(10))),
        ("one", lambda: file.read(10)),
    )
    assert found == [5, DATA[5:15], DATA[15:25], 10, DATA[35:45]]


def test_threads_of_python_share_one_position(file, native, pools):
    found = in_turn(
        pools, ("one", lambda: file.seek(0, 2)), ("other", lambda: file.seek(3)), ("one", lambda: file.read(4))
    )
    assert found == [len(DATA), 3, DATA[3:7]]


def test_duckdb_reads_one_file_in_all_its_threads(tmp_path, monkeypatch):
    folder = tmp_path / "app/input/parts/dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(f"file://{tmp_path}/stored/")
    (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY}}))
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "app"))
    fs, path = connectors.load()["input"]["parts"].filesystem()
    for part in range(4):
        data = io.BytesIO()
        frame = pd.DataFrame({"n": range(20_000 * part, 20_000 * (part + 1))})
        frame.to_parquet(data, index=False, row_group_size=3000, compression=None)
        fs.pipe_file(f"{path}/{part}.parquet", data.getvalue())
    for _ in range(20):  # one in three was wrong
        with duckdb.connect() as connection:
            connection.register_filesystem(fsspec.filesystem("dataset"))
            rows = connection.sql("SELECT count(*), sum(n) FROM 'dataset://input/parts/*.parquet'").fetchall()
        assert rows == [(80_000, 79_999 * 40_000)]
