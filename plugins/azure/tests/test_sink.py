"""Writing objects: whole or not at all, of any size; requests that fail, and what cannot be written."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from hostile import Answer

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    NotAnObject,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage import MultipartSink, PartSizes
from connectors.streams import SealedWriter, buffered
from connectors_azure import AzureCredentials
from connectors_azure.filesystem import AzureFileSystem

MIB = 1 << 20
Stored = Callable[[str], bytes | None]
OpenFs = Callable[..., AzureFileSystem]


def arrived(sink: MultipartSink) -> None:
    """Wait until all blocks that the sink is sending have arrived."""
    assert sink._upload is not None
    wait(sink._upload.parts._travelling)


@pytest.mark.parametrize("size", [0, 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 8 * MIB, 13 * MIB])
def test_object_of_any_size_is_stored_completely(fs: AzureFileSystem, path: str, stored: Stored, size: int) -> None:
    data = os.urandom(size)
    sink = fs.open_sink(path)
    for start in range(0, size, 3_000_001):
        sink.write(memoryview(data)[start : start + 3_000_001])
    assert stored(path) is None
    sink.commit()
    assert stored(path) == data


def test_small_object_is_one_request(proxy: Any, proxied: AzureFileSystem, path: str) -> None:
    sink = proxied.open_sink(path)
    sink.write(memoryview(bytes(4 * MIB)))
    sink.commit()
    assert proxy.seen == ["PUT"]


def test_large_object_is_sent_in_blocks_while_it_is_written(proxy: Any, proxied: AzureFileSystem, path: str) -> None:
    sink = proxied.open_sink(path)
    sink.write(memoryview(bytes(9 * MIB)))
    arrived(sink)
    assert proxy.seen == ["PUT block", "PUT block"]
    sink.commit()
    assert proxy.seen[2:] == ["PUT block", "PUT blocklist"]


def test_uncommitted_object_is_not_listed(fs: AzureFileSystem, path: str, listed: Callable[..., Any]) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(9 * MIB)))
    assert listed(path.partition("/")[2]) == []
    assert not fs.exists(path)
    sink.discard()
    assert listed(path.partition("/")[2]) == []


def test_caller_may_reuse_its_buffer(fs: AzureFileSystem, path: str, stored: Stored) -> None:
    buffer = bytearray(b"first")
    sink = fs.open_sink(path)
    sink.write(memoryview(buffer))
    buffer[:] = b"-----"
    sink.commit()
    assert stored(path) == b"first"


@pytest.mark.parametrize("size", [100, 10 * MIB])
def test_sealed_object_round_trip(
    fs: AzureFileSystem, credentials: AzureCredentials, path: str, stored: Stored, size: int
) -> None:
    data = os.urandom(size)
    with SealedWriter(fs.open_sink(path), credentials.codec()) as writer:
        writer.write(data)
    assert data[:100] not in (stored(path) or b"")
    with buffered(fs.open_source(path), credentials.codec()) as reader:
        assert reader.read() == data


@pytest.mark.parametrize("size", [100, 10 * MIB])
def test_with_block_that_raises_keeps_the_previous_object(
    fs: AzureFileSystem, credentials: AzureCredentials, path: str, stored: Stored, size: int
) -> None:
    fs.pipe_file(path, b"previous")
    with pytest.raises(RuntimeError, match="^the job failed$"):
        with SealedWriter(fs.open_sink(path), credentials.codec()) as writer:
            writer.write(os.urandom(size))
            message = "the job failed"
            raise RuntimeError(message)
    assert stored(path) == b"previous"


def test_next_commit_deletes_uncommitted_blocks(
    fs: AzureFileSystem, path: str, stored: Stored, service: BlobServiceClient
) -> None:
    left = fs.open_sink(path)
    left.write(memoryview(bytes(9 * MIB)))
    arrived(left)  # a block that no thread has started to send is never sent
    left.discard()
    blob = service.get_blob_client("ward", path.partition("/")[2])
    assert len(blob.get_block_list("uncommitted")[1]) == 2
    whole = os.urandom(9 * MIB)
    fs.pipe_file(path, whole)
    assert stored(path) == whole
    assert blob.get_block_list("uncommitted")[1] == []


def fail(method: str, times: int = 1_000, after: int = 0) -> Callable[[str, Answer], Answer]:
    """Replace the server's responses to `method` with errors, although the server has processed the requests."""
    seen = 0

    def instead(name: str, response: Answer) -> Answer:
        nonlocal seen
        if name == method:
            seen += 1
            if after < seen <= after + times:
                return Answer(500, {}, b"<Error><Code>InternalError</Code></Error>")
        return response

    return instead


