from __future__ import annotations

import dataclasses
import json
import logging
import os
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hostile import Answer

from connectors.errors import (
    AccessDenied,
    ConfigError,
    CredentialsExpired,
    NotAnObject,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage import MultipartSink, RetryPolicy
from connectors.storage import Request as Sent
from connectors.streams import SealedWriter
from connectors_gcs import GcsCredentials
from connectors_gcs.filesystem import CHUNK_SIZE, CHUNK_UNIT, MAX_SIZE, Gcs

KIB256 = 1 << 18
MIB = 1 << 20
PATH = "clinic/key"
Stored = Callable[[str], bytes | None]


def write(fs: Gcs, data: bytes, path: str = PATH, **options: Any) -> MultipartSink:
    sink = fs.open_sink(path, **options)
    for start in range(0, len(data), 300_001):
        sink.write(memoryview(data)[start : start + 300_001])
    return sink


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 5])
def test_object_of_any_size_is_stored_completely(fs: Gcs, path: str, stored: Stored, size: int) -> None:
    data = os.urandom(size)
    sink = write(fs, data, path)
    assert stored(path) is None
    sink.commit()
    assert stored(path) == data


def test_small_object_is_one_request(fs: Gcs, path: str, calls: list[str]) -> None:
    write(fs, bytes(MIB), path).commit()
    assert calls == ["POST multipart"]


def test_large_object_is_sent_in_chunks_while_it_is_written(fs: Gcs, path: str, calls: list[str]) -> None:
    sink = write(fs, bytes(3 * MIB + 1), path)
    assert calls[:3] == ["POST resumable", "PUT upload_id", "PUT upload_id"]  # the third may still be under way
    sink.commit()
    assert calls[3:] == ["PUT upload_id"] * 2


@pytest.mark.parametrize("size", [0, 100, KIB256, KIB256 + 1, 3 * KIB256, 5 * KIB256 - 1])
def test_strict_storage_accepts_what_is_sent(strict: Gcs, google: Any, size: int) -> None:
    data = os.urandom(size)
    sink = write(strict, data)
    assert google.objects == {}
    sink.commit()
    assert google.objects["key"][1] == data


def test_caller_may_reuse_its_buffer(strict: Gcs, google: Any) -> None:
    buffer = bytearray(b"first")
    sink = strict.open_sink(PATH)
    sink.write(memoryview(buffer))
    buffer[:] = b"-----"
    sink.commit()
    assert google.objects["key"][1] == b"first"


def test_upload_uses_the_document_s_server_and_no_token(strict: Gcs, google: Any) -> None:
    write(strict, bytes(KIB256 + 1)).commit()  # the session's URL names another host
    sent = [request.headers.get("authorization") for request in google.seen]
    assert sent == ["Bearer ya29.the-token", None, None]


@pytest.mark.parametrize(
    "place",
    ["", "https://[", "no path", "https://storage.example", "/a b", "/\r\nX-Evil: 1", "/" + "a" * 9000],
)
def test_invalid_upload_url_is_refused(strict: Gcs, google: Any, place: str) -> None:
    google.answering["POST resumable"] = [Answer(200, {"Location": place})]
    with pytest.raises(StorageUnavailable, match="returned no usable URL for the upload"):
        write(strict, bytes(KIB256 + 1)).commit()
    assert google.requests == ["POST resumable"]


@pytest.mark.parametrize("size", [100, KIB256 * 3])
def test_block_that_raises_keeps_the_previous_object(
    strict: Gcs, google: Any, credentials: GcsCredentials, size: int
) -> None:
    strict.pipe_file(PATH, b"stood there")
    underway = {}
    with pytest.raises(RuntimeError, match="^the job failed$"):
        with SealedWriter(strict.open_sink(PATH), credentials.codec()) as writer:
            writer.write(os.urandom(4 * size))
            writer._background.wait()
            underway = dict(google.sessions)
            message = "the job failed"
            raise RuntimeError(message)
    assert len(underway) == (size > KIB256)  # there was something to cancel
    assert google.objects["key"][1] == b"stood there"
    assert google.sessions == {}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_dropped_writer_leaves_no_object_and_no_upload(strict: Gcs, google: Any, credentials: GcsCredentials) -> None:
    writer = SealedWriter(strict.open_sink(PATH), credentials.codec())
    writer.write(os.urandom(2 * MIB))
    writer._background.wait()
    assert len(google.sessions) == 1
    del writer
    assert google.objects == google.sessions == {}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("size", [100, 4 * KIB256 + 3])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("times", [1, 2])
