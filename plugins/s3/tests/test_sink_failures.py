"""Requests that fail while an object is written: an error, and the previous object is kept."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import pytest
import servers

from connectors.errors import ObjectExists, StorageUnavailable
from connectors.storage import Failure
from connectors.streams import SealedWriter
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3

MIB = 1 << 20
Stored = Callable[[str], bytes | None]
Uploads = Callable[[str], list[Any]]


Intercept = Callable[[Callable[[str, Callable[[], Any]], Any]], None]
BROKEN = Failure(StorageUnavailable("the connection to s3.example broke"), transient=True)


def failing(intercept: Intercept, call: str, times: int = 1_000, after: int = 0, *, late: bool = False) -> None:
    """Break the connection of `call`; with `late`, only after S3 has processed the request."""
    seen = 0

    def answer(name: str, send: Callable[[], Any]) -> Any:
        nonlocal seen
        if name == call:
            seen += 1
            if after < seen <= after + times:
                if late:
                    send().close()
                return BROKEN
        return send()

    intercept(answer)


@pytest.mark.parametrize("call", ["POST uploads", "PUT partNumber", "POST uploadId"])
def test_failing_request_aborts_the_upload(
    fs: S3, path: str, stored: Stored, uploads: Uploads, intercept: Intercept, call: str
) -> None:
    fs.pipe_file(path, b"previous")
    failing(intercept, call, after=1 if call == "PUT partNumber" else 0)
    sink = fs.open_sink(path)

    def write() -> None:
        sink.write(memoryview(os.urandom(12 * MIB)))
        sink.commit()

    with pytest.raises(StorageUnavailable, match="the connection to s3.example broke") as caught:
        write()
    assert caught.value.__context__ is None
    assert stored(path) == b"previous"
    assert uploads(path) == []
    with pytest.raises(StorageUnavailable, match="was already discarded"):
        sink.commit()
    with pytest.raises(StorageUnavailable, match="was already discarded"):
        sink.write(memoryview(b"more"))


def test_failing_put_keeps_the_previous_object(fs: S3, path: str, stored: Stored, intercept: Intercept) -> None:
    fs.pipe_file(path, b"previous")
    failing(intercept, "PUT")
    sink = fs.open_sink(path)
    sink.write(memoryview(b"new"))
    with pytest.raises(StorageUnavailable):
        sink.commit()
    assert stored(path) == b"previous"


def test_failed_part_raises_our_error_and_leaves_nothing(
    fs: S3, credentials: S3Credentials, path: str, stored: Stored, uploads: Uploads, intercept: Intercept
) -> None:
    failing(intercept, "PUT partNumber", after=1)
    with (
        pytest.raises(StorageUnavailable, match="^output/result: the connection to s3.example broke"),
        SealedWriter(fs.open_sink(path), credentials.codec(), name="output/result") as writer,
    ):
        writer.write(os.urandom(16 * MIB))
    assert stored(path) is None
    assert uploads(path) == []


def test_lost_response_to_completion_is_an_error_and_leaves_no_parts(
    fs: S3, path: str, stored: Stored, uploads: Uploads, intercept: Intercept
) -> None:
    data = os.urandom(6 * MIB)
    failing(intercept, "POST uploadId", late=True)
    sink = fs.open_sink(path)
    sink.write(memoryview(data))
    with pytest.raises(StorageUnavailable, match="the connection to s3.example broke"):
        sink.commit()
    assert stored(path) == data  # complete or absent
    assert uploads(path) == []


def test_a_request_that_broke_once_is_sent_again(
    fs: S3, path: str, stored: Stored, uploads: Uploads, intercept: Intercept
) -> None:
    data = os.urandom(12 * MIB)
    for call in ("POST uploads", "PUT partNumber", "POST uploadId"):
        failing(intercept, call, times=1)
    sink = fs.open_sink(path)
    sink.write(memoryview(data))
    sink.commit()
    assert stored(path) == data
    assert uploads(path) == []


def test_failed_abort_is_logged_and_hides_no_error(
    fs: S3, s3: servers.S3Server, path: str, intercept: Intercept, caplog: pytest.LogCaptureFixture
) -> None:
    failing(intercept, "DELETE uploadId")
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(6 * MIB)))
    with caplog.at_level(logging.WARNING):
        sink.discard()
    assert (
        f"whose parts may remain stored and cost money: the connection to s3.example broke; s3://{path}" in caplog.text
    )
    assert sink._upload is not None
    s3.client().abort_multipart_upload(Bucket="clinic", Key=path.partition("/")[2], UploadId=sink._upload.id)


def test_exclusive_creation_says_if_the_object_may_be_its_own(
    fs: S3, path: str, stored: Stored, intercept: Intercept
) -> None:
    failing(intercept, "PUT", times=1, late=True)
    sink = fs.open_sink(path, exclusive=True)
    sink.write(memoryview(b"mine"))
    with pytest.raises(ObjectExists, match="the object may be the one that was sent: read it to find out"):
        sink.commit()
    assert stored(path) == b"mine"
