"""The storage lies to writers: a refused write never counts as written, and the old object stays."""

from __future__ import annotations

import io
import itertools

import pytest
from hostile import Answer, hostile_server
from routes import KEY

import connectors
from connectors.errors import ConnectorError, StorageError

OLD, NEW = b"old" * 1000, b"new" * 1000
LARGE = bytes(range(256)) * (36 << 10)
"""9 MiB: two parts of S3's, two blocks of Azure's."""
ERROR = "<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>{}</Code><Message>no</Message></Error>"
PAGE = "<html><body>it works</body></html>"
_names = itertools.count()

pytestmark = pytest.mark.usefixtures("no_backoff")


def stored(route) -> str:
    """Store a sealed object, and return its name."""
    name = f"writes/{next(_names)}"
    route.dataset(name, "PUT").write_bytes(OLD)
    return name


def content(route, name: str) -> bytes | None:
    """Return the plain bytes that are stored, read without the code under test."""
    sealed = route.get(name)
    return None if sealed is None else connectors.open_reader(io.BytesIO(sealed), KEY).read()


def refused(cases, route, name: str, data: bytes, lies, *, old: bytes | None = OLD) -> None:
    """Write while the storage reports a failure and stores nothing: the write must fail, and the old object stay."""
    dataset = route.dataset(name, "PUT")
    for lie in lies:
        with route.proxy.rule("lies.Respond", without_upstream=True, **lie):
            cases.refused(lambda: dataset.write_bytes(data))
        assert content(route, name) == old, lie


def puts(status: int, code: str | None = "InternalError", **more):
    return {"method": "PUT", "status": status, "body": ERROR.format(code) if code else "", **more}


def test_refused_write(route, tally):
    name = stored(route)
    lies = [
        puts(301),
        puts(302),
        puts(304, None),
        puts(307),
        puts(308),
        puts(400),
        puts(400, "EntityTooLarge"),
        puts(403, "AccessDenied"),
        puts(404, "NoSuchBucket"),
        puts(405, None),
        puts(409, "OperationAborted"),
        puts(411, None),
        puts(412, "PreconditionFailed"),
        puts(413, None),
        puts(418, None),
        puts(500),
        puts(503, "SlowDown"),
        puts(507, None),
        puts(599, None),
        {"method": "PUT", "status": 404, "body": PAGE},
    ]
    with tally("a write is refused", f"{route}") as cases:
        refused(cases, route, name, NEW, lies)


def test_error_with_a_success_status(route, tally):
    name = stored(route)
    lies = [puts(200), puts(200, "SlowDown"), puts(200, "AccessDenied")]
    with tally("a write is refused with a success status", f"{route}") as cases:
        refused(cases, route, name, NEW, lies)


def test_redirected_write(route, tally):
    name = stored(route)
    with hostile_server(lambda _: Answer(201, {"ETag": '"1"'})) as (elsewhere, seen):
        with tally("a write is redirected to another host", f"{route}") as cases:
            lies = [puts(status, headers={"Location": f"{elsewhere}/x"}) for status in (301, 302, 303, 307, 308)]
            refused(cases, route, name, NEW, lies)
        assert not seen, "another server was sent the data"


def test_stored_write_reported_as_failed(route, tally):
    with tally("a write is stored, and reported as failed", f"{route}") as cases:
        name = stored(route)
        dataset = route.dataset(name, "PUT")
        for status in (400, 403, 404, 409, 500, 503):
            with route.proxy.rule("lies.Respond", method="PUT", status=status, body=ERROR.format("InternalError")):
                cases.refused(lambda: dataset.write_bytes(NEW))
            assert content(route, name) in (OLD, NEW), "a partial object"


def test_write_not_stored_but_reported_as_success(route, tally):
    lies = [
        {"method": "PUT", "status": status, "body": body, "headers": headers}
        for status in (200, 201, 204)
        for body in ("", PAGE)
        for headers in ({"ETag": '"1"'}, {}, {"ETag": "", "x-ms-request-server-encrypted": "perhaps"})
    ]
    with tally("nothing is stored, and success is reported", f"{route}") as cases:
        name = stored(route)
        dataset = route.dataset(name, "PUT")
        for lie in lies:
            with route.proxy.rule("lies.Respond", without_upstream=True, **lie):
                try:
                    dataset.write_bytes(NEW)
                except ConnectorError as error:
                    cases.count(type(error).__name__)
                else:
                    cases.count("not detected; a read returns the old object")
            assert content(route, name) == OLD


def test_exclusive_write_when_the_object_is_hidden(folders, tally):
    name = stored(folders)
    dataset = folders.dataset(name, "PUT")
    with tally("an object is hidden from a writer that must not replace it", f"{folders}") as cases:
        with folders.proxy.rule("lies.Respond", method="HEAD", status=404, headers={"x-ms-error-code": "BlobNotFound"}):

            def create() -> None:
                with dataset.open("xb") as file:
                    file.write(NEW)

            cases.refused(create, StorageError)
    assert content(folders, name) == OLD


