from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
import servers
from botocore.exceptions import ClientError, EndpointConnectionError
from patience import PATIENCE

import connectors
from connectors.credentials.model import validate
from connectors.errors import (
    AccessDenied,
    ConfigError,
    ConnectorError,
    CredentialsExpired,
    NotAnObject,
    ObjectExists,
    ObjectNotFound,
    StorageUnavailable,
)
from connectors.streams import SealedWriter, buffered
from connectors.testing.tools import in_child
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3
from connectors_s3.sink import MAX_PART_SIZE, MAX_PARTS, PART_SIZE, S3Sink, size_of_part

MIB = 1 << 20
Stored = Callable[[str], bytes | None]
Uploads = Callable[[str], list[Any]]


def failing(
    fs: S3, monkeypatch: pytest.MonkeyPatch, method: str, times: int = 1_000, after: int = 0, *, late: bool = False
) -> None:
    """Make `method` fail with a connection error; with `late`, only after S3 has processed the request."""
    real, seen = fs.call_s3, 0

    def call_s3(name: str, **arguments: Any) -> Any:
        nonlocal seen
        if name == method:
            seen += 1
            if after < seen <= after + times:
                if late:
                    real(name, **arguments)
                raise EndpointConnectionError(endpoint_url="https://signed.example/?X-Amz-Signature=5ec2e7")
        return real(name, **arguments)

    monkeypatch.setattr(fs, "call_s3", call_s3)


def arrived(sink: S3Sink) -> None:
    """Wait until no part is being sent."""
    assert sink._upload is not None
    wait(sink._upload.parts._travelling)


def watching(
    fs: S3, monkeypatch: pytest.MonkeyPatch, upload_part: Callable[[int, Callable[[], Any]], Any]
) -> list[str]:
    """Make `upload_part` send the parts, given their number; return a log of requests and responses, in order."""
    real, log = fs.call_s3, []

    def call_s3(method: str, **arguments: Any) -> Any:
        name = f"part {arguments['PartNumber']}" if method == "upload_part" else method
        log.append(name)
        if method == "upload_part":
            response = upload_part(arguments["PartNumber"], lambda: real(method, **arguments))
        else:
            response = real(method, **arguments)
        log.append(f"{name} done")
        return response

    monkeypatch.setattr(fs, "call_s3", call_s3)
    return log


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
    assert calls == ["put_object"]


def test_large_object_is_sent_in_parts_while_it_is_written(fs: S3, path: str, calls: list[str]) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(11 * MIB)))
    arrived(sink)
    assert calls == ["create_multipart_upload", "upload_part", "upload_part"]
    sink.commit()
    assert calls[3:] == ["upload_part", "complete_multipart_upload"]


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


