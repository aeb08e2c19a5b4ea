"""One object on S3, read from start to end over a simulated link, and the peak memory of the clients.

The link has a round trip of 20 ms and 80 MB/s for each connection, about what a virtual machine gets from an object
store in its region. The peak memory is measured in processes of their own, which read over the same link.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from servers import S3Server

from benchmarks.bench import Bench, Contender, discard
from benchmarks.cases.memory import peak_of
from benchmarks.cases.s3 import CRT, OBSTORE, OBSTORE_RANGES, READERS, through
from benchmarks.child import in_child
from benchmarks.counting import counted
from benchmarks.link import Limits, linked
from benchmarks.ours import COBBLESTONE, TINK
from benchmarks.plain import WrongOutput, digest, gives, into_file, random_file
from benchmarks.scale import KIB
from benchmarks.stores import BUCKET, reading, s3_document, s3_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.bench import Row, Run
    from benchmarks.counting import Wire

WARM, WARMING = 20 * KIB, "small-"
"""The size of a small object, and the start of its name: clients read it before their memory is measured."""
LIMITS = Limits(latency=20, per_connection=80e6)
OURS = {COBBLESTONE.name: COBBLESTONE, TINK.name: TINK, "not sealed": None}
PEERS = (OBSTORE_RANGES, OBSTORE, CRT, "boto3 transfer, plain")


def run(bench: Bench) -> Iterator[Row]:
    with (
        s3_store(bench.folder / "seaweedfs") as server,
        linked(urlsplit(server.endpoint).port, LIMITS) as link,
        counted(link.url) as wire,
    ):
        far = replace(server, endpoint=link.url)
        yield from bench.race("read", _reading(bench, server, far, wire))


def _reading(bench: Bench, server: S3Server, far: S3Server, wire: Wire) -> Iterator[Contender]:
    size = bench.scale.link
    _store(bench, server, min(WARM, size), WARMING)
    expected = _store(bench, server, size, "")
    for name in (*PEERS, *OURS):
        yield Contender(
            name,
            partial(connect, name, far),
            gives(expected),
            size=size,
            reference=None if name == OBSTORE_RANGES else OBSTORE_RANGES,
            repeats=False,
            counting=partial(_facts, name, far, wire, expected),
            cpu=True,
        )


def _store(bench: Bench, server: S3Server, size: int, prefix: str) -> str:
    """Store random data, plain and in all formats; return its digest."""
    plain, expected = random_file(bench.folder / "plain", size)
    for name, ours in OURS.items():
        file = into_file(ours.sealing(plain), bench.folder / "sealed") if ours else plain
        server.client().upload_file(str(file), BUCKET, _key(prefix, name))
    return expected


def _key(prefix: str, name: str) -> str:
    return prefix + (name.replace(" ", "-") if OURS.get(name) else "plain")


def connect(name: str, server: S3Server, prefix: str = "") -> Run:
    """Connect a contender to a server, and return its run."""
    if name not in OURS:
        return READERS[name](server, _key(prefix, name))
    return reading(f"s3://{BUCKET}/{_key(prefix, name)}", s3_document(server, OURS[name]))


def _facts(name: str, far: S3Server, wire: Wire, expected: str) -> Row:
    """Return the requests of a run, and the peak memory of another."""
    memory = in_child(__name__, "read", name=name, server=asdict(far))
    if memory["digest"] != expected:
        message = "its output is not the plain data"
        raise WrongOutput(message)
    return {**through(far, wire, partial(connect, name))(), "peak": memory["peak"]}


def read(name: str, server: Mapping[str, str]) -> Row:
    """Read the object in this process; return the peak memory and the digest."""
    far = S3Server(**server)
    return peak_of(lambda: digest(connect(name, far)), warm=lambda: connect(name, far, WARMING)(discard))
