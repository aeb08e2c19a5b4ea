"""Arbitrary responses of servers: how the plugins, and the cloud libraries below them, parse the bytes.

The bytes arrive over a socket, so that all the code that parses a response parses these.
"""

from __future__ import annotations

import gc
import json
import struct

import pytest
import strange
from hypothesis import given
from hypothesis import strategies as st

from connectors import errors
from fuzz.checks import ACCEPTED
from fuzz.targets import clouds, responses

pytestmark = [
    # dateutil, far below S3, warns of a time that it cannot parse.
    pytest.mark.filterwarnings("ignore::dateutil.parser.UnknownTimezoneWarning"),
    # Azure's client leaves connections with unreadable responses to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collect_dropped_connections():
    """Collect the connections that a client has dropped here, and not in the next test."""
    yield
    gc.collect()


STATUS = (
    "200 OK",
    "201 X",
    "202 X",
    "204 X",
    "206 X",
    "301 X",
    "307 X",
    "308 X",
    "400 X",
    "401 X",
    "403 X",
    "404 X",
    "409 X",
)
STATUS += ("412 X", "416 X", "429 X", "499 X", "500 X", "503 X", "999 X", "20 X", "abc")
CODES = (
    "NoSuchKey",
    "ExpiredToken",
    "InvalidRange",
    "AccessDenied",
    "SlowDown",
    "BlobNotFound",
    "ConditionNotMet",
    "hunter 2",
    "",
)
VALUES = {
    "Content-Range": (
        "bytes 3-39/64",
        "bytes 3-39/40",
        "bytes */64",
        "bytes 0--1/0",
        "bytes 3-2/1",
        "bytes 3-39/*",
        "9" * 30,
    ),
    "Content-Length": ("37", "0", "-1", "99999999999999999999", "abc", "37, 37"),
    "ETag": ('"a"', 'W/"a"', "a", ""),
    "Last-Modified": (
        "Mon, 05 Jan 2026 03:04:05 GMT",
        "Mon, 05 Jan 99999999999999999999 03:04:05 GMT",
        "yesterday",
        "",
    ),
    "Retry-After": (
        "3",
        "-3",
        "Mon, 05 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 05 Jan 0001 00:00:00 -0000",
        "soon",
    ),
    "Location": ("https://elsewhere.example/x?y", "http://[x", "http://u:p@h/", "//", "/upload?upload_id=1", "\\"),
    "Range": ("bytes=0-3", "bytes=0-99", "bytes=3-0", "0-3"),
    "Content-Encoding": ("gzip", "identity", "br"),
    "x-goog-generation": ("17", "-1", "abc"),
    "x-ms-error-code": (*CODES, "Azure says: hunter2"),
    "x-ms-blob-type": ("BlockBlob", "PageBlob", "None"),
    "x-ms-copy-status": ("success", "pending", "failed", "?"),
    "Content-Type": ("application/xml", "application/json", "text/xml; charset=utf-7", "/"),
    "Transfer-Encoding": ("chunked", "gzip"),
}
SIZES = ("64", "-1", "1e3", "", "99999999999999999999", "sixty-four", "&#0;", "٣")
KEYS = ("ward/one", "ward/", "", "ward/../x", "elsewhere/one", "ward/a%2Fb", "wärd/one", "ward//one", "ward/\ud800")
DATES = (
    "2026-01-05T03:04:05.000Z",
    "Mon, 05 Jan 2026 03:04:05 GMT",
    "",
    "0000-00-00",
    "99999-01-01T00:00:00Z",
    "1e999",
)


def headers() -> st.SearchStrategy[list[str]]:
    one = st.sampled_from(sorted(VALUES)).flatmap(
        lambda name: st.builds(
            "{}: {}".format,
            st.just(name),
            st.one_of(st.sampled_from(VALUES[name]), st.text(st.characters(max_codepoint=255), max_size=9)),
        )
    )
    return st.lists(one, max_size=5)


def one_response(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """An HTTP response, usually with the right Content-Length."""

    def write(status: str, fields: list[str], body: bytes, length: bool) -> bytes:
        lines = [f"HTTP/1.1 {status}", *([f"Content-Length: {len(body)}"] if length else []), *fields, "", ""]
        return "\r\n".join(lines).encode("latin-1", "replace") + body

    often = st.sampled_from((True, True, True, False))
    status = st.one_of(st.just("200 OK"), st.sampled_from(STATUS))
    return st.one_of(st.builds(write, status, headers(), bodies, often), st.binary(max_size=60))


def scripts(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(one_response(bodies), min_size=1, max_size=3).map(responses.NEXT.join)


def xml(template: str, **fields: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Documents from a template, whose elements hold good or invalid values, or are missing."""

    def fill(values: dict[str, str], without: set[str]) -> bytes:
        text = template
        for name, value in values.items():
            element = "" if name in without else f"<{name}>{value}</{name}>"
            text = text.replace(f"<{name}/>", element)
        return text.encode("utf-8", "replace")

    values = st.fixed_dictionaries({name: st.sampled_from(known) for name, known in fields.items()})
    return st.builds(fill, values, st.sets(st.sampled_from(sorted(fields)), max_size=1))


S3_BODIES = st.one_of(
    xml(
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key/><LastModified/><ETag/><Size/></Contents>"
        "<CommonPrefixes><Prefix/></CommonPrefixes></ListBucketResult>",
        Key=KEYS, LastModified=DATES, ETag=("a",), Size=SIZES, Prefix=KEYS,
    ),
    xml("<Error><Code/></Error>", Code=CODES),
    xml("<DeleteResult><Deleted><Key/></Deleted><Error><Code/><Key/></Error></DeleteResult>", Key=KEYS, Code=CODES),
    st.binary(max_size=40),
)  # fmt: skip
AZURE_BODIES = st.one_of(
    xml(
        '<?xml version="1.0"?><EnumerationResults ContainerName="clinic"><Blobs><Blob><Name/><Properties><Last-Modified/>'
        "<Content-Length/><BlobType/></Properties><Metadata><hdi_isfolder/></Metadata></Blob></Blobs><NextMarker/>"
        "</EnumerationResults>",
        **{"Name": KEYS, "Last-Modified": DATES, "Content-Length": SIZES, "BlobType": ("BlockBlob", "?"), "hdi_isfolder": ("true", "x")},
    ),
    xml("<Error><Code/></Error>", Code=CODES),
    st.binary(max_size=40),
)  # fmt: skip
ITEM = {
    "kind": "storage#object",
    "name": "ward/one",
    "size": "64",
    "generation": "17",
    "timeCreated": DATES[0],
    "updated": DATES[0],
    "md5Hash": "a=",
}
OPENED = {
    "kind": "storage#objects",
    "done": True,
    "rewriteToken": "t",
    "nextPageToken": "2",
    "access_token": "t",
    "expires_in": 60,
    "items": [ITEM],
}
GCS_BODIES = st.one_of(
    st.one_of(
        strange.edited([ITEM], list(ITEM)),
        st.lists(strange.edited([ITEM], list(ITEM)), max_size=2).map(
            lambda items: {"kind": "storage#objects", "items": items}
        ),
        strange.edited([OPENED, {"expires_in": float("inf")}], [*OPENED, "prefixes", "error"]),
        st.builds(lambda error: {"error": error}, strange.json_values({"errors": [{"reason": "rateLimitExceeded"}]})),
        strange.json_values(),
    ).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=40),
)
TOKEN = {"access_token": "t", "expires_in": "3600", "expires_on": "1767582245", "resource": "r", "token_type": "B"}
TOKEN_BODIES = st.one_of(
    strange.edited([TOKEN, {**TOKEN, "expires_on": float("inf")}], [*TOKEN, "error"]).map(json.dumps).map(str.encode),
    strange.json_values().map(json.dumps).map(str.encode),
    st.binary(max_size=40),
)
HTTPS_BODIES = st.one_of(
    st.sampled_from((bytes(37), bytes(64), b"", b"a", b"<ActualObjectSize>0</ActualObjectSize>")),
    xml("<Error><Code/></Error>", Code=CODES),
    st.binary(max_size=40),
)


@pytest.mark.parametrize(
    ("plugin", "against", "bodies"),
    [
        ("https", "responses to presigned URLs", HTTPS_BODIES),
        ("gcs", "responses of Google Cloud Storage", GCS_BODIES),
        ("s3", "responses of S3", S3_BODIES),
        ("azure", "responses of Azure", AZURE_BODIES),
        ("identity", "responses of a machine's token server", TOKEN_BODIES),
    ],
    ids=["https", "gcs", "s3", "azure", "identity"],
)
def test_arbitrary_responses(plugin, against, bodies, tally):
    target = responses if plugin in ("https", "gcs") else clouds
    indices = range(len(target.REQUESTS))
    if target is responses:
        numbers = [number for number in indices if target.REQUESTS[number].__name__.startswith(f"_{plugin}_")]
    else:
        numbers = [number for number in indices if target.REQUESTS[number][0][0] == plugin]
    good = [data for name, data in target.seeds().items() if name.startswith(plugin)]
    cut = st.builds(lambda data, at: data[: at % len(data)] or b"\0", st.sampled_from(good), st.integers(1, 900))
    requests_and_responses = st.builds(
        lambda number, script: bytes([number]) + script, st.sampled_from(numbers), scripts(bodies)
    )
    with tally("arbitrary responses", against, outcome="a valid result, or one of our errors") as cases:

        @strange.examples(150)
        @given(st.one_of(requests_and_responses, requests_and_responses, cut))
        def hold(data):
            outcome = target.check(data)
            assert outcome == ACCEPTED or issubclass(getattr(errors, outcome), errors.ConnectorError)
            cases.count("held")

        hold()


def test_arbitrary_sftp_packets(tally):
    numbers = [number for number, (store, _) in enumerate(clouds.REQUESTS) if store[0] == "sftp"]
    good = clouds._packets()
    text = st.one_of(st.sampled_from((b"one", b"..", b".", b"a/b", b"", b"\xff", b"a\0b")), st.binary(max_size=6)).map(
        lambda data: struct.pack(">I", len(data)) + data
    )
    mode = st.sampled_from((0o100644, 0o040755, 0o120777, 0o010644, 0, 0xFFFFFFFF))
    size = st.one_of(st.sampled_from((0, 37, 64, 1 << 40, (1 << 64) - 1)), st.integers(0, (1 << 64) - 1))
    attributes = st.builds(
        lambda flags, s, m: struct.pack(">IQI", flags, s, m), st.sampled_from((0, 1, 4, 5, 0xFFFFFFFF)), size, mode
    )
    listed = st.builds(lambda name, what: name + name + what, text, attributes)
    many = st.lists(listed, max_size=3)
    packet = st.one_of(
        st.sampled_from(sorted(good.values())),
        attributes.map(lambda data: b"\x69" + data),
        st.builds(
            lambda count, entries: b"\x68" + struct.pack(">I", count) + b"".join(entries), st.integers(0, 4), many
        ),
        many.map(lambda entries: b"\x68" + struct.pack(">I", len(entries)) + b"".join(entries)),
        st.builds(
            lambda code, message: b"\x65" + struct.pack(">I", code) + message + message, st.integers(0, 40), text
        ),
        text.map(lambda data: b"\x67" + data),
        st.binary(max_size=12),
    )
    with tally(
        "arbitrary packets", "responses of SFTP servers", outcome="a valid result, or one of our errors"
    ) as cases:

        @strange.examples(150)
        @given(st.sampled_from(numbers), st.lists(packet, min_size=1, max_size=6))
        def hold(number, packets):
            outcome = clouds.check(bytes([number]) + responses.NEXT.join(packets))
            assert outcome == ACCEPTED or issubclass(getattr(errors, outcome), errors.ConnectorError)
            cases.count("held")

        hold()
