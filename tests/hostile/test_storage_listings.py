"""The storage lies in listings: omitted and added members, names that lead elsewhere, endless listings."""

from __future__ import annotations

import itertools
import os

import pytest
from attacks import RIGHT

import connectors.storage.listing
from connectors.errors import ConnectorError, IntegrityError, StorageError

NAMES = ["east.csv", "north.csv", "south.csv"]
KINDS = {"a folder": {}, "a folder with a manifest": {"manifest": True}, "a folder without binding": {"bind": "none"}}
ENTRY = r"<(Contents|Blob)>(?:(?!</\1>).)*north\.csv(?:(?!</\1>).)*</\1>"
_names = itertools.count()

pytestmark = pytest.mark.usefixtures("no_backoff")


@pytest.fixture(params=[*list(KINDS)[:2], pytest.param("a folder without binding", marks=pytest.mark.slow)])
def kind(request):
    return request.param


@pytest.fixture
def listed(folders, kind):
    """A folder of each kind, with objects; nothing of it is cached yet."""
    folder = f"listings/{next(_names)}/"
    options = KINDS[kind]
    fs, path = folders.dataset(folder, **options).filesystem()
    with fs.transaction:
        for name in NAMES:
            fs.pipe_file(f"{path}/{name}", name.encode())
    return folders.dataset(folder, **options)


def looks(dataset, tmp_path):
    """Return ways to list a folder; each returns what it finds as bytes."""
    fs, path = dataset.filesystem()

    def get() -> bytes:
        target = tmp_path / "inside" / f"copy-{next(_names)}"
        fs.get(path, str(target), recursive=True)
        found = (target / name for name in NAMES)
        return b"\n".join(one.read_bytes() for one in found if one.exists())

    return {
        "find": lambda: "\n".join(name.removeprefix(f"{path}/") for name in sorted(fs.find(path))).encode(),
        "ls": lambda: "\n".join(
            one["name"].removeprefix(f"{path}/") for one in sorted(fs.ls(path), key=lambda one: one["name"])
        ).encode(),
        "get": get,
    }


def edited(folders, *edits):
    return folders.proxy.rule("listings.Edit", edits=edits)


OMITTED = {"one": [(ENTRY, "")], "all": [(r"<(Contents|Blob)>.*</\1>", "")]}


@pytest.mark.parametrize("kind", ["a folder with a manifest"], indirect=True)
def test_listing_omits_members(folders, listed, tally, tmp_path):
    with tally("listings omit members", f"a folder with a manifest, {folders}") as cases:
        for edits in OMITTED.values():
            with edited(folders, *edits):
                for look in looks(listed, tmp_path).values():
                    cases.refused(look, IntegrityError)


@pytest.mark.parametrize("kind", ["a folder with a manifest"], indirect=True)
def test_listing_contains_missing_members(folders, listed, tally, tmp_path):
    with tally("listings contain members that do not exist", f"a folder with a manifest, {folders}") as cases:
        for name in ("west.csv", "nörth.csv", "north.csv ", "sub/north.csv", "NORTH.CSV", "north.csv/north.csv"):
            with edited(
                folders, (r"(<(Contents|Blob)>(?:(?!</\2>).)*)north\.csv((?:(?!</\2>).)*</\2>)", rf"\g<0>\1{name}\3")
            ):
                for way, look in looks(listed, tmp_path).items():
                    # get copies what find returns: where a name is not possible on disk, the error is that of a missing object.
                    kinds = (IntegrityError, StorageError) if way == "get" else (IntegrityError,)
                    cases.refused(look, *kinds)


def test_listing_contains_names_that_lead_elsewhere(folders, kind, listed, tally, tmp_path):
    names = [
        "../north.csv",
        "..",
        ".",
        "./north.csv",
        "../../../../../../etc/passwd",
        "a/../../north.csv",
        "/etc/passwd",
        "//etc/passwd",
        "..\\\\north.csv",
        "%2e%2e/north.csv",
        "north&#10;csv",
        "north&#13;csv",
        "&#x202e;vsc.htron",
        "north.csv/",
        "a" * 5_000,
        "a/" * 2_000 + "b",
        "~/north.csv",
        "$HOME",
        "-rf",
        "north.csv?versionId=1",
        "*",
        "",
    ]
    with tally("listings contain names that lead elsewhere, or are unusual", f"{kind}, {folders}") as cases:
        for name in names:
            with edited(folders, (r"north\.csv", name)):
                for way, look in looks(listed, tmp_path).items():
                    listing = _listing(look)
                    assert listing is None or way != "get" or listing, name
                    cases.count("as listed, nothing written outside" if listing is not None else "one of our errors")
        inside = {os.path.join(parent, name) for parent, _, found in os.walk(tmp_path) for name in found}
        assert all(name.startswith(str(tmp_path / "inside")) for name in inside)