@pytest.mark.parametrize("method", ["create_multipart_upload", "upload_part", "complete_multipart_upload"])
def test_failing_request_aborts_the_upload(
    fs: S3, path: str, stored: Stored, uploads: Uploads, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    fs.pipe_file(path, b"previous")
    failing(fs, monkeypatch, method, after=1 if method == "upload_part" else 0)
    sink = fs.open_sink(path)

    def write() -> None:
        sink.write(memoryview(os.urandom(12 * MIB)))
        sink.commit()

    with pytest.raises(StorageUnavailable, match="cannot be reached") as caught:
        write()
    assert caught.value.__context__ is None
    assert "5ec2e7" not in str(caught.value)
    assert stored(path) == b"previous"
    assert uploads(path) == []
    with pytest.raises(StorageUnavailable, match="was already discarded"):
        sink.commit()
    with pytest.raises(StorageUnavailable, match="was already discarded"):
        sink.write(memoryview(b"more"))


def test_failing_put_keeps_the_previous_object(
    fs: S3, path: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.pipe_file(path, b"previous")
    failing(fs, monkeypatch, "put_object")
    sink = fs.open_sink(path)
    sink.write(memoryview(b"new"))
    with pytest.raises(StorageUnavailable):
        sink.commit()
    assert stored(path) == b"previous"


def test_failed_part_raises_our_error_and_leaves_nothing(
    fs: S3, credentials: S3Credentials, path: str, stored: Stored, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(fs, monkeypatch, "upload_part", times=1, after=1)
    with (
        pytest.raises(StorageUnavailable, match="^output/result: S3 cannot be reached"),
        SealedWriter(fs.open_sink(path), credentials.codec(), name="output/result") as writer,
    ):
        writer.write(os.urandom(16 * MIB))
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
    bucket, _, key = path.partition("/")
    fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload["UploadId"])
    with pytest.raises(StorageUnavailable, match=f"the upload of s3://{path} no longer exists"):
        sink.write(memoryview(bytes(more)))
        sink.commit()
    assert uploads(path) == []
    assert "cannot abort" not in caplog.text  # there was nothing left to abort


def test_lost_response_to_completion_is_an_error_and_leaves_no_parts(
    fs: S3, path: str, stored: Stored, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(6 * MIB)
    failing(fs, monkeypatch, "complete_multipart_upload", late=True)
    sink = fs.open_sink(path)
    sink.write(memoryview(data))
    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        sink.commit()
    assert stored(path) == data  # complete or absent
    assert uploads(path) == []


def test_failed_abort_is_logged_and_hides_no_error(
    fs: S3, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing(fs, monkeypatch, "abort_multipart_upload")
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(6 * MIB)))
    with caplog.at_level(logging.WARNING):
        sink.discard()
    assert f"whose parts remain stored and may cost money: S3 cannot be reached for s3://{path}" in caplog.text
    assert "5ec2e7" not in caplog.text
    monkeypatch.undo()
    assert sink._upload is not None
    fs.call_s3("abort_multipart_upload", Bucket="clinic", Key=path.partition("/")[2], UploadId=sink._upload.id)


def test_second_discard_does_nothing(fs: S3, path: str, calls: list[str]) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(6 * MIB)))
    arrived(sink)
    sink.discard()
    sink.discard()
    assert calls == ["create_multipart_upload", "upload_part", "abort_multipart_upload"]


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
    with pytest.raises(ObjectExists, match="already exists, and mode 'xb' does not replace it .PreconditionFailed"):
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
    with pytest.raises(AccessDenied, match="SignatureDoesNotMatch"):
        sink.commit()


@pytest.mark.parametrize("path", ["clinic", "clinic/", "clinic/folder/"])
def test_bucket_or_folder_is_not_an_object(fs: S3, path: str) -> None:
    with pytest.raises(NotAnObject, match="name an object in it"):
        fs.open_sink(path)


def test_parts_grow_so_that_ten_thousand_hold_the_largest_object() -> None:
    total, at_90_gib = 0, 0
    for before in range(MAX_PARTS):
        size = size_of_part(PART_SIZE, before)
        at_90_gib = size if total <= 90 << 30 else at_90_gib
        total += size
    assert total >= 5 << 40
    assert size == MAX_PART_SIZE <= 5 << 30
    assert at_90_gib == 64 * MIB


def test_server_side_encryption_is_requested(
    document: dict[str, Any], path: str, s3: servers.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = S3(validate(S3Credentials, {**document, "server_side_encryption": "aws:kms", "kms_key_id": "alias/clinic"}))
    requests: list[dict[str, Any]] = []
    monkeypatch.setattr(
        fs, "call_s3", lambda _, **arguments: requests.append(arguments) or {"UploadId": "1", "ETag": "e"}
    )
    for size in (10, PART_SIZE + 1):
        sink = fs.open_sink(path)
        sink.write(memoryview(bytes(size)))
        sink.commit()
    wanted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/clinic"}
    assert [wanted.items() <= one.items() for one in requests[:2]] == [True, True]
    assert "ServerSideEncryption" not in requests[2]


def test_more_parts_than_s3_allows_are_not_sent(
    fs: S3, path: str, calls: list[str], uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors_s3.sink.MAX_PARTS", 2)
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(15 * MIB)))
    with pytest.raises(ConnectorError, match="too large to be written in 2 parts; nothing was written"):
        sink.commit()
    assert calls.count("upload_part") == 2
    assert uploads(path) == []


def test_parts_below_the_minimum_size_are_refused(credentials: S3Credentials) -> None:
    with pytest.raises(ConfigError, match="at least 5242880 bytes, not 1048576"):
        S3(credentials, part_size=1 << 20)