def test_lost_responses_change_nothing(
    strict: Gcs, google: Any, size: int, late: bool, exclusive: bool, times: int
) -> None:
    kinds = ["POST multipart", "POST resumable", "PUT chunk", "PUT question"]
    google.losing = dict.fromkeys(kinds, (times, late))
    data = os.urandom(size)
    write(strict, data, exclusive=exclusive).commit()
    assert google.objects["key"][1] == data
    assert all(session["told"] for session in google.sessions.values() if session["data"])


@pytest.mark.parametrize("kind", ["POST resumable", "PUT chunk"])
def test_write_without_responses_is_an_error_and_leaves_nothing(strict: Gcs, google: Any, kind: str) -> None:
    strict.pipe_file(PATH, b"stood there")
    google.losing = {kind: (1000, False), "PUT question": (1000, False)}
    sink = strict.open_sink(PATH)
    with pytest.raises(StorageUnavailable, match="sent an incomplete response about gs://clinic/key") as caught:
        sink.write(memoryview(os.urandom(MIB)))
    assert caught.value.__context__ is None
    assert google.objects["key"][1] == b"stood there"
    assert google.sessions == {}
    with pytest.raises(StorageUnavailable, match="was already discarded"):
        sink.commit()
    with pytest.raises(StorageUnavailable, match="was already discarded"):
        sink.write(memoryview(b"more"))


def test_failing_upload_keeps_the_previous_object(strict: Gcs, google: Any) -> None:
    strict.pipe_file(PATH, b"stood there")
    google.losing = {"POST multipart": (1000, False)}
    with pytest.raises(StorageUnavailable):
        write(strict, b"new").commit()
    assert google.objects["key"][1] == b"stood there"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_overloaded_storage_is_retried(strict: Gcs, google: Any, status: int) -> None:
    busy = Answer(status, {}, b"<html>busy</html>")
    google.answering = {"POST resumable": [busy], "PUT chunk": [busy, busy]}
    data = os.urandom(KIB256 * 2 + 1)
    write(strict, data).commit()
    assert google.objects["key"][1] == data
    assert google.requests.count("PUT question") == 2


def test_chunk_that_is_accepted_in_part_is_resumed(strict: Gcs, google: Any) -> None:
    data = os.urandom(4 * MIB + 1)
    fs = Gcs(strict_credentials(google.url), chunk_size=MIB)
    google.takes = KIB256
    write(fs, data).commit()
    assert google.requests.count("PUT chunk") == 4 * 4 + 1
    assert google.objects["key"][1] == data


def strict_credentials(url: str) -> GcsCredentials:
    return GcsCredentials.model_validate({"token": "ya29.the-token", "endpoint_url": url, "encryption": None})


def test_upload_that_accepts_nothing_fails(strict: Gcs, google: Any) -> None:
    google.takes = 0
    with pytest.raises(StorageUnavailable, match="accepts no more bytes"):
        write(strict, bytes(KIB256 + 1)).commit()
    assert google.requests.count("PUT chunk") == RetryPolicy.attempts
    assert google.sessions == {}


@pytest.mark.parametrize("arrived", ["bytes=0-9", "bytes=0-99999999", "nonsense", "bytes=5-262143"])
def test_upload_that_forgets_or_invents_bytes_fails(strict: Gcs, google: Any, arrived: str) -> None:
    google.answering["PUT chunk"] = [Answer(308, {"Range": f"bytes=0-{KIB256 - 1}"}), Answer(308, {"Range": arrived})]
    with pytest.raises(StorageUnavailable, match="lost part of the upload of gs://clinic/key"):
        write(strict, bytes(2 * KIB256 + 1)).commit()
    assert google.sessions == {}