def test_failed_block_is_an_error_and_keeps_the_previous_object(
    proxy: Any, proxied: AzureFileSystem, path: str, stored: Stored
) -> None:
    proxied.pipe_file(path, b"previous")
    proxy.instead = fail("PUT block", after=1)
    sink = proxied.open_sink(path)

    def write() -> None:
        sink.write(memoryview(os.urandom(13 * MIB)))
        sink.commit()

    with pytest.raises(StorageUnavailable, match="cannot write") as caught:
        write()
    assert caught.value.__context__ is None
    assert stored(path) == b"previous"
    with pytest.raises(StorageUnavailable, match="was already discarded"):
        sink.commit()
    with pytest.raises(StorageUnavailable, match="was already discarded"):
        sink.write(memoryview(b"more"))


@pytest.mark.parametrize(("method", "size"), [("PUT", 100), ("PUT block", 9 * MIB), ("PUT blocklist", 9 * MIB)])
@pytest.mark.parametrize("exclusive", [False, True])
def test_lost_response_does_not_fail_the_write(
    proxy: Any, proxied: AzureFileSystem, path: str, stored: Stored, method: str, size: int, exclusive: bool
) -> None:
    data = os.urandom(size)
    sink = proxied.open_sink(path, exclusive=exclusive)
    sink.write(memoryview(data))
    if size > 4 * MIB:
        arrived(sink)
    proxy.instead = fail(method, times=1)
    sink.commit()
    assert stored(path) == data
    assert proxy.seen.count(method) > 1


@pytest.mark.parametrize(("method", "size"), [("PUT", 100), ("PUT blocklist", 9 * MIB)])
def test_object_of_another_writer_is_kept_after_a_lost_response(
    proxy: Any, proxied: AzureFileSystem, fs: AzureFileSystem, path: str, stored: Stored, method: str, size: int
) -> None:
    sink = proxied.open_sink(path, exclusive=True)
    sink.write(memoryview(os.urandom(size)))
    other = os.urandom(size)
    fs.pipe_file(path, other)
    proxy.instead = fail(method, times=1)
    with pytest.raises(ObjectExists):
        sink.commit()
    assert stored(path) == other


def test_equal_object_of_another_writer_is_not_taken_for_our_own(
    proxy: Any, proxied: AzureFileSystem, fs: AzureFileSystem, path: str
) -> None:
    sink = proxied.open_sink(path, exclusive=True)
    sink.write(memoryview(b"locked"))
    fs.pipe_file(path, b"locked", mode="create")
    proxy.instead = fail("PUT", times=1)
    with pytest.raises(ObjectExists):
        sink.commit()


def test_repeatedly_lost_responses_are_an_error_and_store_no_part(
    proxy: Any, proxied: AzureFileSystem, path: str, stored: Stored
) -> None:
    data = os.urandom(9 * MIB)
    sink = proxied.open_sink(path)
    sink.write(memoryview(data))
    proxy.instead = fail("PUT blocklist")
    with pytest.raises(StorageUnavailable):
        sink.commit()
    assert stored(path) == data


def test_blocks_deleted_by_another_writer_are_reported(fs: AzureFileSystem, path: str, stored: Stored) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(os.urandom(9 * MIB)))
    arrived(sink)
    other = os.urandom(9 * MIB)
    fs.pipe_file(path, other)
    with pytest.raises(StorageError, match="are gone, because another client wrote it meanwhile; write it again"):
        sink.commit()
    assert stored(path) == other


