"""Writing an object: one PUT on commit, or none."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

import connectors
from connectors.errors import (
    AccessDenied,
    CredentialsExpired,
    NotSupported,
    ObjectExists,
    ObjectNotFound,
    StorageUnavailable,
)
from connectors_https import sink as sink_module

SIGNED = "X-Amz-SignedHeaders=host&X-Amz-Signature=0a"
AZURE = "sv=2024-11-04&sr=b&sp=cw&sig=0a"
GOOGLE = "X-Goog-SignedHeaders=host&X-Goog-Signature=0a"


def put(origin, data=b"sealed", query=SIGNED, *, exclusive=False):
    fs = origin.fs(query)
    sink = fs.open_sink(fs.path, exclusive=exclusive)
    try:
        sink.write(memoryview(data))
        sink.commit()
    finally:
        sink.discard()


@pytest.mark.parametrize("status", [200, 201, 204])
@pytest.mark.parametrize("size", [0, 1, 1 << 17, 20 << 20])
def test_commit_sends_the_whole_object_with_its_size(origin, reply, status, size):
    origin.answer = lambda _: reply(status, headers={"Content-Length": None} if status == 204 else {})
    data = os.urandom(size)
    put(origin, data)
    [request] = origin.requests
    assert request.method == "PUT"
    assert request.headers["content-length"] == str(size)
    assert request.body == data
    assert "transfer-encoding" not in request.headers
    assert "content-type" not in request.headers
    assert "if-none-match" not in request.headers


def test_discard_sends_no_request(origin):
    fs = origin.fs(SIGNED)
    sink = fs.open_sink(fs.path)
    sink.write(memoryview(b"sealed"))
    sink.discard()
    sink.discard()
    assert origin.connections == 0


def test_a_busy_server_is_sent_the_whole_object_again(origin, reply):
    origin.answer = lambda _: reply(200)
    origin.then(reply(503, b"busy"), reply(hang_up=True), reply(500))
    data = os.urandom(300_000)
    put(origin, data)
    assert [request.body == data for request in origin.requests] == [True] * 4


def test_a_server_that_stays_busy_is_an_error(origin, reply):
    origin.answer = lambda _: reply(503, b"<Code>SlowDown</Code>")
    with pytest.raises(StorageUnavailable, match=r"503 SlowDown to a PUT .*gave up after 4 requests in a row"):
        put(origin)


def test_a_response_before_the_end_of_the_body_is_read(origin, reply):
    origin.answer = lambda _: reply(403, b"<Code>SignatureDoesNotMatch</Code>", cut=None)
    with pytest.raises(AccessDenied, match="signed for GET cannot be written"):
        put(origin, bytes(1 << 20))


@pytest.mark.parametrize(
    ("status", "code"), [(412, "PreconditionFailed"), (409, "BlobAlreadyExists"), (412, ""), (409, "")]
)
def test_exclusive_creation_fails_if_the_object_exists(origin, reply, status, code):
    origin.answer = lambda _: reply(status, f"<Code>{code}</Code>".encode())
    with pytest.raises(ObjectExists, match="already exists, and mode 'xb' does not replace it") as caught:
        put(origin, exclusive=True)
    assert "earlier attempt" not in str(caught.value)
    assert [request.headers["if-none-match"] for request in origin.requests] == ["*"]


def test_a_conflict_of_two_conditional_writes_is_retried(origin, reply):
    origin.answer = lambda _: reply(412, b"<Code>PreconditionFailed</Code>")
    origin.then(reply(409, b"<Code>ConditionalRequestConflict</Code>"))
    with pytest.raises(ObjectExists):
        put(origin, exclusive=True)
    assert len(origin.requests) == 2


@pytest.mark.parametrize("first", [{"hang_up": True}, {"status": 500}])
def test_exclusive_creation_says_if_the_object_may_be_its_own(origin, reply, first):
    origin.answer = lambda _: reply(412)
    origin.then(reply(**first))
    with pytest.raises(ObjectExists, match="an earlier attempt of this write broke off"):
        put(origin, exclusive=True)


@pytest.fixture
def careless(origin, reply):
    """A server that stores what it is sent, and ignores every condition, as nginx does."""
    stored: dict[str, bytes] = {}

    def answer(request):
        path = request.line.split(" ")[1].partition("?")[0]
        if request.method == "PUT":
            created = path not in stored
            stored[path] = request.body
            return reply(201 if created else 204, headers={} if created else {"Content-Length": None})
        return reply(200, stored[path], {"ETag": '"v1"'}) if path in stored else reply(404)

    origin.answer = answer
    origin.stored = stored
    return origin


@pytest.mark.parametrize("query", [None, "token=abc", "Expires=1767323045&Signature=0&Key-Pair-Id=K"])
def test_exclusive_creation_at_a_server_that_may_ignore_it_is_refused(careless, query):
    with pytest.raises(NotSupported, match=r"'xb' is not supported .*may ignore If-None-Match.* with 'wb'"):
        put(careless, query=query, exclusive=True)
    assert careless.requests == []
    put(careless, b"first", query=query and query.replace("1767323045", "4102444800"))
    assert careless.stored == {"/clinic/conditions": b"first"}


def test_a_dataset_at_a_server_that_may_ignore_it_is_refused_and_nothing_is_replaced(careless):
    dataset = connectors.Dataset(
        f"{careless.base}/clinic/conditions", {"encryption": {"key": "5a" * 32}}, name="output/conditions"
    )
    dataset.write_bytes(b"37.2")
    before = dict(careless.stored)
    fs, path = dataset.filesystem()
    for create in (lambda: dataset.open("xb"), lambda: fs.pipe_file(path, b"38.9", mode="create")):
        with pytest.raises(
            NotSupported, match="output/conditions: .*cannot be created exclusively.*could both succeed"
        ):
            create()
    assert careless.stored == before


def test_azure_is_sent_the_kind_of_the_blob(origin, reply):
    origin.answer = lambda _: reply(201)
    put(origin, query=AZURE)
    assert origin.requests[0].headers["x-ms-blob-type"] == "BlockBlob"


def test_google_creates_exclusively_only_if_the_signature_allows_it(origin, reply):
    origin.answer = lambda _: reply(200)
    with pytest.raises(NotSupported, match="x-goog-if-generation-match"):
        put(origin, query=GOOGLE, exclusive=True)
    create = "X-Goog-SignedHeaders=host%3Bx-goog-if-generation-match&X-Goog-Signature=0a"
    put(origin, query=create, exclusive=True)
    assert origin.requests[0].headers["x-goog-if-generation-match"] == "0"
    assert "if-none-match" not in origin.requests[0].headers
    with pytest.raises(NotSupported, match="not to replace one"):
        put(origin, query=create)


@pytest.mark.parametrize("vendor", ["Amz", "Goog"])
def test_signed_headers_are_sent_or_named_in_the_error(origin, reply, vendor):
    origin.answer = lambda _: reply(200)
    known = "content-length%3Bcontent-type%3Bhost%3Bx-amz-content-sha256"
    put(origin, query=f"X-{vendor}-SignedHeaders={known}&X-{vendor}-Signature=0a")
    headers = origin.requests[0].headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-length"] == "6"
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    with pytest.raises(NotSupported, match="headers cache-control, x-amz-acl, whose values"):
        put(origin, query=f"X-{vendor}-SignedHeaders=x-amz-acl%3BCache-Control%3Bhost&X-{vendor}-Signature=0a")
    assert len(origin.requests) == 1


@pytest.mark.parametrize("query", [SIGNED, AZURE, GOOGLE])
def test_an_object_too_large_for_one_put_is_refused_during_the_write(origin, monkeypatch, query):
    assert set(sink_module.MAX_OBJECT.values()) == {5 << 30, 5000 << 20}
    for flavour in sink_module.MAX_OBJECT:
        monkeypatch.setitem(sink_module.MAX_OBJECT, flavour, 1000)
    fs = origin.fs(query)
    sink = fs.open_sink(fs.path)
    sink.write(memoryview(bytes(1000)))
    with pytest.raises(NotSupported, match="larger than 1000 bytes"):
        sink.write(memoryview(b"x"))
    sink.discard()
    assert origin.requests == []


def test_an_expired_signature_is_detected_before_the_write(origin):
    fs = origin.fs("X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature=0a")
    with pytest.raises(CredentialsExpired, match=r"expired at 2020-01-01 00:01:00 UTC.*Dataset\.refresh\(\)"):
        fs.open_sink(fs.path)
    assert origin.requests == []


@pytest.mark.parametrize(
    ("status", "code", "left", "error"),
    [
        (403, "AccessDenied", -60, CredentialsExpired),
        (403, "AuthenticationFailed", -60, CredentialsExpired),
        (400, "AuthenticationFailed", -60, CredentialsExpired),
        (400, "ExpiredToken", 3600, CredentialsExpired),
        (403, "AccessDenied", 3600, AccessDenied),
        (400, "InvalidRequest", -60, StorageUnavailable),
        (404, "NoSuchBucket", -60, ObjectNotFound),
    ],
)
def test_a_refusal_after_the_expiry_is_reported_as_expired(origin, reply, status, code, left, error):
    ended = datetime.now(UTC) + timedelta(seconds=left)
    origin.answer = lambda _: reply(status, f"<Error><Code>{code}</Code></Error>".encode())
    with pytest.raises(error) as caught:
        put(origin, query=f"AWSAccessKeyId=AK&Signature=0a&Expires={ended.timestamp():.0f}")
    assert type(caught.value) is error
    assert ("refresh()" in str(caught.value)) == (error is CredentialsExpired)