@pytest.mark.parametrize("status", [404, 410])
def test_expired_upload_is_not_reported_as_a_missing_object(
    strict: Gcs, google: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    google.answering["PUT chunk"] = [Answer(308, {"Range": f"bytes=0-{KIB256 - 1}"}), Answer(status)]
    google.answering["DELETE session"] = [Answer(status)]
    with pytest.raises(StorageUnavailable, match="the upload of gs://clinic/key was cancelled or has expired"):
        write(strict, bytes(KIB256 + 1)).commit()
    assert "cannot abort" not in caplog.text  # there was nothing left to cancel


def test_upload_that_finishes_too_early_leaves_no_partial_object(strict: Gcs, google: Any) -> None:
    google.objects["key"] = (4711, b"the half")
    google.answering["PUT chunk"] = [Answer(200, {}, b'{"generation": "4711"}')]
    with pytest.raises(StorageUnavailable, match="finished the upload of gs://clinic/key too early"):
        write(strict, bytes(KIB256 + 1)).commit()
    assert google.objects == {}


@pytest.mark.parametrize("size", [100, KIB256 + 1])
@pytest.mark.parametrize("told", [{"md5Hash": "AAAAAAAAAAAAAAAAAAAAAA=="}, {"size": "7"}, {"size": None}])
def test_object_that_differs_from_what_was_sent_is_removed(
    strict: Gcs, google: Any, size: int, told: dict[str, Any]
) -> None:
    google.objects["key"] = (4711, b"another one")
    page = {"size": str(size), "generation": "4711", **told}
    kind = "POST multipart" if size == 100 else "PUT chunk"
    sink = strict.open_sink(PATH)
    google.answering[kind] = [Answer(200, {}, json.dumps(page).encode())]
    if size > KIB256:
        google.answering[kind].insert(0, Answer(308, {"Range": f"bytes=0-{KIB256 - 1}"}))
    sink.write(memoryview(bytes(size)))
    with pytest.raises(StorageUnavailable, match="stored other bytes at gs://clinic/key than were sent"):
        sink.commit()
    assert google.objects == {}
    sink.discard()


@pytest.mark.parametrize("page", [b"", b"OK", b"[]", b'{"generation": "../../b/other"}', b"[" * 100_000])
def test_invalid_response_removes_nothing(strict: Gcs, google: Any, page: bytes) -> None:
    google.objects["key"] = (4711, b"stood there")
    google.answering["POST multipart"] = [Answer(200, {}, page)]
    with pytest.raises(StorageUnavailable, match="stored other bytes at gs://clinic/key than were sent"):
        write(strict, b"new").commit()
    assert google.requests == ["POST multipart"]


def test_storage_refuses_an_upload_that_was_changed_in_transit(
    strict: Gcs, google: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = strict.store.client.send

    def send(request: Sent, *busy: Any) -> Any:
        assert isinstance(request.body, bytes)
        return real(dataclasses.replace(request, body=request.body.replace(b"new", b"neu")))

    monkeypatch.setattr(strict.store.client, "send", send)
    with pytest.raises(StorageError, match="refused to write gs://clinic/key"):
        write(strict, b"new").commit()
    assert google.objects == {}


def test_failed_cancellation_is_logged_and_hides_no_error(
    strict: Gcs, google: Any, caplog: pytest.LogCaptureFixture
) -> None:
    google.answering["DELETE session"] = [Answer(403)]
    sink = write(strict, bytes(KIB256 + 1))
    with caplog.at_level(logging.WARNING):
        sink.discard()
    assert (
        "cannot abort an unfinished upload, whose parts may remain stored and cost money: "
        "Google Cloud Storage does not let these credentials write" in caplog.text
    )
    assert "session-0" not in caplog.text


def test_second_discard_does_nothing(fs: Gcs, path: str, calls: list[str], stored: Stored) -> None:
    sink = write(fs, bytes(MIB + 1), path)
    sink.discard()
    sink.discard()
    assert calls == ["POST resumable", "PUT upload_id", "DELETE upload_id"]
    assert stored(path) is None


def test_committed_object_is_not_discarded(strict: Gcs, google: Any) -> None:
    sink = write(strict, b"new")
    sink.commit()
    sink.discard()
    assert google.objects["key"][1] == b"new"
    with pytest.raises(ValueError, match="was already committed"):
        sink.commit()


@pytest.mark.parametrize("size", [10, 3 * KIB256])
def test_exclusive_creation_lets_one_of_two_win(strict: Gcs, google: Any, size: int) -> None:
    first, second = strict.open_sink(PATH, exclusive=True), strict.open_sink(PATH, exclusive=True)
    first.write(memoryview(b"1" * size))
    second.write(memoryview(b"2" * size))
    first.commit()
    with pytest.raises(ObjectExists, match="already exists, and mode 'xb' does not replace it"):
        second.commit()
    assert google.objects["key"][1] == b"1" * size
    assert all(session["told"] for session in google.sessions.values())


def test_exclusive_creation_knows_its_object_after_a_lost_response(strict: Gcs, google: Any) -> None:
    sink = write(strict, b"mine", exclusive=True)
    google.objects["key"] = (4711, b"somebody else's")
    google.losing = {"POST multipart": (1, True)}
    with pytest.raises(ObjectExists, match="already exists, and mode 'xb' does not replace it"):
        sink.commit()
    assert google.objects["key"][1] == b"somebody else's"


def test_exclusive_creation_fails_at_once_if_the_object_exists(fs: Gcs, path: str) -> None:
    fs.pipe_file(path, b"stood there")
    with pytest.raises(ObjectExists, match=f"gs://{path} already exists"):
        fs.open_sink(path, exclusive=True)


def test_exclusive_creation_needs_no_permission_to_read(strict: Gcs, google: Any) -> None:
    google.answering["GET object"] = [Answer(403)]
    write(strict, b"new", exclusive=True).commit()
    assert google.objects["key"][1] == b"new"


def test_exclusive_creation_fails_at_once_with_an_expired_token(strict: Gcs, google: Any) -> None:
    google.answering["GET object"] = [Answer(401)]
    with pytest.raises(CredentialsExpired):
        strict.open_sink(PATH, exclusive=True)


@pytest.mark.parametrize("size", [3, MIB + 1])
def test_missing_bucket_is_reported(fs: Gcs, size: int) -> None:
    with pytest.raises(ObjectNotFound, match="there is no such bucket: gs://no-such-bucket/key"):
        write(fs, bytes(size), "no-such-bucket/key").commit()


@pytest.mark.parametrize(("status", "kind"), [(401, CredentialsExpired), (403, AccessDenied)])
def test_refused_credentials_are_reported(strict: Gcs, google: Any, status: int, kind: type[StorageError]) -> None:
    google.answering = {"POST multipart": [Answer(status)]}
    with pytest.raises(kind, match=str(status)):
        write(strict, b"new").commit()


@pytest.mark.parametrize("path", ["clinic", "clinic/", "clinic/folder/"])
def test_bucket_or_folder_is_not_an_object(fs: Gcs, path: str) -> None:
    with pytest.raises(NotAnObject, match="name an object in it"):
        fs.open_sink(path)


def test_object_of_the_largest_size_is_written_and_no_larger_one(
    strict: Gcs, google: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CHUNK_SIZE % CHUNK_UNIT == 0
    sink = write(strict, bytes(KIB256 + 1))
    sink._size = MAX_SIZE - 1
    sink.write(memoryview(b"x"))
    with pytest.raises(StorageError, match="an object has at most 5497558138880 bytes"):
        sink.write(memoryview(b"x"))
    assert google.sessions == {}


@pytest.mark.parametrize("size", [0, 1, KIB256 - 1, KIB256 + 1, -KIB256])
def test_invalid_chunk_sizes_are_refused(credentials: GcsCredentials, size: int) -> None:
    with pytest.raises(ConfigError, match="a multiple of 262144 bytes"):
        Gcs(credentials, chunk_size=size)


def test_memory_holds_the_chunk_that_is_sent_and_the_next_one(strict: Gcs, google: Any) -> None:
    sink = strict.open_sink(PATH)
    sinks_own = [tracemalloc.Filter(True, "*/storage/multipart.py")]
    tracemalloc.start()
    for _ in range(64):
        sink.write(memoryview(bytes(100_000)))
        held = tracemalloc.take_snapshot().filter_traces(sinks_own).statistics("filename")
        assert sum(one.size for one in held) < 2 * KIB256 + 50_000
    tracemalloc.stop()
    sink.commit()
    assert len(google.objects["key"][1]) == 6_400_000
