"""Listings with several pages, and invalid listings."""

from __future__ import annotations

from typing import Any

import pytest
from hostile import Answer, hostile_server

from connectors.credentials.model import validate
from connectors.errors import NotSupported, StorageUnavailable
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3

ENTRY = "<Contents><Key>wards/{}.csv</Key><Size>{}</Size></Contents>"
MORE = "<IsTruncated>true</IsTruncated><NextContinuationToken>page-2</NextContinuationToken>"


def listing(content: str) -> Answer:
    body = f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</ListBucketResult>'
    return Answer(200, {"Content-Type": "application/xml"}, body.encode())


def store(document: dict[str, Any], url: str) -> S3:
    return S3(validate(S3Credentials, {**document, "endpoint_url": url}))


def test_all_pages_are_listed(document: dict[str, Any]) -> None:
    folder = "<CommonPrefixes><Prefix>wards/north/</Prefix></CommonPrefixes>"
    pages = [f"{MORE}{ENTRY.format('east', 5)}{folder}", ENTRY.format("west", 7)]
    with hostile_server(lambda request: listing(pages[request.number])) as (url, seen):
        found = store(document, url).ls("clinic/wards", detail=True)
    assert {one["name"]: (one["type"], one["size"]) for one in found} == {
        "clinic/wards/east.csv": ("file", 5),
        "clinic/wards/north": ("directory", 0),
        "clinic/wards/west.csv": ("file", 7),
    }
    assert ["continuation-token=page-2" in request.target for request in seen] == [False, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<IsTruncated>true</IsTruncated>" + ENTRY.format("east", 5), "has further pages, but no token"),
        ("<Contents><Key>wards/east.csv</Key></Contents>", "a size is missing or invalid"),
        ("<Contents><Size>5</Size></Contents>", "without names or sizes"),
        ("<CommonPrefixes></CommonPrefixes>", "without names or sizes"),
        (MORE + ENTRY.format("east", 5), "repeats itself"),
    ],
)
@pytest.mark.parametrize("look", ["ls", "find"])
def test_invalid_or_endless_listing_is_an_error(
    document: dict[str, Any], content: str, message: str, look: str
) -> None:
    with hostile_server(lambda _: listing(content)) as (url, _):
        fs = store(document, url)
        with pytest.raises(StorageUnavailable, match=message) as caught:
            getattr(fs, look)("clinic/wards")
        assert "s3://clinic/wards" in str(caught.value)


@pytest.mark.parametrize("option", ["versions", "max_items"])
def test_partial_listing_and_old_versions_are_refused(document: dict[str, Any], option: str) -> None:
    with hostile_server(lambda _: listing("")) as (url, seen):
        fs = store(document, url)
        with pytest.raises(NotSupported, match=f"leave out {option}$"):
            fs.find("clinic/wards", **{option: True})
    assert seen == []
