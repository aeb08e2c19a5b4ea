"""Responses that are not what was asked for: other ranges, other versions, errors, redirects."""

from __future__ import annotations

import os

import pytest

from connectors.errors import (
    AccessDenied,
    InvalidLocation,
    NotSupported,
    ObjectChanged,
    ObjectNotFound,
    StorageUnavailable,
)

DATA = os.urandom(300_000)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 1-10/300000"},  # another start
        {"Content-Range": "bytes 0-10/300000"},  # more than was requested
        {"Content-Range": "bytes 0-9/5"},  # an end beyond the size
        {"Content-Range": "bytes 0-8/300000"},  # not as long as the body
        {"Content-Range": "bytes 0-9/*"},
        {"Content-Range": "pages 0-9/300000"},
        {"Content-Range": "bytes 9-0/300000"},
        {},
    ],
)
def test_a_range_that_was_not_requested_is_refused(origin, reply, headers):
    origin.answer = lambda _: reply(206, DATA[:10], headers)
    with pytest.raises(StorageUnavailable, match="a part without saying|another range than"):
        origin.source().read_range(0, 10)
    assert len(origin.requests) == 1


def test_an_encoded_body_is_refused(origin):
    origin.serve(DATA, **{"Content-Encoding": "gzip"})
    with pytest.raises(StorageUnavailable, match="content encoding that was not requested"):
        origin.source().read_range(0, 10)
    assert origin.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ETag": '"v1"'}, {"ETag": '"v2"'}),  # If-Match: 412
        ({"ETag": 'W/"v1"'}, {"ETag": 'W/"v2"'}),
        ({"ETag": ""}, {"ETag": "", "Last-Modified": "Fri, 02 Jan 2026 03:04:06 GMT"}),
    ],
)
def test_an_object_that_changes_between_two_reads_is_refused(origin, before, after):
    origin.serve(DATA, **before)
    source = origin.source()
    source.read_range(0, 10)
    origin.serve(DATA, **after)
    with pytest.raises(ObjectChanged, match="was replaced while it was being read"):
        source.read_range(10, 20)


def test_a_replaced_object_is_detected_if_the_server_ignores_if_match(origin, reply):
    origin.serve(DATA)
    source = origin.source()
    source.read_range(0, 10)
    origin.answer = lambda _: reply(206, DATA[10:20], {"Content-Range": f"bytes 10-19/{len(DATA)}", "ETag": '"v2"'})
    with pytest.raises(ObjectChanged):
        source.read_range(10, 20)


def test_an_object_that_gets_longer_or_shorter_is_refused(origin):
    origin.serve(DATA)
    longer, shorter, gone = (origin.source() for _ in range(3))
    for source in (longer, shorter, gone):
        source.read_range(0, 10)
    origin.serve(DATA + b"x")
    with pytest.raises(ObjectChanged):
        longer.read_range(10, 20)
    origin.serve(DATA[:-1])
    with pytest.raises(ObjectChanged):
        shorter.read_range(10, 20)
    origin.serve(DATA[:5])
    with pytest.raises(ObjectChanged, match="shorter"):
        gone.read_range(10, 20)


def test_a_weak_etag_is_not_sent_back(origin):
    origin.serve(DATA, ETag='W/"v1"')
    source = origin.source()
    source.read_range(0, 10)
    source.read_range(10, 20)
    assert "if-match" not in origin.requests[1].headers


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ((404, b""), ObjectNotFound, r"nothing is stored at http://.*/clinic/conditions \(404\)"),
        ((410, b""), ObjectNotFound, "nothing is stored"),
        ((404, b"<Error><Code>NoSuchBucket</Code></Error>"), ObjectNotFound, "bucket or container"),
        ((404, b"", {"x-ms-error-code": "ContainerNotFound"}), ObjectNotFound, "bucket or container"),
        ((403, b"<Error><Code>SignatureDoesNotMatch</Code>"), AccessDenied, r"\(403 SignatureDoesNotMatch\); a URL"),
        ((401, b""), AccessDenied, "signed for PUT cannot be read"),
        ((403, b"<Code>no <b>code</b></Code>"), AccessDenied, r"\(403\)"),
        ((403, b"x" * 70_000 + b"<Code>TooFar</Code>"), AccessDenied, r"\(403\)"),
        ((418, b"short and stout"), StorageUnavailable, "answered 418 to a GET"),
        ((400, b"<Code>InvalidArgument</Code>"), StorageUnavailable, "answered 400 InvalidArgument"),
    ],
)
def test_error_responses_have_their_own_errors(origin, reply, answer, error, said):
    origin.answer = lambda _: reply(*answer)
    with pytest.raises(error, match=said) as caught:
        origin.source().read_range(0, 10)
    assert type(caught.value) is error
    assert "short and stout" not in str(caught.value)
    assert len(origin.requests) == 1


def test_the_code_in_an_incomplete_error_body_is_read(origin, reply):
    origin.answer = lambda _: reply(403, b"<Code>InvalidAccessKeyId</Code>" + b" " * 100, cut=50)
    with pytest.raises(AccessDenied, match="InvalidAccessKeyId"):
        origin.source().read_range(0, 10)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("https://other.example/clinic?X-Amz-Signature=sesame", "redirects to https://other.example "),
        ("https://user:sesame@other.example:444/sesame", "redirects to https://other.example:444 "),
        ("//other.example/", "a redirect without a valid target"),
        ("http://[sesame", "a redirect without a valid target"),
        ("https://sesame<script>/", "a redirect without a valid target"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(origin, reply, target, said, status):
    origin.answer = lambda _: reply(status, headers={"Location": target})
    with pytest.raises(InvalidLocation, match=said) as caught:
        origin.source("sig=sesame").read_range(0, 10)
    assert "sesame" not in str(caught.value)
    assert "region" in str(caught.value)
    assert len(origin.requests) == 1


def test_signed_headers_with_unknown_values_are_named_in_the_error(origin):
    query = "X-Amz-SignedHeaders=host%3Bx-amz-acl%3Brange&X-Amz-Signature=0a"
    with pytest.raises(NotSupported, match="headers range, x-amz-acl, whose values"):
        origin.source(query)
    assert origin.requests == []


def test_signed_headers_with_known_values_are_sent(origin):
    origin.serve(DATA)
    query = "X-Amz-SignedHeaders=accept-encoding%3Bhost%3Bx-amz-content-sha256&X-Amz-Signature=0a"
    origin.source(query).read_range(0, 10)
    assert origin.requests[0].headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert origin.requests[0].headers["accept-encoding"] == "identity"
