"""The storage sends wrong metadata: ranges, lengths, versions, encodings, statuses, headers."""

from __future__ import annotations

import itertools

import pytest
from attacks import RIGHT
from hostile import Answer, hostile_server
from reading import WAYS
from routes import seal
from sealing import plain_bytes

LARGE = plain_bytes(200_000)
SEALED = seal(LARGE, "cobblestone-256")
TEXT = SEALED.decode("latin-1")
SIZE = len(SEALED)
PAGE = "<html><head><title>502 Bad Gateway</title></head><body>it works</body></html>"
ERROR = "<?xml version='1.0'?><Error><Code>InternalError</Code><Message>no</Message></Error>"
_names = itertools.count()

pytestmark = pytest.mark.usefixtures("no_backoff")


@pytest.fixture
def dataset(route):
    name = f"responses/{next(_names)}"
    route.put(name, SEALED)
    return route.dataset(name)


def try_lies(cases, route, dataset, tmp_path, lies, ways=("read", "ranges", "download")):
    """Apply each lie from the first response on, and from the second on, to each kind of reader in turn."""
    turns = itertools.cycle(WAYS[way] for way in ways)
    for lie in lies:
        for after in (0, 1):
            way = next(turns)
            with route.proxy.rule("lies.Respond", after=after, **lie):
                cases.read(lambda way=way: way.read(dataset, tmp_path), way.expected(LARGE))
    assert dataset.read_bytes() == LARGE


def headers(**values):
    return {"headers": {name.replace("_", "-"): value for name, value in values.items()}}


def test_ranges_are_ignored(route, dataset, tally, tmp_path):
    everything = {"status": 200, "body": TEXT}
    lies = [
        {**everything, **headers(Content_Range=None)},
        {**everything, **headers(Content_Range=None, Accept_Ranges="none")},
        {**everything, **headers(Content_Range=None, ETag=None)},
        {**everything, **headers(Content_Range=None), "chunked": True},
        everything,
        {"status": 206, "body": TEXT},
        {"status": 206, "body": TEXT, **headers(Content_Range=f"bytes 0-{SIZE - 1}/{SIZE}")},
    ]
    with tally("ranges are ignored, and the whole object is sent", f"{route}") as cases:
        try_lies(cases, route, dataset, tmp_path, lies)


def test_content_range_is_wrong(route, dataset, tally, tmp_path):
    ranges = [
        None,
        "",
        "bytes",
        "bytes 0-65535",
        "bytes 0-65535/*",
        f"bytes */{SIZE}",
        f"bytes 1-65536/{SIZE}",
        f"bytes 0-65534/{SIZE}",
        f"bytes 0-65536/{SIZE}",
        f"bytes 65535-0/{SIZE}",
        f"bytes -1-65535/{SIZE}",
        f"bytes 0-65535/{SIZE - 1}",
        f"bytes 0-65535/{SIZE + 1}",
        f"bytes 0-65535/{SIZE * 1000}",
        "bytes 0-65535/100",
        "bytes 0-65535/" + "9" * 18,
        "bytes 0-65535/" + "9" * 5000,
        f"items 0-65535/{SIZE}",
        f"bytes 0-65535/{SIZE}, bytes 0-65535/{SIZE}",
        f"bytes ٠-٩/{SIZE}".encode().decode("latin-1"),
        f"bytes 0x0-0xffff/{SIZE}",
    ]
    with tally("Content-Range is missing, invalid, or for other bytes", f"{route}") as cases:
        try_lies(cases, route, dataset, tmp_path, [headers(Content_Range=one) for one in ranges])


def test_content_length_is_wrong(route, dataset, tally, tmp_path):
    lengths = [
        None,
        "",
        "0",
        "1",
        "65535",
        "65537",
        str(SIZE),
        "-1",
        "+65536",
        "6_5536",
        "many",
        "9" * 30,
        "65536, 65536",
    ]
    lies = [headers(Content_Length=one) for one in lengths]
    lies += [{"chunked": True}, {"chunked": True, **headers(Content_Length="65536")}]
    lies += [{"raw_headers": f"Content-Length: {size}\r\n"} for size in (1, 65_536, SIZE)]
    with tally("Content-Length is missing, invalid, duplicated, or wrong", f"{route}") as cases:
        try_lies(cases, route, dataset, tmp_path, lies)


