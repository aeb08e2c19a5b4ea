"""Answers without end, and small ones that grow: memory stays bounded, and so does the wait."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys

import pytest
from attacks import RIGHT
from routes import KEY, seal
from sealing import plain_bytes

PLAIN = plain_bytes(200_000)
SEALED = seal(PLAIN, "cobblestone-256")
LIMIT = 48 << 20
"""Bytes of memory beyond those that an honest request takes."""
LISTING_LIMIT = 160 << 20
"""The same where a listing is read, a page of which may have 64 MiB with Azure; it is there twice for a moment."""
FLOOD = "flood" * 20_000
_names = itertools.count()

# A process of its own: what is measured is the most that it has ever held.
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
    pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is measured as Linux tells it"),
    pytest.mark.timeout(200),
]


def flooded(cases, route, name: str, lies, work: str = "read", limit: int = LIMIT) -> list:
    """Count what came of lies, told to a process of its own, and hold the memory that it took to the limit."""
    location, document = route.locate(name, "PUT" if work == "write" else "GET")
    case = [work, location, {**document, "encryption": {"key": KEY}}, f"{route.proxy.endpoint}/--control"]
    rules = [["lies.Answer", lie] for lie in lies]
    command = [sys.executable, "-c", PROGRAM, json.dumps(case)]
    done = subprocess.run(command, input=json.dumps(rules), capture_output=True, text=True, timeout=100, check=False)
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


def test_object_without_end(route, tally):
    ranged = {"Content-Range": f"bytes 0-65535/{len(SEALED)}"}
    # A storage without ranges is read front to back, as long as bytes come, up to where it says that the object ends.
    said = str(1 << 26 if "URL" in route.name else 1 << 62)
    whole = {"status": 200, "body": SEALED.decode("latin-1")}
    lies = [
        {"for_ever": FLOOD},
        {"for_ever": FLOOD, "headers": {"Content-Length": None}},
        {"for_ever": FLOOD, "headers": {"Content-Length": str(1 << 40)}},
        {"for_ever": FLOOD, "chunked": True},
        {"for_ever": FLOOD, "chunked": True, "headers": {"Content-Length": "65536", **ranged}},
        {"for_ever": FLOOD, "status": 200, "headers": {"Content-Length": said, "Content-Range": None}},
        {"for_ever": FLOOD, "status": 200, "chunked": True, "headers": {"Content-Range": None}},
        {**whole, "for_ever": FLOOD, "headers": {"Content-Length": said, "Content-Range": None}},
        {"for_ever": FLOOD, "encode": "gzip", "body": "a" * (256 << 10)},
    ]
    lies = [{"times": 1, **lie} for lie in lies]
    with tally("an object's bytes never end", f"{route}") as cases:
        for kind, what in flooded(cases, route, stored(route), lies):
            assert kind == "error" or what == _digest(), "bytes that nobody sealed were given out"


def _digest() -> str:
    return hashlib.sha256(PLAIN).hexdigest()


def test_error_without_end(route, tally):
    lies = [
        {
            "status": status,
            "body": "<Error><Code>",
            "for_ever": FLOOD,
            "headers": {"Content-Length": length},
            "times": 1,
        }
        for status in (302, 400, 403, 404, 416)
        for length in (None, str(1 << 40))
    ]
    with tally("an error's page never ends", f"{route}") as cases:
        flooded(cases, route, stored(route), lies)


def test_headers_without_end(route, tally):
    lies = [
        {
            "headers": {"X-Endless": "a" * 100},
            "raw_headers": "X-More: b\r\n",
            "unended": True,
            "for_ever": "X-More: c\r\n" * 1_000,
            "times": 1,
        },
        {"unended": True, "for_ever": "a" * 10_000, "times": 1},
    ]
    with tally("the headers of an answer never end", f"{route}") as cases:
        flooded(cases, route, stored(route), lies)


def test_listing_and_answers_to_writes_without_end(folders, tally):
    entry = "<Contents><Key>floods/a</Key><Size>100</Size></Contents>" * 500
    lies = [
        {
            "path": "list",
            "body": "<ListBucketResult>",
            "for_ever": entry,
            "headers": {"Content-Length": None},
            "times": 5,
        },
        {"path": "list", "encode": "gzip", "body": entry, "repeat": 3_000, "times": 5},
    ]
    with tally("a listing never ends, or is small until it is unpacked", f"{folders}") as cases:
        flooded(cases, folders, stored(folders), lies, "list", LISTING_LIMIT)
    lies = [
        {"method": "PUT", "body": "<a>", "for_ever": FLOOD, "headers": {"Content-Length": length}, "status": status}
        for length in (None, str(1 << 40))
        for status in (200, 201, 400)
    ]
    with tally("the answer to a write never ends", f"{folders}") as cases:
        flooded(cases, folders, stored(folders), [{**lie, "times": 1} for lie in lies], "write", LISTING_LIMIT)


def test_total_size_is_a_lie(route, tally):
    ranges = [f"bytes 0-65535/{size}" for size in (1 << 30, 1 << 40, 1 << 50, 10**17)]
    lies = [{"headers": {"Content-Range": one}} for one in ranges]
    with tally("an object is said to have up to 100 petabytes", f"{route}") as cases:
        for kind, _ in flooded(cases, route, stored(route), lies):
            assert kind == "error"
