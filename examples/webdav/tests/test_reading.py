"""Reading: one version, and nothing but the server that was named."""

from __future__ import annotations

import pytest

from connectors.errors import AccessDenied, ObjectChanged, StorageError


def test_a_replaced_object_is_noticed_by_the_server(stock, connect):
    fs, path = connect(stock, "pinned")
    (stock.folder / "pinned").write_bytes(b"old" * 1000)
    source = fs.open_source(path)
    assert source.read_range(0, 3) == b"old"
    (stock.folder / "new").write_bytes(b"new" * 1000)
    (stock.folder / "new").replace(stock.folder / "pinned")
    with pytest.raises(ObjectChanged, match="412"):
        source.read_range(3, 6)
    source.close()


def test_without_an_etag_the_size_and_time_pin_the_version(bare, connect):
    fs, path = connect(bare, "pinned")
    (bare.folder / "pinned").write_bytes(b"old" * 1000)
    source = fs.open_source(path)
    assert source.version().validator.endswith("GMT")
    (bare.folder / "pinned").write_bytes(b"longer" * 1000)
    with pytest.raises(ObjectChanged):
        source.read_range(3, 6)
    source.close()


@pytest.mark.parametrize("etag", ['W/"1"', "unquoted", None])
def test_a_weak_or_missing_etag_is_not_sent_as_a_condition(liar, etag):
    headers = {"ETag": etag} if etag else {}
    liar.replies += [(206, {**headers, "Content-Range": f"bytes {at}-{at}/2"}, b"x") for at in (0, 1)]
    source = liar.fs().open_source("/one")
    assert [bytes(source.read_range(at, at + 1)) for at in (0, 1)] == [b"x", b"x"]
    assert [headers.get("If-Match") for _, _, headers in liar.requests] == [None, None]
    source.close()


def test_a_redirect_is_not_followed(liar):
    liar.replies.append((302, {"Location": f"{liar.url}/elsewhere?secret"}, b""))
    with pytest.raises(StorageError, match="redirects are not followed") as error:
        liar.fs().cat_file("/one")
    assert len(liar.requests) == 1
    assert "secret" not in str(error.value)


def test_refused_credentials_are_sent_once(liar):
    liar.replies.append((401, {"WWW-Authenticate": "Basic"}, b""))
    with pytest.raises(AccessDenied):
        liar.fs(token="a-token").cat_file("/one")
    assert [headers["Authorization"] for _, _, headers in liar.requests] == ["Bearer a-token"]