def test_versions_are_wrong(route, dataset, tally, tmp_path):
    etags = [
        None,
        "",
        '""',
        "another",
        '"another"',
        'W/"weak"',
        "*",
        '"' + "e" * 6000 + '"',
        '"a", "b"',
        '"\xff\xfe"',
        '"a\tb"',
    ]
    lies = [headers(ETag=one) for one in etags]
    lies += [
        headers(ETag=None, Last_Modified=one) for one in (None, "yesterday", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 99)
    ]
    lies += [{"raw_headers": 'ETag: "second"\r\n'}]
    with tally("ETag and Last-Modified are missing, invalid, or changing", f"{route}") as cases:
        try_lies(cases, route, dataset, tmp_path, lies)


def test_versions_differ_between_responses(route, dataset, tally, tmp_path):
    with tally("responses differ in their ETag or total size", f"{route}") as cases:
        for lie in (headers(ETag='"one"'), headers(Content_Range=f"bytes 0-65535/{SIZE + 1}")):
            for way in WAYS.values():
                with route.proxy.rule("lies.Respond", times=1, **lie):
                    outcome = cases.read(lambda way=way: way.read(dataset, tmp_path), way.expected(LARGE))
                    assert outcome != RIGHT


def test_responses_are_compressed(route, dataset, tally, tmp_path):
    lies = [{"encode": encoding} for encoding in ("gzip", "deflate", "br")]
    lies += [{"encode": encoding, "chunked": True} for encoding in ("gzip", "deflate", "br")]
    lies += [
        headers(Content_Encoding=name) for name in ("gzip", "deflate", "br", "zstd", "compress", "nonsense", "identity")
    ]
    lies += [headers(Transfer_Encoding=name) for name in ("gzip", "gzip, chunked", "identity", "nonsense")]
    with tally("responses are compressed, or declared to be", f"{route}") as cases:
        try_lies(cases, route, dataset, tmp_path, lies)


def test_unexpected_responses(route, dataset, tally, tmp_path):
    multipart = {"status": 206, **headers(Content_Type="multipart/byteranges; boundary=x", Content_Range=None)}
    parts = "".join(
        f"--x\r\nContent-Range: bytes {start}-{start + 9}/{SIZE}\r\n\r\n{TEXT[start : start + 10]}\r\n"
        for start in (0, 10)
    )
    lies = [
        {"status": 200, "body": PAGE, **headers(Content_Type="text/html", Content_Range=None)},
        {"status": 200, "body": PAGE, **headers(Content_Type="text/html", Content_Range=None, ETag=None)},
        {"status": 206, "body": PAGE},
        {"status": 200, "body": ERROR, **headers(Content_Type="application/xml", Content_Range=None)},
        {"status": 200, "body": "", **headers(Content_Range=None)},
        {"status": 200, "body": "", **headers(Content_Range=None, Content_Length=None)},
        {"status": 204, "body": "", **headers(Content_Range=None)},
        {"status": 206, "body": ""},
        {"status": 206, "body": "", **headers(Content_Range="bytes 0--1/0")},
        {**multipart, "body": f"{parts}--x--\r\n"},
        {"status": 304, "body": "", **headers(Content_Range=None)},
        {"status": 400, "body": PAGE},
        {"status": 404, "body": ""},
        {"status": 412, "body": ""},
        {"status": 412, "body": ERROR},
        {"status": 416, "body": ""},
        {"status": 416, "body": "", **headers(Content_Range="bytes */0")},
        {"status": 416, "body": "", **headers(Content_Range=f"bytes */{SIZE}")},
        {"status": 418, "body": TEXT[:65_536]},
        {"status": 599, "body": TEXT[:65_536]},
        {"status": 999, "body": TEXT[:65_536]},
        {"status": 100, "body": TEXT[:65_536]},
        {"status": 101, "body": ""},
    ]
    with tally("an unexpected status, an error page, an empty body, a multipart body", f"{route}") as cases:
        try_lies(cases, route, dataset, tmp_path, lies)