def _listing(look) -> bytes | None:
    """Return a listing, or None if it is refused with one of our errors."""
    try:
        return look()
    except ConnectorError:
        return None


def test_listing_contains_names_from_other_folders(folders, kind, listed, tally, tmp_path):
    with tally("listings contain names of other folders and buckets", f"{kind}, {folders}") as cases:
        for prefix in (r"\1other/", r"\1", r"\1another-bucket/", r"\1listings/", r"\1listings"):
            with edited(folders, (r"(<Key>|<Name>)listings/\d+/", prefix)):
                for look in looks(listed, tmp_path).values():
                    cases.refused(look)


def test_listing_is_invalid(folders, kind, listed, tally, tmp_path):
    everything = r"\A.*\Z"
    edits = [
        (everything, ""),
        (everything, "<html><body>it works</body></html>"),
        (everything, "<ListBucketResult>"),
        (everything, "<ListBucketResult/>"),
        (everything, "<EnumerationResults/>"),
        (everything, "{}"),
        (everything, "\xff\xfe\0"),
        (
            everything,
            "<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]><ListBucketResult><Contents><Key>&c;</Key></Contents></ListBucketResult>",
        ),
        (
            everything,
            "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><ListBucketResult><Name>&b;</Name></ListBucketResult>",
        ),
        (r"<(Key|Name)>[^<]*csv</\1>", ""),
        (r"<(Size|Content-Length)>\d+</\1>", ""),
        (r"(<(?:Size|Content-Length)>)\d+(</)", r"\1many\2"),
        (r"(<(?:Size|Content-Length)>)\d+(</)", r"\g<1>-5\2"),
        (r"(<(?:Size|Content-Length)>)\d+(</)", r"\g<1>99999999999999999999999\2"),
        (r"(<(?:Size|Content-Length)>)\d+(</)", r"\g<1>17\2"),
        (r"(<(?:LastModified|Last-Modified)>)[^<]+(</)", r"\1yesterday\2"),
        (r"(<(?:ETag|Etag)>)[^<]*(</)", r"\1\2"),
        (r"<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated>"),
        (r"<IsTruncated>false</IsTruncated>", "<IsTruncated>perhaps</IsTruncated>"),
    ]
    with tally("listings are invalid, or contain invalid sizes and times", f"{kind}, {folders}") as cases:
        for edit in edits:
            with edited(folders, edit):
                for name, look in looks(listed, tmp_path).items():
                    listing = _listing(look)
                    if "manifest" in kind and listing is not None:
                        assert listing == (b"\n".join(map(str.encode, NAMES))), name
                    cases.count("as listed" if listing is not None else "one of our errors")


@pytest.mark.parametrize("page", ["same", "fresh", "empty"])
@pytest.mark.parametrize("token", ["same", "fresh"])
def test_endless_listing(folders, kind, listed, token, page, tally, tmp_path, monkeypatch):
    monkeypatch.setattr(connectors.storage.listing, "MAX_PAGES", 40)
    monkeypatch.setattr(connectors.storage.listing, "MAX_EMPTY_PAGES", 20)
    attack = f"an endless listing: {page} pages, {token} tokens"
    with tally(attack, f"{kind}, {folders}") as cases:
        for name, look in looks(listed, tmp_path).items():
            if name != "get":
                with folders.proxy.rule("listings.Endless", token=token, page=page, most=100):
                    cases.refused(look, StorageError)
                    assert len(folders.proxy.log()) < 100


def test_overlong_listing(folders, kind, listed, tally, tmp_path):
    more = "".join(rf"\g<1>{number:05}.csv\3" for number in range(2_000))
    edit = (r"(<(Contents|Blob)>(?:(?!</\2>).)*)north\.csv((?:(?!</\2>).)*</\2>)", rf"\g<0>{more}")
    with tally("2,000 members are added to a listing", f"{kind}, {folders}") as cases:
        for name, look in looks(listed, tmp_path).items():
            if name == "get":
                continue
            with edited(folders, edit):
                if "manifest" in kind:
                    cases.refused(look, IntegrityError)
                else:
                    # Unless the layout is known in advance, each of them would have to be opened to get its size.
                    listing = _listing(look)
                    assert listing is None or listing.count(b"\n") == 2_000 + len(NAMES) - 1
                    cases.count("as listed" if listing is not None else "one of our errors")
    assert {
        name: cases.read(look, b"\n".join(map(str.encode, NAMES))) for name, look in looks(listed, tmp_path).items()
    } == dict.fromkeys(("find", "ls", "get"), RIGHT)
