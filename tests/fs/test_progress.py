"""fsspec's callbacks where several files travel at once: files and bytes are counted, by one thread at a time."""

from __future__ import annotations

import threading
import uuid

import fsspec
import pytest
from sealing import plain_bytes

import connectors

KEY = bytes(range(32))
SIZES = [0, 1, 70_000, 3 << 20, 9 << 20, *range(1000, 1008)]


@pytest.fixture
def fs():
    """A filesystem of which the files travel together, as over a network."""
    made = connectors.EncryptedFileSystem(fs=fsspec.filesystem("memory"), key=KEY)
    made.at_once = 4
    return made


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    made.mkdir()
    for number, size in enumerate(SIZES):
        (made / str(number)).write_bytes(plain_bytes(size))
    return made


class Counting(fsspec.Callback):
    """A callback that no two threads may use at once, with its branches."""

    def __init__(self, parent=None):
        super().__init__()
        self.entered = threading.Lock() if parent is None else parent.entered
        self.steps, self.overlaps, self.closed = 0, 0, False
        self.children = {}

    def branched(self, path_1, path_2, **kwargs):
        child = self.children[str(path_1)] = Counting(self)
        self.call()
        return child

    def call(self, hook_name=None, **kwargs):
        if self.entered.acquire(blocking=False):
            threading.Event().wait(0.0001)
            self.entered.release()
        else:
            self.overlaps += 1
        self.steps += 1

    def close(self):
        self.closed = True


@pytest.mark.parametrize("at_once", [1, 4])
def test_files_are_counted_and_the_bytes_of_each(fs, folder, tmp_path, at_once):
    fs.at_once = at_once
    place = f"/{uuid.uuid4().hex}"
    putting, getting = Counting(), Counting()
    fs.put(str(folder), place, recursive=True, callback=putting)
    fs.get(place, str(tmp_path / "out"), recursive=True, callback=getting)
    for callback in (putting, getting):
        files = {path: child for path, child in callback.children.items() if child.size is not None}
        assert sorted(child.size for child in files.values()) == sorted(SIZES)
        assert all(child.value == child.size for child in files.values())
        assert max(child.steps for child in files.values()) > 3  # the largest is counted as it passes
        assert all(child.closed for child in callback.children.values())
        assert callback.value == callback.size == len(callback.children)
        assert sum(one.overlaps for one in (callback, *callback.children.values())) == 0


def test_one_callback_can_count_the_bytes_of_all_files(fs, folder):
    class Total(fsspec.Callback):
        def branched(self, path_1, path_2, **kwargs):
            return Adding(self)

    class Adding(fsspec.Callback):
        def __init__(self, total):
            super().__init__()
            self.total = total

        def relative_update(self, inc=1):
            before = self.total.bytes
            threading.Event().wait(0.0001)
            self.total.bytes = before + inc

    total = Total()
    total.bytes = 0
    fs.put(str(folder), f"/{uuid.uuid4().hex}", recursive=True, callback=total)
    assert total.bytes == sum(SIZES)


def test_a_callback_without_branches_counts_files(fs, folder):
    callback = fsspec.Callback()
    fs.put(str(folder), f"/{uuid.uuid4().hex}", recursive=True, callback=callback)
    assert callback.value == callback.size


def test_what_a_callback_raises_ends_the_copy(fs, folder):
    class Failing(Counting):
        def branched(self, path_1, path_2, **kwargs):
            child = super().branched(path_1, path_2)
            if path_1.endswith("/4"):
                child.relative_update = self.fail
            return child

        def fail(self, inc=1):
            raise ZeroDivisionError

    callback = Failing()
    with pytest.raises(ZeroDivisionError):
        fs.put(str(folder), f"/{uuid.uuid4().hex}", recursive=True, callback=callback)
    assert all(child.closed for child in callback.children.values())
