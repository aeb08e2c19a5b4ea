"""The capabilities of filesystems, sources and sinks are found by what they declare, at no cost."""

from __future__ import annotations

import io
from typing import ClassVar

import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from connectors import EncryptedFileSystem
from connectors.errors import AccessDenied, CredentialsExpired, NotSupported, ObjectExists
from connectors.formats import Plain
from connectors.storage.adapters import RangeSource, SpoolSink, open_sink, open_source
from connectors.storage.capabilities import OpensSinks, OpensSources
from connectors.storage.renewal import renewed_source
from connectors.streams import FileSource, FillsBuffers, PathSink, RenewableSink
from connectors.streams.sinks import give_properties
from connectors.streams.sources import fill, fill_exactly, keeping_properties

DATA = bytes(range(256))


class Ranges:
    """A source that has no more than a source must have."""

    size = len(DATA)

    def __init__(self, *, expired=False):
        self.expired = expired

    def read_range(self, start, stop):
        if self.expired:
            message = "over"
            raise CredentialsExpired(message)
        return DATA[start:stop]

    def close(self):
        pass


class Filler(Ranges):
    @property
    def size(self):
        pytest.fail("a request for the size was made")

    def read_into(self, start, buffer):
        data = self.read_range(start, start + len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Storage(MemoryFileSystem):
    cachable = False

    def open_source(self, path):
        return Filler()

    def open_sink(self, path, *, exclusive=False):
        return path, exclusive


def test_a_filesystem_s_own_source_and_sink_are_used():
    fs = Storage()
    assert isinstance(fs, OpensSources)
    assert isinstance(fs, OpensSinks)
    assert isinstance(open_source(fs, "/ward"), Filler)
    assert open_sink(fs, "/ward", exclusive=True) == ("/ward", True)


def test_any_other_filesystem_is_read_by_ranges_and_spooled():
    fs = MemoryFileSystem()
    assert not isinstance(fs, OpensSources)
    assert not isinstance(fs, OpensSinks)
    fs.pipe_file("/test-capabilities", DATA)
    assert isinstance(open_source(fs, "/test-capabilities"), RangeSource)
    sink = open_sink(fs, "/test-capabilities", exclusive=False)
    assert isinstance(sink, SpoolSink)
    sink.discard()


def test_a_source_that_fills_buffers_is_told_without_its_size():
    buffer = bytearray(10)
    assert isinstance(Filler(), FillsBuffers)
    assert isinstance(FileSource(io.BytesIO(DATA)), FillsBuffers)
    assert not isinstance(Ranges(), FillsBuffers)
    assert fill_exactly(Filler(), 5, memoryview(buffer)).obj is buffer
    assert buffer == DATA[5:15]


@pytest.mark.parametrize("source", [Ranges(), Filler()])
def test_a_buffer_is_filled_from_any_source(source):
    buffer = bytearray(10)
    assert fill(source, 250, memoryview(buffer)) == 6
    assert buffer == DATA[250:] + bytes(4)


def test_a_renewed_source_fills_buffers_if_the_first_one_does():
    assert not isinstance(renewed_source(Ranges(), lambda: None), FillsBuffers)
    source = renewed_source(Filler(expired=True), Ranges)  # the renewed one does not
    buffer = bytearray(10)
    assert isinstance(source, FillsBuffers)
    assert source.read_into(5, memoryview(buffer)) == 10
    assert buffer == DATA[5:15]


def test_a_local_sink_has_no_credentials_to_renew(tmp_path):
    sink = PathSink(tmp_path / "object")
    assert not isinstance(sink, RenewableSink)
    sink.discard()


class Modest(MemoryFileSystem):
    """A storage that declares what it cannot do."""

    cachable = False
    atomic_replace = False
    exclusive_create = False
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]


class ModestSink(Modest):
    def open_sink(self, path, *, exclusive=False):
        return SpoolSink(Modest(), path, exclusive=exclusive)