@pytest.mark.parametrize("size", [100, 12 * MIB])
def test_upload_continues_with_renewed_credentials(
    s3: servers.S3Server,
    document: dict[str, Any],
    path: str,
    stored: Stored,
    uploads: Uploads,
    tmp_path: Path,
    size: int,
) -> None:
    folder = tmp_path / "output" / "result" / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(f"s3://{path}")
    # The store has no temporary keys, so the error for expired ones is simulated.
    (folder / "credentials.bin").write_text(json.dumps(document))
    dataset = connectors.load(tmp_path)["output"]["result"]
    before = dataset.filesystem()[0].fs
    real = before.call_s3

    def call_s3(method: str, **arguments: Any) -> Any:
        if method in ("put_object", "complete_multipart_upload"):
            raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "t0ken"}}, method)
        return real(method, **arguments)

    before.call_s3 = call_s3
    data = os.urandom(size)
    with pytest.raises(CredentialsExpired, match="output/result: the credentials for .* have expired"):
        dataset.write_bytes(data)
    assert stored(path) is None
    assert uploads(path) == []
    with dataset.open("wb") as file:
        file.write(data)
        (folder / "credentials.bin").write_text(json.dumps({**document, "path_style": True}))
    sealed = stored(path)
    assert sealed is not None
    assert dataset.filesystem()[0].fs is not before
    assert dataset.read_bytes() == data
    assert uploads(path) == []


def test_parts_sent_out_of_order_are_stored_in_order(
    fs: S3, path: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [threading.Event() for _ in range(6)]
    sent[5].set()

    def upload_part(number: int, send: Callable[[], Any]) -> Any:
        assert sent[number + 1].wait(PATIENCE)  # the last part is sent first
        response = send()
        sent[number].set()
        return response

    log = watching(fs, monkeypatch, upload_part)
    data = os.urandom(17 * MIB)
    sink = fs.open_sink(path)
    sink.write(memoryview(data))
    sink.commit()
    assert [one for one in log if one.startswith("part") and one.endswith("done")] == [
        "part 4 done",
        "part 3 done",
        "part 2 done",
        "part 1 done",
    ]
    assert stored(path) == data


def test_at_most_four_parts_are_sent_at_once(
    fs: S3, path: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, in_flight, most = threading.Barrier(4), set(), []

    def upload_part(number: int, send: Callable[[], Any]) -> Any:
        in_flight.add(number)
        started.wait(PATIENCE)
        most.append(len(in_flight))
        response = send()
        in_flight.remove(number)
        return response

    watching(fs, monkeypatch, upload_part)
    data = os.urandom(40 * MIB)
    sink = fs.open_sink(path)
    sink.write(memoryview(data))
    sink.commit()
    assert max(most) == 4
    assert stored(path) == data


def test_no_part_is_sent_after_a_failure(
    fs: S3, path: str, stored: Stored, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def upload_part(number: int, send: Callable[[], Any]) -> Any:
        if number == 2:
            failed.set()
            raise EndpointConnectionError(endpoint_url="https://signed.example/?X-Amz-Signature=5ec2e7")
        assert failed.wait(PATIENCE)
        return send()

    log = watching(fs, monkeypatch, upload_part)
    sink = fs.open_sink(path)
    with pytest.raises(StorageUnavailable, match="cannot be reached") as caught:
        sink.write(memoryview(os.urandom(80 * MIB)))
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert set(log) <= {
        "create_multipart_upload",
        "create_multipart_upload done",
        *(f"part {number}{done}" for number in range(1, 6) for done in ("", " done")),
        "abort_multipart_upload",
        "abort_multipart_upload done",
    }
    assert log[-2:] == ["abort_multipart_upload", "abort_multipart_upload done"]
    assert stored(path) is None
    assert uploads(path) == []


def test_upload_is_aborted_only_after_its_parts_have_been_sent(
    fs: S3, path: str, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, aborted = threading.Barrier(4), threading.Event()

    def upload_part(_: int, send: Callable[[], Any]) -> Any:
        started.wait(PATIENCE)
        aborted.wait(0.5)  # a part that the abort does not wait for arrives after it
        return send()

    log = watching(fs, monkeypatch, upload_part)
    real = fs.call_s3

    def call_s3(method: str, **arguments: Any) -> Any:
        if method == "abort_multipart_upload":
            real(method, **arguments)
            aborted.set()
            return {}
        return real(method, **arguments)

    monkeypatch.setattr(fs, "call_s3", call_s3)
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(16 * MIB)))
    waiting = threading.Thread(target=started.wait, args=[30])
    waiting.start()
    waiting.join()
    sink.discard()
    done = [log.index(f"part {number} done") for number in (1, 2, 3)]
    assert max(done) < log.index("abort_multipart_upload")
    assert uploads(path) == []


def expired(fs: S3, monkeypatch: pytest.MonkeyPatch, *methods: str, together: int = 1) -> None:
    """Make `methods` of `fs` fail with expired credentials, parts when `together` of them are being sent."""
    real, started = fs.call_s3, threading.Barrier(together)

    def call_s3(method: str, **arguments: Any) -> Any:
        if method in methods:
            if method == "upload_part":
                arguments["Body"].read(1000)  # like a failed attempt
                started.wait(PATIENCE)
            raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "t0ken"}}, method)
        return real(method, **arguments)

    monkeypatch.setattr(fs, "call_s3", call_s3)


