"""XML that a storage sends, valid or not."""

from __future__ import annotations

import codecs

import pytest

from connectors.storage import parse_xml
from connectors_azure.responses import block_list, names, page

START = '<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>'
END = "</Blobs><NextMarker>{}</NextMarker></EnumerationResults>"


def blob(name: str, *, size: str = "64", more: str = "", metadata: str = "") -> str:
    properties = f"<Properties><Content-Length>{size}</Content-Length>{more}</Properties>"
    return f"<Blob>{name}{properties}<Metadata>{metadata}</Metadata></Blob>"


def listing(*entries: str, marker: str = "") -> bytes:
    return (START + "".join(entries) + END.format(marker)).encode()


def test_page_has_blobs_folders_and_the_next_marker() -> None:
    times = (
        "<Creation-Time>Fri, 02 Jan 2026 03:04:05 GMT</Creation-Time><Last-Modified>nonsense</Last-Modified>"
        "<Etag>0x8D</Etag>"
    )
    found = page(
        codecs.BOM_UTF8
        + listing(
            blob("<Name>a/ü &lt;b&gt;</Name>", more=times),
            blob("<Name>a/f</Name>", size="0", metadata="<Hdi_isfolder>true</Hdi_isfolder>"),
            blob('<Name Encoded="true">a%2Fb%EF%BF%BE</Name>'),
            "<BlobPrefix><Name>a/below/</Name></BlobPrefix>",
            marker="2!next",
        )
    )
    assert [(one.key, one.size, one.folder) for one in found.objects] == [
        ("a/ü <b>", 64, False),
        ("a/f", 0, True),
        ("a/b\ufffe", 64, False),
    ]
    assert found.prefixes == ["a/below/"]
    assert found.following == "2!next"
    facts = found.objects[0].facts
    assert facts["etag"] == '"0x8D"'
    assert facts["created"].isoformat() == "2026-01-02T03:04:05+00:00"
    assert facts["modified"] is None


def test_last_page_has_no_marker() -> None:
    assert page(listing()).following is None
    assert page(b"<EnumerationResults/>").following is None


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]>'
    "<EnumerationResults><Blobs><Blob><Name>&b;</Name></Blob></Blobs></EnumerationResults>"
)


@pytest.mark.parametrize(
    "body",
    [
        LAUGHS.encode(),
        LAUGHS.encode("utf-16"),
        LAUGHS.replace("<?xml version", "<?xml encoding='utf-16' version").encode("utf-16-le"),
        b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>",
        b"",
        b"<html>",
        b"\x00\xff",
        b'{"blobs": []}',
    ],
)
def test_document_types_and_other_text_are_refused(body: bytes) -> None:
    for read in (page, lambda body: names(body, "EnumerationResults", "Containers/Container")):
        with pytest.raises(ValueError, match=r"."):
            read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Please log in</body></html>",
        b"<Error><Code>ServerBusy</Code></Error>",
        b"<x><EnumerationResults/></x>",
        b"<BlobServiceProperties/>",
    ],
)
def test_other_documents_are_not_empty_lists(body: bytes) -> None:
    for read in (
        page,
        lambda body: names(body, "EnumerationResults", "Containers/Container"),
        lambda body: names(body, "BlockList", "CommittedBlocks/Block"),
    ):
        with pytest.raises(ValueError, match="it is another document"):
            read(body)


@pytest.mark.parametrize(
    "entry",
    [
        blob("<Name>a</Name>", size=""),
        blob("<Name>a</Name>", size="-1"),
        blob("<Name>a</Name>", size="1e3"),
        blob("<Name>a</Name>", size="9" * 40),
        blob("<Name>a</Name>", size="\u0663"),
        blob("<Name></Name>"),
        blob(""),
        blob('<Name Encoded="true">%ff</Name>'),
        "<Blob><Name>a</Name></Blob>",
        "<BlobPrefix/>",
    ],
)
def test_entry_without_a_valid_name_or_size_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        page(listing(entry))


def test_block_list_names_the_blocks_in_order() -> None:
    root = parse_xml(block_list(["YQ==", "Yg=="]))
    assert [(one.tag, one.text) for one in root] == [("Latest", "YQ=="), ("Latest", "Yg==")]
