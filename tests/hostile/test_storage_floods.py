"""Endless responses and decompression bombs: memory and waiting time stay bounded."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys

import pytest
from attacks import RIGHT
from patience import PATIENCE
from routes import KEY, seal
from sealing import plain_bytes

PLAIN = plain_bytes(200_000)
SEALED = seal(PLAIN, "cobblestone-256")
LIMIT = 48 << 20
"""Bytes of memory beyond what an honest request needs."""
LISTING_LIMIT = 160 << 20
"""The same for listings: a page of Azure's may have 64 MiB, and is in memory twice for a moment."""
FLOOD = "flood" * 20_000
_names = itertools.count()

# A process of its own, because its peak memory is measured.
PROGRAM = """
import hashlib, json, sys
import connectors
from connectors.errors import ConnectorError

def memory(line):
    with open("/proc/self/status") as status:
        return next(int(text.split()[1]) << 10 for text in status if text.startswith(line))

work, location, document, url = json.loads(sys.argv[1])
dataset = connectors.Dataset(location, document)
fs, path = dataset.filesystem()

def attempt():
    if work == "read":
        return hashlib.sha256(dataset.read_bytes()).hexdigest()
    if work == "list":
        return len(fs.find(path.rpartition("/")[0]))
    if work == "write":
        return dataset.write_bytes(bytes(1000))
    return fs.info(path)["size"]

attempt()
import urllib.request
def order(**order):
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(order).encode(), method="PUT")).close()
results = []
before = memory("VmHWM")
for rule, arguments in json.load(sys.stdin):
    order(rule=rule, arguments=arguments)
    try:
        results.append(["read", attempt()])
    except ConnectorError as error:
        results.append(["error", type(error).__name__])
    print(memory("VmHWM") - before >> 10, rule, str(arguments)[:200], results[-1], file=sys.stderr)
    order(rule=None)
print(json.dumps([memory("VmHWM") - before, results]))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is measured with /proc of Linux"),
]


def flooded(cases, route, name: str, lies, work: str = "read", limit: int = LIMIT) -> list:
    """Apply lies to a reader in a process of its own, count the outcomes, and check its peak memory."""
    location, document = route.locate(name, "PUT" if work == "write" else "GET")
    case = [work, location, {**document, "encryption": {"key": KEY}}, f"{route.proxy.endpoint}/--control"]
    rules = [["lies.Respond", lie] for lie in lies]
    command = [sys.executable, "-c", PROGRAM, json.dumps(case)]
    done = subprocess.run(
        command, input=json.dumps(rules), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    used, results = json.loads(done.stdout)
    assert used < limit, done.stderr[-3000:]
    for kind, what in results:
        cases.count(RIGHT if kind == "read" else what)
    return results


def stored(route) -> str:
    name = f"floods/{next(_names)}/object"
    route.put(name, SEALED)
    return name


def test_endless_object(route, tally):
    ranged = {"Content-Range": f"bytes 0-65535/{len(SEALED)}"}
    # A storage without ranges is read from start to end, as long as bytes arrive, up to the size that it declares.
    size = str(1 << 26 if "URL" in route.name else 1 << 62)
    whole = {"status": 200, "body": SEALED.decode("latin-1")}
    lies = [
        {"endless": FLOOD},
        {"endless": FLOOD, "headers": {"Content-Length": None}},
        {"endless": FLOOD, "headers": {"Content-Length": str(1 << 40)}},
        {"endless": FLOOD, "chunked": True},
        {"endless": FLOOD, "chunked": True, "headers": {"Content-Length": "65536", **ranged}},
        {"endless": FLOOD, "status": 200, "headers": {"Content-Length": size, "Content-Range": None}},
        {"endless": FLOOD, "status": 200, "chunked": True, "headers": {"Content-Range": None}},
        {**whole, "endless": FLOOD, "headers": {"Content-Length": size, "Content-Range": None}},
        {"endless": FLOOD, "encode": "gzip", "body": "a" * (256 << 10)},
    ]
    lies = [{"times": 1, **lie} for lie in lies]
    with tally("an endless object", f"{route}") as cases:
        for kind, what in flooded(cases, route, stored(route), lies):
            assert kind == "error" or what == _digest(), "bytes that were never sealed were released"


def _digest() -> str:
    return hashlib.sha256(PLAIN).hexdigest()


def test_endless_error_page(route, tally):
    lies = [
        {
            "status": status,
            "body": "<Error><Code>",
            "endless": FLOOD,
            "headers": {"Content-Length": length},
            "times": 1,
        }
        for status in (302, 400, 403, 404, 416)
        for length in (None, str(1 << 40))
    ]
    with tally("an endless error page", f"{route}") as cases:
        flooded(cases, route, stored(route), lies)


def test_endless_headers(route, tally):
    lies = [
        {
            "headers": {"X-Endless": "a" * 100},
            "raw_headers": "X-More: b\r\n",
            "unended": True,
            "endless": "X-More: c\r\n" * 1_000,
            "times": 1,
        },
        {"unended": True, "endless": "a" * 10_000, "times": 1},
    ]
    with tally("endless response headers", f"{route}") as cases:
        flooded(cases, route, stored(route), lies)


def test_endless_listings_and_write_responses(folders, tally):
    entry = "<Contents><Key>floods/a</Key><Size>100</Size></Contents>" * 500
    lies = [
        {
            "path": "list",
            "body": "<ListBucketResult>",
            "endless": entry,
            "headers": {"Content-Length": None},
            "times": 5,
        },
        {"path": "list", "encode": "gzip", "body": entry, "repeat": 3_000, "times": 5},
    ]
    with tally("an endless listing, or a decompression bomb", f"{folders}") as cases:
        flooded(cases, folders, stored(folders), lies, "list", LISTING_LIMIT)
    lies = [
        {"method": "PUT", "body": "<a>", "endless": FLOOD, "headers": {"Content-Length": length}, "status": status}
        for length in (None, str(1 << 40))
        for status in (200, 201, 400)
    ]
    with tally("an endless response to a write", f"{folders}") as cases:
        flooded(cases, folders, stored(folders), [{**lie, "times": 1} for lie in lies], "write", LISTING_LIMIT)


def test_declared_size_is_wrong(route, tally):
    ranges = [f"bytes 0-65535/{size}" for size in (1 << 30, 1 << 40, 1 << 50, 10**17)]
    lies = [{"headers": {"Content-Range": one}} for one in ranges]
    with tally("an object is declared to have up to 100 petabytes", f"{route}") as cases:
        for kind, _ in flooded(cases, route, stored(route), lies):
            assert kind == "error"