def test_credentials_that_expire_while_parts_are_sent_are_renewed_once(
    fs: S3, credentials: S3Credentials, path: str, stored: Stored, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired(fs, monkeypatch, "upload_part", "complete_multipart_upload", together=4)
    renewed = []

    def renew(before: S3) -> S3:
        renewed.append(before)
        return S3(credentials, part_size=5 << 20)

    data = os.urandom(38 * MIB)
    sink = fs.open_sink(path)
    sink.renew_by(renew)
    sink.write(memoryview(data))
    sink.commit()
    assert renewed == [fs]
    assert stored(path) == data
    assert uploads(path) == []


def test_expired_credentials_without_renewal_leave_nothing(
    fs: S3, path: str, stored: Stored, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired(fs, monkeypatch, "upload_part")
    sink = fs.open_sink(path)
    sink.renew_by(lambda before: before)
    with pytest.raises(CredentialsExpired) as caught:
        sink.write(memoryview(bytes(60 * MIB)))
    assert caught.value.__context__ is None
    assert "t0ken" not in str(caught.value)
    assert stored(path) is None
    assert uploads(path) == []


def test_upload_is_aborted_with_renewed_credentials(
    fs: S3, credentials: S3Credentials, path: str, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired(fs, monkeypatch, "abort_multipart_upload")
    sink = fs.open_sink(path)
    sink.renew_by(lambda _: S3(credentials))
    sink.write(memoryview(bytes(6 * MIB)))
    sink.discard()
    assert uploads(path) == []


def test_memory_holds_few_parts_and_no_copies(fs: S3, path: str) -> None:
    data = memoryview(bytes(5 * MIB))
    fs.exists(path)  # what the library loads first does not belong to the parts
    tracemalloc.start()
    try:
        sink = fs.open_sink(path)
        for _ in range(20):
            sink.write(data)
        sink.commit()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Four parts being sent, one being filled, and the memory of the requests and their connections.
    assert most < 5 * 5 * MIB + 5 * MIB


def use(sink: S3Sink) -> str:
    sink.discard()
    try:
        sink.write(memoryview(b"x"))
    except ConnectorError as error:
        return str(error)
    return "written"


@pytest.mark.parametrize("size", [10, 12 * MIB])
def test_forked_child_leaves_the_parent_s_sink_alone(fs: S3, path: str, stored: Stored, size: int) -> None:
    data = os.urandom(size)
    sink = fs.open_sink(path)
    sink.write(memoryview(data))
    assert "was opened for writing by the parent process" in in_child("fork", use, sink)
    sink.commit()
    assert stored(path) == data


def test_discard_in_the_thread_of_the_requests_aborts_the_upload(fs: S3, path: str, uploads: Uploads) -> None:
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(12 * MIB)))
    assert len(uploads(path)) == 1
    discarded = threading.Event()
    fs.loop.call_soon_threadsafe(lambda: (sink.discard(), discarded.set()))
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


PROGRAM = """
import atexit, json, os, sys, weakref
from connectors.credentials.model import validate
from connectors.streams import SealedWriter
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3
what, path, document = sys.argv[1:]
credentials = validate(S3Credentials, json.loads(document))
fs = S3(credentials, part_size=5 << 20)
fs.exists(path)
writer = SealedWriter(fs.open_sink(path), credentials.codec())
if what == "closed":
    atexit.register(writer.close)
writer.write(bytes(23 << 20))
"""


@pytest.mark.parametrize("what", ["dropped", "closed"])
def test_interpreter_exit_does_not_hang_and_publishes_only_closed_files(
    document: dict[str, Any], path: str, stored: Stored, uploads: Uploads, what: str
) -> None:
    command = [sys.executable, "-c", PROGRAM, what, path, json.dumps(document)]
    subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    assert (stored(path) is not None) == (what == "closed")
    assert uploads(path) == []
