"""The storage lies to writers: what it refused is never called written, and what stood there then stands."""

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

pytestmark = [pytest.mark.usefixtures("no_pauses"), pytest.mark.timeout(200)]


def standing(route) -> str:
    """The name of an object that stands there, sealed."""
    name = f"writes/{next(_names)}"
    route.dataset(name, "PUT").write_bytes(OLD)
    return name


def now(route, name: str) -> bytes | None:
    """What stands there, past everything that is tested."""
    sealed = route.get(name)
    return None if sealed is None else connectors.open_reader(io.BytesIO(sealed), KEY).read()


def refused(cases, route, name: str, data: bytes, lies, *, old: bytes | None = OLD) -> None:
    """Write under lies which say that it failed, before anything was stored: it must fail, and the old object stand."""
    dataset = route.dataset(name, "PUT")
    for lie in lies:
        with route.proxy.rule("lies.Answer", unheard=True, **lie):
            cases.refused(lambda: dataset.write_bytes(data))
        assert now(route, name) == old, lie


def puts(status: int, code: str | None = "InternalError", **more):
    return {"method": "PUT", "status": status, "body": ERROR.format(code) if code else "", **more}


def test_refused_write(route, tally):
    name = standing(route)
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


def test_error_under_a_status_of_success(route, tally):
    name = standing(route)
    lies = [puts(200), puts(200, "SlowDown"), puts(200, "AccessDenied")]
    with tally("a write is refused, under the status of a success", f"{route}") as cases:
        refused(cases, route, name, NEW, lies)


def test_redirected_write(route, tally):
    name = standing(route)
    with hostile_server(lambda _: Answer(201, {"ETag": '"1"'})) as (elsewhere, seen):
        with tally("a write is redirected to another host", f"{route}") as cases:
            lies = [puts(status, headers={"Location": f"{elsewhere}/x"}) for status in (301, 302, 303, 307, 308)]
            refused(cases, route, name, NEW, lies)
        assert not seen, "somebody else was sent what is written"


def test_failure_that_is_told_when_all_is_stored(route, tally):
    with tally("a write is stored, and said to have failed", f"{route}") as cases:
        name = standing(route)
        dataset = route.dataset(name, "PUT")
        for status in (400, 403, 404, 409, 500, 503):
            with route.proxy.rule("lies.Answer", method="PUT", status=status, body=ERROR.format("InternalError")):
                cases.refused(lambda: dataset.write_bytes(NEW))
            assert now(route, name) in (OLD, NEW), "half an object"


def test_success_that_is_none(route, tally):
    lies = [
        {"method": "PUT", "status": status, "body": body, "headers": headers}
        for status in (200, 201, 204)
        for body in ("", PAGE)
        for headers in ({"ETag": '"1"'}, {}, {"ETag": "", "x-ms-request-server-encrypted": "perhaps"})
    ]
    with tally("nothing is stored, and a success is told", f"{route}") as cases:
        name = standing(route)
        dataset = route.dataset(name, "PUT")
        for lie in lies:
            with route.proxy.rule("lies.Answer", unheard=True, **lie):
                try:
                    dataset.write_bytes(NEW)
                except ConnectorError as error:
                    cases.count(type(error).__name__)
                else:
                    cases.count("believed; a read shows the old object")
            assert now(route, name) == OLD


def test_exclusive_write_where_the_storage_hides_what_is_there(folders, tally):
    name = standing(folders)
    dataset = folders.dataset(name, "PUT")
    with tally("an object is hidden from a writer that must not replace it", f"{folders}") as cases:
        with folders.proxy.rule("lies.Answer", method="HEAD", status=404, headers={"x-ms-error-code": "BlobNotFound"}):

            def create() -> None:
                with dataset.open("xb") as file:
                    file.write(NEW)

            cases.refused(create, StorageError)
    assert now(folders, name) == OLD


