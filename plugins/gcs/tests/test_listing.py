"""Pages of listings: the largest that Google sends are read, and one that would take much memory is not parsed."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hostile import Answer

from connectors.credentials.model import validate
from connectors.errors import StorageUnavailable
from connectors_gcs import GcsCredentials
from connectors_gcs.filesystem import Gcs

TIME = "2026-01-02T03:04:05.678Z"


def real_page(member: str) -> bytes:
    """A page of the most objects, of the longest names, with characters for which JSON takes the most bytes."""
    names = [f"{number:04d}" + "\x01" * 1020 for number in range(1000)]
    if member == "prefixes":
        return json.dumps({"kind": "storage#objects", "prefixes": names, "nextPageToken": "x" * 2000}).encode()
    told = {"kind": "storage#object", "size": "5497558138880", "generation": "1767322984567890", "md5Hash": "x" * 24}
    items = [{**told, "name": name, "timeCreated": TIME, "updated": TIME} for name in names]
    return json.dumps({"kind": "storage#objects", "items": items}, indent=1).encode()


@pytest.mark.parametrize("member", ["items", "prefixes"])
def test_the_largest_page_is_read(google: Any, member: str) -> None:
    google.answering["GET object"] = [Answer(200, {}, real_page(member))]
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    page = fs.store.list_page("clinic", "", "", None, None)
    assert len(page.objects) + len(page.prefixes) == 1000


@pytest.mark.parametrize(
    "value", [b"{}", b'{"a":1}', b"[]", b"1.5", b'"ab"', b"[[[[]]]]", b'{"a":{}}'], ids=bytes.decode
)
def test_page_that_would_take_much_memory_is_not_parsed(google: Any, value: bytes) -> None:
    head, tail = b'{"kind":"storage#objects","items":[', b"]}"
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    for size in (7 << 20, 16 << 20):
        body = head + b",".join([value] * ((size - 100) // (len(value) + 1))) + tail
        google.answering["GET object"] = [Answer(200, {}, body)]
        tracemalloc.start()
        try:
            with pytest.raises(StorageUnavailable, match="sent an invalid response|sent too large a response"):
                fs.store.list_page("clinic", "", "", None, None)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 40 << 20


def test_names_with_brackets_and_commas_are_read(google: Any) -> None:
    item = {"kind": "storage#object", "size": "1", "generation": "1", "timeCreated": TIME, "updated": TIME}
    items = [{**item, "name": f"{number:04d}" + '[{,\\"' * 60} for number in range(1000)]
    body = json.dumps({"kind": "storage#objects", "items": items}).encode()
    google.answering["GET object"] = [Answer(200, {}, body)]
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    assert [one.key for one in fs.store.list_page("clinic", "", "", None, None).objects] == [
        one["name"] for one in items
    ]
