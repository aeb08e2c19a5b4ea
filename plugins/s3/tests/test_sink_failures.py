"""Requests that fail while an object is written: an error, and the previous object is kept."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from connectors.errors import StorageUnavailable
from connectors.streams import SealedWriter
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3

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