LARGE_WRITES = {
    "S3": [
        (
            "the upload cannot begin",
            {"method": "POST", "path": "uploads", "status": 500, "body": ERROR.format("InternalError")},
        ),
        ("the upload begins with nothing", {"method": "POST", "path": "uploads", "body": ""}),
        ("the upload begins with a page", {"method": "POST", "path": "uploads", "body": PAGE}),
        ("the upload has no name", {"method": "POST", "path": "uploads", "body": "<InitiateMultipartUploadResult/>"}),
        (
            "a part is refused",
            {"method": "PUT", "path": "partNumber=2", "status": 403, "body": ERROR.format("AccessDenied")},
        ),
        ("a part has no ETag", {"method": "PUT", "path": "partNumber=2", "headers": {"ETag": None}}),
        ("a part has an empty ETag", {"method": "PUT", "path": "partNumber=2", "headers": {"ETag": ""}}),
        ("a part is not there", {"method": "PUT", "path": "partNumber=2", "unheard": True, "headers": {"ETag": '"0"'}}),
        (
            "the end is an error under 200",
            {"method": "POST", "path": "uploadId", "unheard": True, "body": ERROR.format("InternalError")},
        ),
        (
            "the end is a slow error under 200",
            {"method": "POST", "path": "uploadId", "unheard": True, "body": "\n  " + ERROR.format("SlowDown")},
        ),
        (
            "the end is an unknown error under 200",
            {"method": "POST", "path": "uploadId", "unheard": True, "body": ERROR.format("Whatever")},
        ),
        ("the end is nothing", {"method": "POST", "path": "uploadId", "unheard": True, "body": ""}),
        ("the end is a page", {"method": "POST", "path": "uploadId", "unheard": True, "body": PAGE}),
        (
            "the end is refused",
            {"method": "POST", "path": "uploadId", "unheard": True, "status": 400, "body": ERROR.format("InvalidPart")},
        ),
        (
            "the end is redirected",
            {
                "method": "POST",
                "path": "uploadId",
                "unheard": True,
                "status": 307,
                "headers": {"Location": "http://127.0.0.1:9/"},
            },
        ),
    ],
    "Azure": [
        ("a block is refused", {"method": "PUT", "path": "comp=block(&|$)", "after": 1, "status": 403, "body": ""}),
        (
            "a block is half a success",
            {"method": "PUT", "path": "comp=block(&|$)", "after": 1, "status": 200, "body": ""},
        ),
        (
            "a block is not there",
            {"method": "PUT", "path": "comp=block(&|$)", "times": 1, "unheard": True, "status": 201},
        ),
        (
            "the end is refused",
            {
                "method": "PUT",
                "path": "comp=blocklist",
                "unheard": True,
                "status": 400,
                "body": ERROR.format("InvalidBlockList"),
            },
        ),
        ("the end is a failure", {"method": "PUT", "path": "comp=blocklist", "unheard": True, "status": 500}),
        ("the end is half a success", {"method": "PUT", "path": "comp=blocklist", "unheard": True, "status": 200}),
        (
            "the end is a page",
            {"method": "PUT", "path": "comp=blocklist", "unheard": True, "status": 200, "body": PAGE},
        ),
        (
            "the end is redirected",
            {
                "method": "PUT",
                "path": "comp=blocklist",
                "unheard": True,
                "status": 307,
                "headers": {"Location": "http://127.0.0.1:9/"},
            },
        ),
    ],
}


def test_large_write(folders, tally):
    name = standing(folders)
    dataset = folders.dataset(name, "PUT")
    with tally("a large object's upload goes wrong at one of its steps", f"{folders}") as cases:
        for what, lie in LARGE_WRITES[folders.name]:
            with folders.proxy.rule("lies.Answer", **lie):
                cases.refused(lambda: dataset.write_bytes(LARGE), StorageError)
            assert now(folders, name) == OLD, what


def test_part_with_another_etag(folders, tally):
    if folders.name != "S3":
        pytest.skip("Azure's blocks have no ETags")
    name = standing(folders)
    dataset = folders.dataset(name, "PUT")
    with tally("a part is said to have another ETag", f"{folders}", outcome="refused, or written whole") as cases:
        for etag in ('"00000000000000000000000000000000"', "*", '"' + "e" * 5_000 + '"', "<Code/>", "\xff"):
            with folders.proxy.rule("lies.Answer", method="PUT", path="partNumber=1", headers={"ETag": etag}):
                try:
                    dataset.write_bytes(LARGE)
                except StorageError as error:
                    cases.count(type(error).__name__)
                    assert now(folders, name) in (OLD, LARGE)
                else:
                    cases.count("written")
                    assert now(folders, name) == LARGE