LARGE_WRITES = {
    "S3": [
        (
            "the upload cannot start",
            {"method": "POST", "path": "uploads", "status": 500, "body": ERROR.format("InternalError")},
        ),
        ("the upload starts with an empty response", {"method": "POST", "path": "uploads", "body": ""}),
        ("the upload starts with an HTML page", {"method": "POST", "path": "uploads", "body": PAGE}),
        ("the upload has no ID", {"method": "POST", "path": "uploads", "body": "<InitiateMultipartUploadResult/>"}),
        (
            "a part is refused",
            {"method": "PUT", "path": "partNumber=2", "status": 403, "body": ERROR.format("AccessDenied")},
        ),
        ("a part has no ETag", {"method": "PUT", "path": "partNumber=2", "headers": {"ETag": None}}),
        ("a part has an empty ETag", {"method": "PUT", "path": "partNumber=2", "headers": {"ETag": ""}}),
        (
            "a part is not stored",
            {"method": "PUT", "path": "partNumber=2", "without_upstream": True, "headers": {"ETag": '"0"'}},
        ),
        (
            "the completion is an error with status 200",
            {"method": "POST", "path": "uploadId", "without_upstream": True, "body": ERROR.format("InternalError")},
        ),
        (
            "the completion is a delayed error with status 200",
            {"method": "POST", "path": "uploadId", "without_upstream": True, "body": "\n  " + ERROR.format("SlowDown")},
        ),
        (
            "the completion is an unknown error with status 200",
            {"method": "POST", "path": "uploadId", "without_upstream": True, "body": ERROR.format("Whatever")},
        ),
        ("the completion is empty", {"method": "POST", "path": "uploadId", "without_upstream": True, "body": ""}),
        (
            "the completion is an HTML page",
            {"method": "POST", "path": "uploadId", "without_upstream": True, "body": PAGE},
        ),
        (
            "the completion is refused",
            {
                "method": "POST",
                "path": "uploadId",
                "without_upstream": True,
                "status": 400,
                "body": ERROR.format("InvalidPart"),
            },
        ),
        (
            "the completion is redirected",
            {
                "method": "POST",
                "path": "uploadId",
                "without_upstream": True,
                "status": 307,
                "headers": {"Location": "http://127.0.0.1:9/"},
            },
        ),
    ],
    "Azure": [
        ("a block is refused", {"method": "PUT", "path": "comp=block(&|$)", "after": 1, "status": 403, "body": ""}),
        (
            "a block has the wrong success status",
            {"method": "PUT", "path": "comp=block(&|$)", "after": 1, "status": 200, "body": ""},
        ),
        (
            "a block is not stored",
            {"method": "PUT", "path": "comp=block(&|$)", "times": 1, "without_upstream": True, "status": 201},
        ),
        (
            "the completion is refused",
            {
                "method": "PUT",
                "path": "comp=blocklist",
                "without_upstream": True,
                "status": 400,
                "body": ERROR.format("InvalidBlockList"),
            },
        ),
        ("the completion fails", {"method": "PUT", "path": "comp=blocklist", "without_upstream": True, "status": 500}),
        (
            "the completion has the wrong success status",
            {"method": "PUT", "path": "comp=blocklist", "without_upstream": True, "status": 200},
        ),
        (
            "the completion is an HTML page",
            {"method": "PUT", "path": "comp=blocklist", "without_upstream": True, "status": 200, "body": PAGE},
        ),
        (
            "the completion is redirected",
            {
                "method": "PUT",
                "path": "comp=blocklist",
                "without_upstream": True,
                "status": 307,
                "headers": {"Location": "http://127.0.0.1:9/"},
            },
        ),
    ],
}


def test_multipart_upload_fails(folders, tally):
    name = stored(folders)
    dataset = folders.dataset(name, "PUT")
    with tally("a multipart upload fails at one of its steps", f"{folders}") as cases:
        for what, lie in LARGE_WRITES[folders.name]:
            with folders.proxy.rule("lies.Respond", **lie):
                cases.refused(lambda: dataset.write_bytes(LARGE), StorageError)
            assert content(folders, name) == OLD, what


def test_part_with_another_etag(folders, tally):
    if folders.name != "S3":
        pytest.skip("Azure's blocks have no ETags")
    name = stored(folders)
    dataset = folders.dataset(name, "PUT")
    with tally("a part is reported with another ETag", f"{folders}", outcome="refused, or written whole") as cases:
        for etag in ('"00000000000000000000000000000000"', "*", '"' + "e" * 5_000 + '"', "<Code/>", "\xff"):
            with folders.proxy.rule("lies.Respond", method="PUT", path="partNumber=1", headers={"ETag": etag}):
                try:
                    dataset.write_bytes(LARGE)
                except StorageError as error:
                    cases.count(type(error).__name__)
                    assert content(folders, name) in (OLD, LARGE)
                else:
                    cases.count("written")
                    assert content(folders, name) == LARGE
