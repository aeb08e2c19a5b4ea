"""Copies and removals of objects: in batches, in parts, with unusual names, and errors inside successful responses."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
import servers
from hostile import Answer, Request, hostile_server

from connectors.credentials.model import validate
from connectors.errors import (
    AccessDenied,
    CredentialsExpired,
    NotSupported,
    ObjectChanged,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors_s3 import S3Credentials
from connectors_s3 import store as store_module
from connectors_s3.filesystem import S3

MIB = 1 << 20
Stored = Callable[[str], bytes | None]
Uploads = Callable[[str], list[Any]]
NAMES = ["a\rb", "a\nb", "a&b", "<a>", "'\"", "a//b", "/a", "🩺/𝄞", "a+b c", "%41", "&#13;", "]]>"]


def against(url: str) -> S3:
    keys = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI"}
    fs = S3(validate(S3Credentials, {**keys, "endpoint_url": url, "encryption": None}))
    fs.store.attempts, fs.store.first_pause = 3, 0.001
    return fs


def named(request: Request) -> list[str]:
    """Return the keys in a request to remove objects."""
    return re.findall("<Key>(.*?)</Key>", request.body.decode())


def deleted(*errors: tuple[str, str]) -> Answer:
    parts = "".join(f"<Error><Key>{escape(key)}</Key><Code>{code}</Code></Error>" for key, code in errors)
    return Answer(200, {}, f"<DeleteResult>{parts}</DeleteResult>".encode())


def test_objects_are_removed_by_the_thousand() -> None:
    keys = [f"ward/{number}" for number in range(2_500)]
    with hostile_server(lambda _: deleted()) as (url, seen):
        against(url).store.remove_all([f"clinic/{key}" for key in keys])
    assert [len(named(request)) for request in seen] == [1_000, 1_000, 500]
    assert [key for request in seen for key in named(request)] == keys


def test_object_that_cannot_be_removed_is_named_in_the_error() -> None:
    with hostile_server(lambda _: deleted(("b", "AccessDenied"))) as (url, _):
        with pytest.raises(AccessDenied, match="remove s3://clinic/b .200 AccessDenied"):
            against(url).store.remove_all(["clinic/a", "clinic/b"])


def test_object_that_is_gone_already_is_removed() -> None:
    with hostile_server(lambda _: deleted(("b", "NoSuchKey"))) as (url, seen):
        against(url).store.remove_all(["clinic/a", "clinic/b"])
    assert len(seen) == 1


def test_only_the_objects_that_failed_for_now_are_removed_again() -> None:
    def respond(request: Request) -> Answer:
        return deleted(("b", "InternalError"), ("c", "SlowDown")) if request.number < 2 else deleted()

    with hostile_server(respond) as (url, seen):
        against(url).store.remove_all(["clinic/a", "clinic/b", "clinic/c"])
    assert [named(request) for request in seen] == [["a", "b", "c"], ["b", "c"], ["b", "c"]]


@pytest.mark.parametrize("code", ["InternalError", "AccessDenied"])
def test_error_in_a_successful_response_to_a_removal_is_raised(code: str) -> None:
    page = f"<Error><Code>{code}</Code></Error>".encode()
    with hostile_server(lambda _: Answer(200, {}, page)) as (url, seen):
        with pytest.raises(StorageError, match=f"s3://clinic/a.*200 {code}"):
            against(url).store.remove_all(["clinic/a"])
    assert len(seen) == (3 if code == "InternalError" else 1)


def test_name_that_was_not_to_be_removed_is_not_shown() -> None:
    with hostile_server(lambda _: deleted(("pay up\x85", "AccessDenied"))) as (url, _):
        with pytest.raises(AccessDenied, match="s3://clinic/a") as caught:
            against(url).store.remove_all(["clinic/a"])
    assert "pay up" not in str(caught.value)


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><DeleteResult>&b;</DeleteResult>'
PAGES = [BOMB, b"<!DOCTYPE DeleteResult><DeleteResult/>", b"<DeleteResult>&a;</DeleteResult>", b"", b"<html/>", b"\xff"]


@pytest.mark.parametrize("page", PAGES)
def test_response_with_a_document_type_or_without_xml_is_refused(page: bytes) -> None:
    with hostile_server(lambda _: Answer(200, {"ETag": '"e"', "Content-Length": str(len(page))}, page)) as (url, _):
        fs = against(url)
        for act in (
            lambda: fs.store.remove_all(["clinic/a"]),
            lambda: fs.store.start_upload("clinic/a", exclusive=False),
            lambda: fs.store.complete_upload("clinic/a", "1", ["e"], exclusive=False),
            lambda: fs.cp_file("clinic/a", "clinic/b"),
            lambda: fs.ls("clinic"),
        ):
            with pytest.raises(StorageUnavailable, match=r"sent an invalid|without names or sizes"):
                act()


def copying(page: bytes, *, failures: int, size: int = 2) -> Callable[[Request], Answer]:
    """Return a server that copies an object of `size` bytes, but sends `page` first."""
    sent = 0

    def respond(request: Request) -> Answer:
        nonlocal sent
        if request.method == "HEAD":
            return Answer(200, {"ETag": '"e"', "Content-Length": str(size)})
        if request.target.endswith("?uploads="):
            return Answer(200, {}, b"<X><UploadId>u</UploadId></X>")
        if request.method == "DELETE":
            return Answer(204)
        sent += 1
        return Answer(200, {}, page if sent <= failures else b"<CopyResult><ETag>e</ETag></CopyResult>")

    return respond


@pytest.mark.parametrize("size", [2, 3 * MIB])
def test_copy_that_fails_for_now_is_tried_again(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_MAX_COPY", MIB)
    monkeypatch.setattr(store_module, "_COPY_PART", MIB)
    page = b"<Error><Code>InternalError</Code></Error>"
    with hostile_server(copying(page, failures=2, size=size)) as (url, seen):
        against(url).cp_file("clinic/a", "clinic/b")
    assert len([one for one in seen if "x-amz-copy-source" in one.headers]) == 2 + -(-size // MIB)
    assert not [one for one in seen if one.method == "DELETE"]


@pytest.mark.parametrize("size", [2, 3 * MIB])
@pytest.mark.parametrize(
    ("page", "kind", "message"),
    [
        (b"<Error><Code>ExpiredToken</Code></Error>", CredentialsExpired, "s3://clinic/b have expired"),
        (b"<Error><Code>PreconditionFailed</Code></Error>", ObjectChanged, "s3://clinic/a was replaced while"),
        (b"<Error><Code>InternalError</Code></Error>", StorageUnavailable, "cannot copy s3://clinic/b now"),
        (b"<CopyResult/>", StorageUnavailable, "it has no ETag"),
    ],
)
def test_copy_that_fails_is_an_error_and_leaves_no_parts(
    size: int, page: bytes, kind: type[StorageError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_MAX_COPY", MIB)
    monkeypatch.setattr(store_module, "_COPY_PART", MIB)
    with hostile_server(copying(page, failures=1_000, size=size)) as (url, seen):
        with pytest.raises(kind, match=message) as caught:
            against(url).cp_file("clinic/a", "clinic/b")
    assert caught.value.__context__ is None
    assert [one.target for one in seen if one.method == "DELETE"] == (["/clinic/b?uploadId=u"] if size > MIB else [])


def test_copy_is_of_the_version_whose_size_was_asked_for() -> None:
    with hostile_server(copying(b"", failures=0)) as (url, seen):
        against(url).cp_file("clinic/a ü+b", "clinic/b")
    assert seen[1].headers["x-amz-copy-source-if-match"] == '"e"'
    assert seen[1].headers["x-amz-copy-source"] == "clinic/a%20%C3%BC%2Bb"


def test_large_object_is_copied_in_parts(
    fs: S3, path: str, stored: Stored, uploads: Uploads, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_MAX_COPY", 5 * MIB)
    monkeypatch.setattr(store_module, "_COPY_PART", 5 * MIB)
    data = os.urandom(12 * MIB)
    sink = fs.open_sink(path)
    sink.set_properties({"ward": "north  west", "x-amz-i": "AAAA+/=="})
    sink.write(memoryview(data))
    sink.commit()
    calls.clear()
    fs.cp_file(path, f"{path}-copy")
    assert calls == ["HEAD", "POST uploads", *["PUT partNumber"] * 3, "POST uploadId"]
    assert stored(f"{path}-copy") == data
    assert uploads(f"{path}-copy") == []
    assert fs.open_source(path).properties() == fs.open_source(f"{path}-copy").properties()
    assert fs.open_source(f"{path}-copy").properties() == {"ward": "north  west", "x-amz-i": "AAAA+/=="}


@pytest.mark.parametrize("size", [0, 3, 6 * MIB])
def test_properties_are_kept_with_an_object(fs: S3, path: str, calls: list[str], size: int) -> None:
    sink = fs.open_sink(path)
    sink.set_properties({"ward": "north"})
    sink.write(memoryview(bytes(size)))
    sink.commit()
    source = fs.open_source(path)
    calls.clear()
    assert len(source.read_range(0, 10)) == min(size, 10)
    assert source.properties() == {"ward": "north"}
    assert calls == (["GET"] if size else ["GET", "GET"])  # an empty object has no range
    with pytest.raises(ObjectNotFound):
        source.read_beside(".instruction", 100)
    assert fs.open_source(path).properties() == {"ward": "north"}


def test_object_beside_one_is_read_up_to_a_limit(fs: S3, path: str) -> None:
    fs.pipe_file(path, b"37.2")
    fs.pipe_file(f"{path}.beside", bytes(100))
    assert fs.open_source(path).properties() == {}
    assert fs.open_source(path).read_beside(".beside", 100) == bytes(100)
    with pytest.raises(NotSupported, match="more than 99 bytes"):
        fs.open_source(path).read_beside(".beside", 99)


# SeaweedFS makes one slash of two.
@pytest.mark.parametrize("name", [name for name in NAMES if "//" not in f"/{name}"])
def test_object_with_an_unusual_name_is_listed_copied_and_removed(
    fs: S3, s3: servers.S3Server, path: str, stored: Stored, name: str
) -> None:
    folder = f"{path}-unusual"
    fs.pipe_file(f"{folder}/{name}", name.encode())
    assert stored(f"{folder}/{name}") == name.encode()
    assert fs.find(folder) == [f"{folder}/{name}"]
    fs.cp_file(f"{folder}/{name}", f"{folder}/{name}.copy")
    assert stored(f"{folder}/{name}.copy") == name.encode()
    fs.store.remove_all([f"{folder}/{name}.copy"])
    assert stored(f"{folder}/{name}.copy") is None
    fs.rm(folder, recursive=True)
    assert fs.find(folder) == []
    assert stored(f"{folder}/{name}") is None


@pytest.mark.parametrize("name", NAMES)
def test_listed_name_is_literal(name: str) -> None:
    key = quote(f"ward/{name}", safe="")
    page = f"<Contents><Key>{key}</Key><Size>2</Size></Contents><EncodingType>url</EncodingType>"
    with hostile_server(lambda _: Answer(200, {}, f"<ListBucketResult>{page}</ListBucketResult>".encode())) as (url, _):
        assert against(url).find("clinic/ward") == [f"clinic/ward/{name}"]


@pytest.mark.parametrize("name", NAMES)
def test_name_is_the_same_in_xml(name: str) -> None:
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - a parser that is not ours

    with hostile_server(lambda _: deleted()) as (url, seen):
        against(url).store.remove_all([f"clinic/{name}"])
    assert ET.fromstring(seen[0].body).findtext("Object/Key") == name


def test_making_a_folder_sends_nothing_and_makes_no_bucket(fs: S3, s3: servers.S3Server, calls: list[str]) -> None:
    fs.mkdir("no-such-bucket-yet")
    fs.makedirs("no-such-bucket-yet/ward", exist_ok=True)
    assert calls == []
    with pytest.raises(ObjectNotFound, match="no such bucket"):
        fs.ls("no-such-bucket-yet")
    assert "no-such-bucket-yet" not in [one["Name"] for one in s3.client().list_buckets()["Buckets"]]


@pytest.mark.parametrize("option", ["versions", "max_items", "limit"])
def test_unknown_options_of_listings_are_refused(fs: S3, calls: list[str], option: str) -> None:
    for look in (fs.ls, fs.find):
        with pytest.raises(NotSupported, match=f"leave out {option}$"):
            look("clinic", **{option: 1})
    assert calls == []
    assert fs.find("clinic/none", refresh=True, **{option: None}) == []
