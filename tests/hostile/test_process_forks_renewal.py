"""A process forks while another of its threads renews credentials or reads: the child waits for no thread of its parent."""

from __future__ import annotations

import io
import os
import threading
from contextlib import contextmanager

import pytest
from patience import PATIENCE
from sealing import COBBLESTONE, KEY, Recorded, plain_bytes

import connectors
from connectors.errors import CredentialsExpired, StorageError
from connectors.storage import registry
from connectors.storage.renewal import renewed_source
from connectors.streams.sources import FileSource
from connectors.testing.tools import in_child

PLAIN = plain_bytes(1 << 20)


class InParent:
    """A place where the parent's threads wait, and which its children pass."""

    def __init__(self):
        self._process, self.reached, self._go = os.getpid(), threading.Event(), threading.Event()

    def wait(self):
        if os.getpid() == self._process:
            self.reached.set()
            assert self._go.wait(PATIENCE)

    @contextmanager
    def held_by(self, work):
        """Have a thread do `work`; inside the block, it waits here."""
        done = []
        thread = threading.Thread(target=lambda: done.append(work()))
        thread.start()
        assert self.reached.wait(PATIENCE)
        try:
            yield done
        finally:
            self._go.set()
            thread.join()


@pytest.fixture
def place():
    return InParent()


@pytest.fixture(scope="module")
def sealed():
    return COBBLESTONE.seal(PLAIN)


class Expired(Recorded):
    def read_range(self, start, stop):
        message = "the token has expired"
        raise CredentialsExpired(message)


class Stored:
    """A filesystem of one object."""

    async_impl = False
    protocol = "stored"

    def __init__(self, source):
        self.open_source = lambda _: source

    def _strip_protocol(self, path):
        return path


def test_source_whose_credentials_another_thread_renews(place, sealed):
    def renew():
        place.wait()
        return Recorded(sealed)

    source = renewed_source(Expired(sealed), renew)
    with place.held_by(lambda: source.read_range(0, 100)) as done:
        assert in_child("fork", source.read_range, 0, 50) == sealed[:50]
    assert done == [sealed[:100]]


def test_filesystem_whose_credentials_another_thread_renews(place, sealed):
    def renew():
        place.wait()
        return Stored(Recorded(sealed))

    fs = connectors.EncryptedFileSystem(fs=Stored(Expired(sealed)), codec=COBBLESTONE.codec(), renewed=renew)
    with place.held_by(lambda: fs.cat_file("x", 0, 100)) as done:
        assert in_child("fork", fs.cat_file, "x", 0, 50) == PLAIN[:50]
    assert done == [PLAIN[:100]]


def test_dataset_that_another_thread_resolves(place, monkeypatch):
    def resolve(*documents):
        place.wait()
        return registry.resolve(*documents)

    dataset = connectors.Dataset("memory://forks/resolved", {"encryption": {"key": KEY.hex()}})
    dataset.write_bytes(PLAIN)
    dataset.refresh()
    monkeypatch.setattr("connectors.app.dataset.resolve", resolve)
    with place.held_by(dataset.read_bytes) as done:
        assert in_child("fork", dataset.read_bytes) == PLAIN
    assert done == [PLAIN]


def test_caller_s_file_that_another_thread_reads(place, sealed):
    class Slow(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 100_000:
                place.wait()
            return super().read(size)

    source = FileSource(Slow(sealed))
    with place.held_by(lambda: source.read_range(200_000, 200_100)) as done:
        assert in_child("fork", source.read_range, 5, 10) == sealed[5:10]
    assert done == [sealed[200_000:200_100]]


def use(file):
    """Do everything with a file that a child may do; return the errors' messages."""
    messages = []
    for call in (lambda: file.read(10), lambda: file.readinto(bytearray(10)), lambda: file.seek(0)):
        try:
            call()
        except StorageError as error:
            messages.append(str(error))
    file.close()
    return {message.partition(";")[0] for message in messages}, len(messages), file.closed


def test_file_that_another_thread_reads_is_refused_in_the_child(place, sealed):
    class Slow(Recorded):
        is_slow = False

        def read_range(self, start, stop):
            if self.is_slow:
                place.wait()
            return super().read_range(start, stop)

    source = Slow(sealed)
    with connectors.open_reader(source, KEY) as file:
        source.is_slow = True
        file.seek(500_000)
        with place.held_by(lambda: file.read(100)) as done:
            refused = "another thread was reading this file when the process forked"
            assert in_child("fork", use, file) == ({refused}, 3, True)
        assert done == [PLAIN[500_000:500_100]]
