"""One object on S3, read from start to end, and written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import Bench, Contender
from benchmarks.ours import COBBLESTONE, TINK
from benchmarks.plain import gives, into_file, random_file
from benchmarks.stores import (
    BUCKET,
    boto3_reading,
    boto3_writing,
    obstore_reading,
    obstore_writing,
    reading,
    s3_document,
    s3_store,
    s3fs_reading,
    s3fs_writing,
    writing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import S3Server

    from benchmarks.bench import Row, Run

FORMATS = (COBBLESTONE, TINK, None)
PEER = "s3fs, plain"
READERS: dict[str, Callable[..., Run]] = {
    PEER: s3fs_reading,
    "boto3, plain": boto3_reading,
    "obstore, plain": obstore_reading,
}
WRITERS: dict[str, Callable[..., Run]] = {
    PEER: s3fs_writing,
    "boto3, plain": boto3_writing,
    "obstore, plain": obstore_writing,
}


def run(bench: Bench) -> Iterator[Row]:
    with s3_store(bench.folder / "seaweedfs") as server:
        yield from bench.race("read", _reading(bench, server))
    # A separate store on the disk, because it keeps overwritten objects until it is compacted.
    with s3_store(bench.disk / "seaweedfs") as server:
        yield from bench.race("write", _writing(bench, server))


def _reading(bench: Bench, server: S3Server) -> Iterator[Contender]:
    size = bench.scale.remote
    plain, expected = random_file(bench.folder / "plain", size)
    options = {"check": gives(expected), "size": size}
    server.client().upload_file(str(plain), BUCKET, "plain")
    for name, peer in READERS.items():
        yield Contender(name, partial(peer, server, "plain"), reference=PEER if name != PEER else None, **options)
    for ours in FORMATS:
        key = ours.name.replace(" ", "-") if ours else "plain"
        if ours:
            sealed = into_file(ours.sealing(plain), bench.folder / "sealed")
            server.client().upload_file(str(sealed), BUCKET, key)
        setup = partial(reading, f"s3://{BUCKET}/{key}", s3_document(server, ours))
        yield Contender(ours.name if ours else "not sealed", setup, reference=PEER, **options)


def _writing(bench: Bench, server: S3Server) -> Iterator[Contender]:
    size = bench.scale.remote
    plain, expected = random_file(bench.folder / "plain", size)
    data = plain.read_bytes()
    options = {"size": size, "before": partial(_empty, server), "repeats": False}
    for name, peer in WRITERS.items():
        check = partial(_stores, boto3_reading(server, "object"), expected)
        setup = partial(peer, server, "object", data)
        yield Contender(name, setup, check, reference=PEER if name != PEER else None, **options)
    for ours in FORMATS:
        location, document = f"s3://{BUCKET}/object", s3_document(server, ours)
        check = partial(_stores, reading(location, document), expected)
        setup = partial(writing, location, document, data)
        yield Contender(ours.name if ours else "not sealed", setup, check, reference=PEER, **options)


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
