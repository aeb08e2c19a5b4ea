"""One object on S3, read from start to end, and written."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import Bench, Contender
from benchmarks.clients import (
    boto3_reading,
    boto3_transfer_reading,
    boto3_writing,
    crt_reading,
    obstore_range_reading,
    obstore_reading,
    obstore_writing,
    s3fs_reading,
    s3fs_writing,
)
from benchmarks.counting import counted
from benchmarks.ours import COBBLESTONE, TINK
from benchmarks.plain import gives, into_file, random_file
from benchmarks.stores import BUCKET, reading, s3_document, s3_store, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import S3Server

    from benchmarks.bench import Row, Run
    from benchmarks.counting import Wire

FORMATS = (COBBLESTONE, TINK, None)
PEER = "s3fs, plain"
OBSTORE = "obstore, plain"
OBSTORE_RANGES = "obstore ranges, plain"
CRT = "s3transfer CRT, plain"
READERS: dict[str, Callable[..., Run]] = {
    PEER: s3fs_reading,
    "boto3, plain": boto3_reading,
    "boto3 transfer, plain": boto3_transfer_reading,
    CRT: crt_reading,
    OBSTORE: obstore_reading,
    OBSTORE_RANGES: obstore_range_reading,
}
WRITERS: dict[str, Callable[..., Run]] = {
    PEER: s3fs_writing,
    "boto3, plain": boto3_writing,
    OBSTORE: obstore_writing,
}


def run(bench: Bench) -> Iterator[Row]:
    with s3_store(bench.folder / "seaweedfs") as server, counted(server.endpoint) as wire:
        yield from bench.race("read", _reading(bench, server, wire))
    # A separate store on the disk, because it keeps overwritten objects until it is compacted.
    with s3_store(bench.disk / "seaweedfs") as server, counted(server.endpoint) as wire:
        yield from bench.race("write", _writing(bench, server, wire))


def through(server: S3Server, wire: Wire, connect: Callable[[S3Server], Run]) -> Callable[[], Row]:
    """Return a function that counts the requests of a run, for which `connect` connects a client to a server."""
    return wire.counting(lambda url: connect(replace(server, endpoint=url)))


def _reading(bench: Bench, server: S3Server, wire: Wire) -> Iterator[Contender]:
    size = bench.scale.remote
    plain, expected = random_file(bench.folder / "plain", size)
    options = {"check": gives(expected), "size": size, "cpu": True}
    server.client().upload_file(str(plain), BUCKET, "plain")
    for name, peer in READERS.items():
        connect = partial(peer, key="plain")
        reference = PEER if name != PEER else None
        counting = through(server, wire, connect)
        yield Contender(name, partial(connect, server), reference=reference, counting=counting, **options)
    for ours in FORMATS:
        key = ours.name.replace(" ", "-") if ours else "plain"
        if ours:
            sealed = into_file(ours.sealing(plain), bench.folder / "sealed")
            server.client().upload_file(str(sealed), BUCKET, key)
        connect = partial(_read_ours, key=key, ours=ours)
        name = ours.name if ours else "not sealed"
        counting = through(server, wire, connect)
        yield Contender(name, partial(connect, server), reference=PEER, counting=counting, **options)


def _read_ours(server: S3Server, key: str, ours: object) -> Run:
    return reading(f"s3://{BUCKET}/{key}", s3_document(server, ours))


def _writing(bench: Bench, server: S3Server, wire: Wire) -> Iterator[Contender]:
    size = bench.scale.remote
    plain, expected = random_file(bench.folder / "plain", size)
    data = plain.read_bytes()
    options = {"size": size, "before": partial(_empty, server), "repeats": False, "cpu": True}
    for name, peer in WRITERS.items():
        connect = partial(peer, key="object", data=data)
        check = partial(_stores, boto3_reading(server, "object"), expected)
        reference = PEER if name != PEER else None
        counting = through(server, wire, connect)
        yield Contender(name, partial(connect, server), check, reference=reference, counting=counting, **options)
    for ours in FORMATS:
        connect = partial(_write_ours, ours=ours, data=data)
        check = partial(_stores, _read_ours(server, "object", ours), expected)
        name = ours.name if ours else "not sealed"
        counting = through(server, wire, connect)
        yield Contender(name, partial(connect, server), check, reference=PEER, counting=counting, **options)


def _write_ours(server: S3Server, ours: object, data: bytes) -> Run:
    return writing(f"s3://{BUCKET}/object", s3_document(server, ours), data)


def _stores(reader: Run, expected: str, run: Run) -> None:
    run(lambda _: None)
    gives(expected)(reader)


def _empty(server: S3Server) -> None:
    """Empty the bucket, and create its volume in advance, which is not part of the writer's work."""
    client = server.client()
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="volume", Body=b"?")