@pytest.fixture(params=[Modest, ModestSink])
def modest(request):
    fs = request.param()
    fs.pipe_file("/old", b"what stood there")
    yield fs
    fs.store.clear()


def test_what_would_be_replaced_in_place_is_not(modest):
    view = EncryptedFileSystem(fs=modest, codec=Plain())
    view.pipe_file("/other", b"other")  # it is new
    for replace in (
        lambda: view.open("/old", "wb"),
        lambda: view.pipe_file("/old", b"other"),
        lambda: view.cp_file("/other", "/old"),
        lambda: view.copy("/other", "/old"),
        lambda: view.mv("/other", "/old"),
    ):
        with pytest.raises(NotSupported, match="/old already exists, and this storage replaces objects in place"):
            replace()
    assert (modest.cat_file("/old"), modest.cat_file("/other")) == (b"what stood there", b"other")
    view.rm_file("/old")  # an explicit removal is consent
    view.pipe_file("/old", b"other")
    assert modest.cat_file("/old") == b"other"


def test_what_two_could_create_is_not_created_exclusively(modest):
    view = EncryptedFileSystem(fs=modest, codec=Plain())
    for create in (lambda: view.open("/new", "xb"), lambda: view.pipe_file("/new", b"37.2", mode="create")):
        with pytest.raises(NotSupported, match="/new cannot be created exclusively"):
            create()
    assert not modest.exists("/new")


def test_an_object_that_appears_before_the_upload_is_not_replaced_in_place():
    fs = Modest()
    sink = open_sink(fs, "/late", exclusive=False)
    fs.pipe_file("/late", b"first")
    with pytest.raises(NotSupported, match="/late already exists"):
        sink.commit()
    sink.discard()
    assert fs.cat_file("/late") == b"first"
    fs.store.clear()


def test_a_storage_that_does_not_say_what_is_there_is_not_written_to(modest, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(modest, "info", refuse)
    with pytest.raises(AccessDenied):
        EncryptedFileSystem(fs=modest, codec=Plain()).cp_file("/old", "/new")


class Spooled(AbstractFileSystem):
    """A storage whose `put_file` decides what is created."""

    cachable = False

    def info(self, path, **_):
        raise FileNotFoundError(path)

    def put_file(self, lpath, rpath, callback=None, mode="overwrite", **_):
        if mode == "create":
            raise FileExistsError(rpath)


def test_exclusive_creation_is_left_to_a_storage_that_can_decide_it():
    sink = open_sink(Spooled(), "/late", exclusive=True)
    with pytest.raises(ObjectExists):
        sink.commit()
    sink.discard()
    sink = open_sink(Spooled(), "/late", exclusive=False)
    sink.commit()


class Described(Ranges):
    """A source whose storage keeps properties."""

    def properties(self):
        self.read_range(0, 1)
        return {"ward": "north"}

    def read_beside(self, suffix, most):
        return self.read_range(0, most)


def test_a_renewed_source_has_the_properties_of_its_object():
    source = renewed_source(Described(expired=True), Described)
    assert keeping_properties(source).properties() == {"ward": "north"}
    assert source.read_beside(".beside", 5) == DATA[:5]


@pytest.mark.parametrize("source", [Ranges(), FileSource(io.BytesIO(DATA)), renewed_source(Ranges(), lambda: None)])
def test_a_storage_without_properties_is_told(source):
    with pytest.raises(NotSupported, match="keeps no metadata with its objects"):
        keeping_properties(source).properties()
    with pytest.raises(NotSupported, match="keeps no metadata with its objects"):
        keeping_properties(source).read_beside(".beside", 5)


def test_a_sink_without_properties_is_told(tmp_path):
    sink = PathSink(tmp_path / "object")
    with pytest.raises(NotSupported, match="keeps no metadata with its objects"):
        give_properties(sink, {"ward": "north"})
    sink.discard()