def test_headers_are_malformed(route, dataset, tally, tmp_path):
    lines = [
        f"X-Long: {'a' * 8_000}\r\n",
        f"X-Longer: {'a' * 200_000}\r\n",
        f"{'X' * 70_000}: a\r\n",
        "".join(f"X-{number}: a\r\n" for number in range(90)),
        "".join(f"X-{number}: a\r\n" for number in range(5_000)),
        "".join(f"Set-Cookie: c{number}=v; Domain=127.0.0.1\r\n" for number in range(40)),
        "no colon here\r\n",
        ": no name\r\n",
        "X-Fold: a\r\n b\r\n\tc\r\n",
        "X-Null: a\0b\r\n",
        "X-Return: a\rContent-Length: 5\r\n",
        "X-Newline: a\nContent-Length: 5\r\n",
        "X-Raw: \xff\xfe\x80\r\n",
        "X Space : a\r\n",
        "Content-Length : 5\r\n",
        "HTTP/1.1 200 OK\r\n",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong",
        "x-amz-bucket-region: evil.example/\r\nx-ms-error-code: \x1b[2J\r\n",
        "WWW-Authenticate: Basic realm=x\r\nx-ms-request-id: " + "r" * 5000 + "\r\n",
        "Date: yesterday\r\nLast-Modified: nonsense\r\nx-ms-creation-time: nonsense\r\n",
    ]
    with tally("headers are huge, numerous, malformed, or look like another response", f"{route}") as cases:
        try_lies(cases, route, dataset, tmp_path, [{"raw_headers": line} for line in lines])


def test_redirects_are_not_followed(route, dataset, tally, tmp_path):
    with hostile_server(lambda _: Answer(206, {"ETag": '"1"'}, SEALED)) as (elsewhere, seen):
        targets = [
            f"{elsewhere}/clinic/responses",
            elsewhere.replace("http://", "//"),
            "file:///etc/passwd",
            f"{route.proxy.endpoint}/clinic/another",
            "",
            "http://[",
            "\xff\0",
            "http://127.0.0.1:9/" + "a" * 5000,
        ]
        lies = [
            {"status": status, "body": "", **headers(Location=target, Content_Range=None)}
            for status in (301, 302, 303, 307, 308)
            for target in targets
        ]
        region = headers(Location=targets[0], Content_Range=None, x_amz_bucket_region=elsewhere.removeprefix("http://"))
        lies += [{"status": status, "body": ERROR, **region} for status in (301, 307, 400)]
        with tally("redirects to another host, a file, the same host, nowhere", f"{route}") as cases:
            try_lies(cases, route, dataset, tmp_path, lies)
            assert not seen, "another server was sent a request"


def test_head_and_get_disagree(folders, tally, tmp_path):
    name = f"responses/{next(_names)}"
    folders.put(name, SEALED)
    dataset = folders.dataset(name)
    lies = [
        headers(Content_Length="1"),
        headers(Content_Length=str(SIZE * 2)),
        headers(Content_Length="nonsense"),
        headers(Content_Length=None),
        headers(ETag='"another"'),
        headers(Last_Modified="yesterday"),
        {"status": 404},
        {"status": 200, "raw_headers": "x-ms-meta-hdi_isfolder: true\r\nContent-Encoding: gzip\r\n"},
    ]
    fs, path = dataset.filesystem()
    with tally("HEAD and GET disagree", f"{folders}") as cases:
        for lie in lies:
            for way in WAYS.values():
                with folders.proxy.rule("lies.Respond", method="HEAD", **lie):
                    cases.read(lambda way=way: way.read(dataset, tmp_path), way.expected(LARGE))
                    cases.read(lambda: str(fs.info(path)["type"] in ("file", "directory")).encode(), b"True")
                    cases.read(lambda: str(fs.exists(path) in (True, False)).encode(), b"True")
