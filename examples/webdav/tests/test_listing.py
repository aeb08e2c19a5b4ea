"""Listings that lie: nothing that a server lists is trusted."""

from __future__ import annotations

import pytest

from connectors.errors import NotAnObject, ObjectNotFound, StorageUnavailable
from connectors_webdav.listing import members_of, parse_multistatus


def response(href: str, *, folder: bool = False, size: str = "4", status: str = "HTTP/1.1 200 OK") -> str:
    kind = "<D:collection/>" if folder else ""
    return (
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype>{kind}</D:resourcetype>"
        f"<D:getcontentlength>{size}</D:getcontentlength></D:prop><D:status>{status}</D:status></D:propstat>"
        "<D:propstat><D:prop><D:getetag/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>"
    )


def multistatus(*responses: str) -> bytes:
    return f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{"".join(responses)}</D:multistatus>'.encode()


WARD = response("/ward/", folder=True)


def test_members_are_read_with_names_in_any_notation():
    found = parse_multistatus(
        multistatus(
            WARD,
            response("/ward/a%20b%3F.csv"),
            response("http://inside.example/ward/north/", folder=True),
            response("/ward/S%C3%BCd", size="many"),
        )
    )
    assert [(one.path, one.folder, one.size) for one in members_of("/ward", found)] == [
        ("/ward/a b?.csv", False, 4),
        ("/ward/north", True, 4),
        ("/ward/Süd", False, None),
    ]


@pytest.mark.parametrize(
    ("responses", "problem"),
    [
        ([WARD, response("/other/one")], "names outside"),
        ([WARD, response("/ward/north/one")], "names outside"),
        ([WARD, response("/ward2")], "names outside"),
        ([WARD, response("/ward/..")], "names outside"),
        ([WARD, response("/")], "names outside"),
        ([WARD, response("/ward/one"), response("/ward/one")], "a name twice"),
        ([response("/ward/one")], "not the folder's own"),
        ([], "not the folder's own"),
        ([WARD, response("/ward/one%2Ftwo")], "an invalid name"),
        ([WARD, response("/ward/one%00")], "an invalid name"),
        ([WARD, response("ward/one")], "an invalid name"),
        ([WARD, response("/ward/one?two")], "an invalid name"),
        ([WARD, response("/ward/%FF")], "can't decode"),
        ([WARD, response("/ward/one", status="HTTP/1.1 403 Forbidden")], "without its properties"),
        ([WARD, "<D:response><D:href>/ward/one</D:href></D:response>"], "without its properties"),
    ],
)
def test_listings_that_lie_are_refused(responses, problem):
    with pytest.raises(ValueError, match=problem):
        members_of("/ward", parse_multistatus(multistatus(*responses)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html/>",
        multistatus(WARD)[:-5],
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + multistatus(WARD).partition(b"?>")[2],
    ],
)
def test_what_is_no_listing_is_refused(body):
    with pytest.raises(ValueError, match=r"it (is|has) .*,$"):
        parse_multistatus(body)


def test_a_refused_listing_names_the_folder_and_quotes_nothing(liar):
    liar.replies.append((207, {}, multistatus(WARD, response("/secret/one"))))
    with pytest.raises(
        StorageUnavailable, match=r"names outside the folder, for webdav://127.0.0.1:\d+/ward$"
    ) as error:
        liar.fs().ls("/ward")
    assert "secret" not in str(error.value)


def test_staged_files_are_not_listed(stock, connect):
    fs, path = connect(stock, "listing")
    fs.pipe_file(f"{path}/one", b"1")
    (stock.folder / "listing" / f".{'0f' * 16}.part").write_bytes(b"x")
    assert fs.ls(path, detail=False) == ["/listing/one"]
    assert [(one["type"], one["size"]) for one in fs.ls("/listing/one")] == [("file", 1)]


def test_a_missing_folder_is_not_found(stock, connect):
    fs, path = connect(stock, "none")
    with pytest.raises(ObjectNotFound):
        fs.ls(path)
    assert not fs.exists(path)
    assert not fs.isdir(path)


@pytest.mark.parametrize(("status", "headers"), [(301, {"Location": "/ward/"}), (405, {}), (501, {})])
def test_a_folder_is_no_object(liar, status, headers):
    liar.replies.append((status, headers, b""))
    with pytest.raises(NotAnObject, match="is a folder"):
        liar.fs().cat_file("/ward")


def test_a_folder_that_is_redirected_to_its_slash_is_found(liar):
    liar.replies += [(308, {"Location": f"{liar.url}/ward/"}, b""), (207, {}, multistatus(WARD))]
    assert liar.fs().isdir("/ward")
    assert [target for _, target, _ in liar.requests] == ["/ward", "/ward/"]
