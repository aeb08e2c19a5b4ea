"""Defects that fuzzing found: each of these inputs once raised an error that is not ours, or did worse."""

from __future__ import annotations

import gc
import os

import pytest

import connectors
from connectors._fsspec import AbstractFileSystem
from connectors.errors import ConfigError, InvalidLocation, StorageUnavailable, UnknownDataset
from connectors.fs.encrypted import EncryptedFileSystem
from connectors.storage import split_path
from connectors_gcs.filesystem import Gcs
from connectors_https.location import Place
from fuzz.checks import attempt
from fuzz.targets import clouds, responses
from fuzz.targets.responses import NEXT, response

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collect_dropped_connections():
    """Collect the connections that a client has dropped here, and not in the next test."""
    yield
    gc.collect()


KEY = "5a" * 32
DATED = ("Last-Modified: Mon, 05 Jan 2026 03:04:05 GMT", 'ETag: "a"')
LISTED = b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents>%s</Contents></ListBucketResult>"
BLOBS = b'<?xml version="1.0"?><EnumerationResults ContainerName="clinic"><Blobs><Blob>%s</Blob></Blobs></EnumerationResults>'
ITEM = (
    b'{"kind": "storage#object", "name": "ward/one", "size": %s, "generation": "1", "timeCreated": "", "updated": ""}'
)
TOKEN = b'{"access_token": "t", "expires_in": 1e999}'