def test_second_discard_does_nothing(proxy: Any, proxied: AzureFileSystem, path: str) -> None:
    sink = proxied.open_sink(path)
    sink.write(memoryview(bytes(9 * MIB)))
    arrived(sink)
    sink.discard()
    sink.discard()
    assert proxy.seen == ["PUT block", "PUT block"]


def test_committed_object_is_not_discarded(fs: AzureFileSystem, path: str, stored: Stored) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(b"new"))
    sink.commit()
    sink.discard()
    assert stored(path) == b"new"
    with pytest.raises(ValueError, match="was already committed"):
        sink.commit()


@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_only_one_of_two_exclusive_writers_succeeds(fs: AzureFileSystem, path: str, stored: Stored, size: int) -> None:
    first, second = fs.open_sink(path, exclusive=True), fs.open_sink(path, exclusive=True)
    first.write(memoryview(b"1" * size))
    second.write(memoryview(b"2" * size))
    first.commit()
    with pytest.raises(ObjectExists, match="already exists, and mode 'xb' does not replace it") as caught:
        second.commit()
    assert caught.value.__context__ is None or isinstance(caught.value.__context__, ConnectorError)
    assert stored(path) == b"1" * size


def test_only_one_of_two_exclusive_writers_of_equal_bytes_succeeds(fs: AzureFileSystem, path: str) -> None:
    sinks = [fs.open_sink(path, exclusive=True) for _ in range(2)]
    for sink in sinks:
        sink.write(memoryview(b"the same"))
    sinks[0].commit()
    with pytest.raises(ObjectExists):
        sinks[1].commit()


def test_exclusive_sink_fails_at_once_if_the_object_exists(fs: AzureFileSystem, path: str) -> None:
    fs.pipe_file(path, b"previous")
    with pytest.raises(ObjectExists, match=f"az://{path} already exists, and mode 'xb' does not replace it"):
        fs.open_sink(path, exclusive=True)


def test_missing_container_and_wrong_key_are_distinguished(
    fs: AzureFileSystem, open_fs: OpenFs, document: dict[str, Any], path: str
) -> None:
    sink = fs.open_sink("no-such-container/name")
    sink.write(memoryview(b"new"))
    with pytest.raises(ObjectNotFound, match="there is no such container"):
        sink.commit()
    sink = open_fs({**document, "account_key": "bm90IHRoZSBrZXk="}).open_sink(path)
    sink.write(memoryview(b"new"))
    with pytest.raises(AccessDenied, match="does not let these credentials write"):
        sink.commit()


def test_leased_object_is_not_replaced(fs: AzureFileSystem, path: str, stored: Stored, service: Any) -> None:
    fs.pipe_file(path, b"previous")
    lease = service.get_blob_client("ward", path.partition("/")[2]).acquire_lease()
    with pytest.raises(StorageError, match="is leased by another client; release or break the lease first"):
        fs.pipe_file(path, b"new")
    assert stored(path) == b"previous"
    lease.release()


def test_page_blob_is_not_replaced(fs: AzureFileSystem, path: str, service: Any) -> None:
    service.get_blob_client("ward", path.partition("/")[2]).create_page_blob(512)
    with pytest.raises(StorageError):
        fs.pipe_file(path, bytes(9 * MIB))


def test_container_is_no_object(fs: AzureFileSystem) -> None:
    with pytest.raises(NotAnObject, match="name an object in it"):
        fs.open_sink("ward")


def test_too_many_blocks_are_refused_before_they_are_sent(
    proxy: Any, proxied: AzureFileSystem, path: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxied, "_part_sizes", PartSizes(4 * MIB, 1, 4 * MIB, 2, 1 << 40))
    sink = proxied.open_sink(path)
    sink.write(memoryview(bytes(8 * MIB)))
    arrived(sink)
    with pytest.raises(ConnectorError, match="is too large to be written in 2 parts of this size; nothing was written"):
        sink.write(memoryview(bytes(1)))
    assert proxy.seen == ["PUT block"]
    assert stored(path) is None
