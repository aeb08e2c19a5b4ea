"""Writing objects: whole or not at all, of any size, and what cannot be written."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any

import pytest
from patience import PATIENCE

from connectors.errors import AccessDenied, NotAnObject, ObjectExists, ObjectNotFound, StorageUnavailable
from connectors.storage import MultipartSink
from connectors.streams import SealedWriter, buffered
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3

MIB = 1 << 20
Stored = Callable[[str], bytes | None]
Uploads = Callable[[str], list[Any]]


def arrived(sink: MultipartSink) -> None:
    """Wait until no part is being sent."""
    assert sink._upload is not None
    wait(sink._upload.parts._travelling)


@pytest.mark.parametrize("size", [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 13 * MIB])
def test_object_of_any_size_is_stored_completely(
    fs: S3, path: str, stored: Stored, uploads: Uploads, size: int
) -> None:
    data = os.urandom(size)
    sink = fs.open_sink(path)
    for start in range(0, size, 3_000_001):
        sink.write(memoryview(data)[start : start + 3_000_001])
    assert stored(path) is None
    sink.commit()
    assert stored(path) == data
    assert uploads(path) == []


def test_small_object_is_one_request(fs: S3, path: str, calls: list[str]) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(5 * MIB)))
    sink.commit()
    assert calls == ["PUT"]


def test_large_object_is_sent_in_parts_while_it_is_written(fs: S3, path: str, calls: list[str]) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(11 * MIB)))
    arrived(sink)
    assert calls == ["POST uploads", "PUT partNumber", "PUT partNumber"]
    sink.commit()
    assert calls[3:] == ["PUT partNumber", "POST uploadId"]


def test_caller_may_reuse_its_buffer(fs: S3, path: str, stored: Stored) -> None:
    buffer = bytearray(b"first")
    sink = fs.open_sink(path)
    sink.write(memoryview(buffer))
    buffer[:] = b"-----"
    sink.commit()
    assert stored(path) == b"first"


@pytest.mark.parametrize("size", [100, 12 * MIB])
def test_sealed_object_is_read_back_as_written(
    fs: S3, credentials: S3Credentials, path: str, stored: Stored, size: int
) -> None:
    data = os.urandom(size)
    with SealedWriter(fs.open_sink(path), credentials.codec()) as writer:
        writer.write(data)
    assert data[:100] not in (stored(path) or b"")
    with buffered(fs.open_source(path), credentials.codec()) as reader:
        assert reader.read() == data


@pytest.mark.parametrize("size", [100, 12 * MIB])
def test_block_that_raises_keeps_the_previous_object(
    fs: S3, credentials: S3Credentials, path: str, stored: Stored, uploads: Uploads, size: int
) -> None:
    fs.pipe_file(path, b"previous")
    unfinished = []
    with pytest.raises(RuntimeError, match="^the job failed$"):
        with SealedWriter(fs.open_sink(path), credentials.codec()) as writer:
            writer.write(os.urandom(size))
            unfinished = uploads(path)
            message = "the job failed"
            raise RuntimeError(message)
    assert len(unfinished) == (size > MIB)  # there was something to abort
    assert stored(path) == b"previous"
    assert uploads(path) == []


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_dropped_writer_leaves_no_object_and_no_parts(
    fs: S3, credentials: S3Credentials, path: str, stored: Stored, uploads: Uploads
) -> None:
    writer = SealedWriter(fs.open_sink(path), credentials.codec())
    writer.write(os.urandom(12 * MIB))
    assert len(uploads(path)) == 1
    del writer
    assert stored(path) is None
    assert uploads(path) == []


@pytest.mark.parametrize("more", [0, 6 * MIB])
def test_aborted_upload_is_not_reported_as_a_missing_object(
    fs: S3, path: str, uploads: Uploads, caplog: pytest.LogCaptureFixture, more: int
) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(6 * MIB)))
    arrived(sink)
    (upload,) = uploads(path)
    fs.store.abort_upload(path, upload["UploadId"])
    with pytest.raises(StorageUnavailable, match=f"the upload of s3://{path} no longer exists"):
        sink.write(memoryview(bytes(more)))
        sink.commit()
    assert uploads(path) == []
    assert "cannot abort" not in caplog.text  # there was nothing left to abort


def test_second_discard_does_nothing(fs: S3, path: str, calls: list[str]) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(6 * MIB)))
    arrived(sink)
    sink.discard()
    sink.discard()
    assert calls == ["POST uploads", "PUT partNumber", "DELETE uploadId"]


def test_committed_object_is_not_discarded(fs: S3, path: str, stored: Stored) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(b"new"))
    sink.commit()
    sink.discard()
    assert stored(path) == b"new"
    with pytest.raises(ValueError, match="was already committed"):
        sink.commit()


@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_exclusive_creation_lets_one_of_two_win(fs: S3, path: str, stored: Stored, uploads: Uploads, size: int) -> None:
    first, second = fs.open_sink(path, exclusive=True), fs.open_sink(path, exclusive=True)
    first.write(memoryview(b"1" * size))
    second.write(memoryview(b"2" * size))
    first.commit()
    with pytest.raises(ObjectExists, match="already exists, and mode 'xb' does not replace it .412 PreconditionFailed"):
        second.commit()
    assert stored(path) == b"1" * size
    assert uploads(path) == []


def test_exclusive_creation_fails_at_once_if_the_object_exists(fs: S3, path: str) -> None:
    fs.pipe_file(path, b"previous")
    with pytest.raises(ObjectExists, match=f"s3://{path} already exists, and mode 'xb' does not replace it$"):
        fs.open_sink(path, exclusive=True)


def test_missing_bucket_and_wrong_secret_are_different_errors(fs: S3, document: dict[str, Any], path: str) -> None:
    sink = fs.open_sink("no-such-bucket/key")
    sink.write(memoryview(b"new"))
    with pytest.raises(ObjectNotFound, match="there is no such bucket"):
        sink.commit()
    stranger = S3(S3Credentials.model_validate({**document, "secret_access_key": "not-the-secret"}))
    sink = stranger.open_sink(path)
    sink.write(memoryview(b"new"))
    with pytest.raises(AccessDenied, match="403 SignatureDoesNotMatch"):
        sink.commit()


@pytest.mark.parametrize("path", ["clinic", "clinic/", "clinic/folder/"])
def test_bucket_or_folder_is_not_an_object(fs: S3, path: str) -> None:
    with pytest.raises(NotAnObject, match="name an object in it"):
        fs.open_sink(path)


def test_discard_in_a_thread_that_sends_aborts_the_upload(
    fs: S3, path: str, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, discarded = fs.store.send_part, threading.Event()
    sink = fs.open_sink(path)

    def send_part(*args: Any, **options: Any) -> Any:
        sink.discard()
        discarded.set()
        return real(*args, **options)

    monkeypatch.setattr(fs.store, "send_part", send_part)
    sink.write(memoryview(bytes(6 * MIB)))
    assert discarded.wait(PATIENCE)
    for thread in threading.enumerate():
        if thread.name == "connectors-abandon":
            thread.join(PATIENCE)
    assert uploads(path) == []


def test_dropped_sink_leaves_no_parts(fs: S3, path: str, uploads: Uploads) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(12 * MIB)))
    assert len(uploads(path)) == 1
    del sink
    assert uploads(path) == []