RESPONSES = {
    "a server without ranges, whose object ends before the range": ("https_range", response("200 OK", b"ab")),
    "a time in the far future": (
        "https_modified",
        response(
            "206 X", b"a", "Content-Range: bytes 0-0/1", "Last-Modified: Mon, 05 Jan 99999999999999999999 03:04:05 GMT"
        ),
    ),
    "an infinite size": (
        "gcs_listing",
        response("200 OK", b'{"kind": "storage#objects", "items": [%s]}' % (ITEM % b"Infinity")),
    ),
    "a negative size": ("gcs_info", response("200 OK", ITEM % b'"-64"')),
    "a token that never expires": ("gcs_token", response("200 OK", TOKEN)),
}
CLOUDS = {
    "an invalid time": ("s3", "info", response("200 OK", b"", "Last-Modified: yesterday")),
    "no XML": ("s3", "listing", response("201 X", b"<?xml nonsense'?><")),
    "a listing that fails, from outside an event loop": ("s3", "find", response("500 X")),
    "an invalid size": ("s3", "find", response("200 OK", LISTED % b"<Key>ward/one</Key><Size>many</Size>")),
    "an object without a name": ("s3", "listing", response("200 OK", LISTED % b"<Size>1</Size>")),
    "an object of another folder": ("s3", "find", response("200 OK", LISTED % b"<Key>elsewhere</Key><Size>1</Size>")),
    "a blob without a name": ("azure", "listing", response("200 OK", BLOBS % b"<Properties/>", "Content-Type: application/xml")),
    "a range beyond the end of a blob of an unknown size": ("azure", "range", response("416 X", b"", "x-ms-error-code: InvalidRange") + NEXT + response("200 OK", b"", *DATED).replace(b"Content-Length: 0\r\n", b"")),
    "a blob of an unknown size": ("azure", "info", response("200 OK", b"", *DATED, "x-ms-blob-type: BlockBlob").replace(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n"),
}  # fmt: skip


def test_responses_that_once_raised_other_errors(tally):
    requests = {request.__name__[1:]: number for number, request in enumerate(responses.REQUESTS)}
    stores = {(store[0], request.__name__[1:]): number for number, (store, request) in enumerate(clouds.REQUESTS)}
    expected = {"https_range": "accepted", "https_modified": "NotSupported", "gcs_token": "AccessDenied"}
    with tally("responses that once raised another error, or worse", "all HTTP plugins") as cases:
        for name, (request, data) in RESPONSES.items():
            outcome = responses.check(bytes([requests[request]]) + data)
            assert outcome == expected.get(request, "StorageUnavailable"), name
            cases.count(outcome if outcome != "accepted" else "empty data")
        for name, (store, request, data) in CLOUDS.items():
            outcome = clouds.check(bytes([stores[store, request]]) + data)
            assert outcome == "StorageUnavailable", name
            cases.count(outcome)


def test_copy_ends_after_an_invalid_rewrite_token():
    number = next(n for n, request in enumerate(responses.REQUESTS) if request.__name__ == "_gcs_copy")
    data = (
        response("200 OK", b'{"kind": "storage#rewriteResponse", "done": false, "rewriteToken": "t"}')
        + NEXT
        + response("200 OK", b'{"kind": "storage#rewriteResponse", "done": false, "rewriteToken": 1}')
    )
    assert responses.check(bytes([number]) + data) == "StorageUnavailable"


@pytest.mark.parametrize(
    "location",
    ["file://[x/y", "file:///a\tb", "file:///a%00b", "file:///\ud800", "file:///x?sig=hunter2", "file://u:hunter2@h/x"],
)
def test_invalid_file_location_is_refused_without_quoting_it(location):
    with pytest.raises(InvalidLocation) as caught:
        connectors.Dataset(location, {"encryption": None}).read_bytes()
    assert "hunter2" not in str(caught.value)


def test_file_name_may_be_bytes_that_are_not_text(tmp_path):
    path = os.fsencode(tmp_path) + b"/n\xffrth"
    dataset = connectors.Dataset(f"file://{tmp_path}/n%FFrth", {"encryption": {"key": KEY}})
    dataset.write_bytes(b"37.2")
    assert os.path.exists(path)
    assert dataset.read_bytes() == b"37.2"


def test_key_that_contains_a_scheme_is_a_different_key():
    assert split_path("clinic/mirror/gs://other/one") == ("clinic", "mirror/gs://other/one")
    assert split_path(Gcs._strip_protocol("gs://clinic/gcs://x")) == ("clinic", "gcs://x")


def test_lone_surrogate_in_a_url_is_refused():
    with pytest.raises(InvalidLocation, match="lone surrogate"):
        Place.of("https://host.example/\ud800")


class Unsized(AbstractFileSystem):
    """A storage that reports an object, but not its size."""

    protocol = "unsized"

    def info(self, path, **_):
        return {"name": path, "type": "file", "size": None}

    def ls(self, path, detail=True, **_):
        return [self.info(f"{path}/one"), {"name": f"{path}/two", "type": "file", "size": -1}]


def test_object_of_unknown_size_is_listed_but_its_info_is_an_error():
    fs = EncryptedFileSystem(fs=Unsized(skip_instance_cache=True), key=KEY)
    assert [entry["size"] for entry in fs.ls("/ward")] == [None, None]
    for request in (fs.info, fs.cat_file):
        with pytest.raises(StorageUnavailable, match="reports no valid size"):
            request("/ward/one")


@pytest.fixture
def app(tmp_path):
    dataset = tmp_path / "input" / "conditions" / "dataset"
    dataset.mkdir(parents=True)
    (dataset / "location.txt").write_text("memory://clinic/x")
    return connectors.load(tmp_path)


def test_circular_links_hide_nothing_else_of_an_app_config(app, tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "input" / "circle").symlink_to("circle")
    assert list(app) == ["input"]
    assert list(app["input"]) == ["conditions"]


def test_lone_surrogate_is_not_a_port_name(app):
    assert "\ud800" not in app
    with pytest.raises(UnknownDataset):
        app["input"]["\ud800"]


def test_pipe_in_an_app_config_does_not_block(app, tmp_path):
    os.mkfifo(tmp_path / "input" / "conditions" / "dataset" / "credentials.bin")
    with pytest.raises(ConfigError, match=r"credentials.bin is not a regular file"):
        app["input"]["conditions"].read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_unlistable_folder_is_one_of_our_errors(app, tmp_path):
    (tmp_path / "input").chmod(0)
    assert attempt(lambda: list(app)) == "ConfigError"
