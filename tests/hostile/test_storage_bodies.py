"""The storage sends changed, truncated, extended, reordered or spliced bytes."""

from __future__ import annotations

import itertools

import pytest
from attacks import RIGHT
from reading import WAYS
from routes import FORMATS, seal
from sealing import plain_bytes

from connectors.errors import IntegrityError, StorageError, TruncatedObject

PLAIN = plain_bytes(50_000)
LARGE = plain_bytes(200_000)
"""Enough chunks for several requests."""
HEADERS = {"cobblestone-256": 56, "tink-gcm-hkdf": 40, "gcm": 12}
TAG = 16

_names = itertools.count()


def starts(format: str, size: int) -> list[int]:
    """Where the header and the chunks of a sealed object of `size` bytes begin; gcm has no chunks, so any offsets."""
    header = HEADERS[format]
    first, step = {"cobblestone-256": (header, 16_400), "tink-gcm-hkdf": (0, 16_384), "gcm": (header, 16_384)}[format]
    return sorted({0, header, *range(first, size, step)})


def chunks(format: str, sealed: bytes) -> list[bytes]:
    """The pieces of a sealed object; the first one is its header."""
    borders = [*starts(format, len(sealed)), len(sealed)]
    return [sealed[start:stop] for start, stop in itertools.pairwise(borders)]


def stored(route, plain: bytes):
    """Yield a dataset of each format, with its sealed bytes."""
    for format, options in FORMATS.items():
        name = f"bodies/{next(_names)}"
        sealed = seal(plain, format)
        route.put(name, sealed)
        yield format, route.dataset(name, **options), sealed


def serve(route, body: bytes, **options):
    return route.proxy.rule("lies.Serve", body=body.decode("latin-1"), **options)


def test_flipped_bit_in_transit(route, tally):
    with tally("one bit of each response is flipped in transit", f"every format, {route}") as cases:
        for _, dataset, _ in stored(route, PLAIN):
            for offset in (0, 12, 30, 60, 20_000, -17, -1):
                with route.proxy.rule("lies.Flip", offset=offset, mask=1 << (offset % 8)):
                    cases.refused(dataset.read_bytes, IntegrityError)
            assert dataset.read_bytes() == PLAIN


def test_flipped_bit_in_a_chunk(route, tally, tmp_path):
    with tally("one bit of one chunk is flipped, read in four ways", f"every format, {route}") as cases:
        for format, dataset, sealed in stored(route, LARGE):
            for start in starts(format, len(sealed))[::5]:
                bad = bytearray(sealed)
                bad[start + 3] ^= 0x10
                with serve(route, bytes(bad)):
                    for way in WAYS.values():
                        cases.read(lambda way=way, dataset=dataset: way.read(dataset, tmp_path), way.expected(LARGE))
                    cases.refused(dataset.read_bytes, IntegrityError)


def test_truncated_object(route, tally):
    with tally("the object is truncated at and next to each chunk boundary", f"every format, {route}") as cases:
        for format, dataset, sealed in stored(route, PLAIN):
            borders = [*starts(format, len(sealed)), len(sealed) - TAG, len(sealed)]
            cuts = {border + step for border in borders for step in (-1, 0, 1)}
            for cut in sorted(cut for cut in cuts if 0 <= cut < len(sealed)):
                with serve(route, sealed[:cut]):
                    # For an empty object, the storage and so our error may say that the range cannot be read.
                    cases.refused(dataset.read_bytes, IntegrityError, *([] if cut else [StorageError]))


@pytest.mark.usefixtures("no_backoff")
def test_truncated_responses(route, tally):
    # A read resumes where a response ends: a few bytes at a time would need many requests.
    with tally("each response is shorter than its Content-Length", f"every format, {route}") as cases:
        for plain, late in ((PLAIN[:1_000], False), (PLAIN[:20_000], True)):
            for format, dataset, sealed in stored(route, plain):
                cuts = (starts(format, len(sealed))[-1], len(sealed) - 1) if late else (0, HEADERS[format])
                for cut in cuts:
                    with route.proxy.rule("lies.Respond", keep=(0, cut), fits=False):
                        cases.read(dataset.read_bytes, plain)


def test_extended_object(route, tally):
    with tally("bytes are appended to the object", f"every format, {route}") as cases:
        for format, dataset, sealed in stored(route, PLAIN):
            for extension in (b"\0", bytes(TAG), chunks(format, sealed)[-1], sealed[-16_400:], sealed):
                with serve(route, sealed + extension):
                    cases.refused(dataset.read_bytes, IntegrityError)


@pytest.mark.usefixtures("no_backoff")
def test_extended_responses(route, tally):
    attack = "extra bytes follow each response, beyond its Content-Length"
    # Whether a client notices depends on how many of them arrive with the response.
    with tally(attack, f"every format, {route}", outcome="the right bytes, or StorageUnavailable") as cases:
        for _, dataset, sealed in stored(route, PLAIN):
            for extension in (b"\0", sealed[-16_400:], b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"):
                with route.proxy.rule("lies.Respond", append=extension.decode("latin-1"), fits=False):
                    cases.read(dataset.read_bytes, PLAIN)
    assert set(cases.outcomes) <= {RIGHT, "StorageUnavailable"}


@pytest.mark.usefixtures("no_backoff")
def test_responses_arrive_late(route, tally, tmp_path):
    attack = "one response is sent twice, so that each later one belongs to the previous request"
    # Whether a client notices depends on when the second one arrives.
    with tally(attack, f"every format, {route}", outcome="the right bytes, or StorageUnavailable") as cases:
        for _, dataset, _ in stored(route, LARGE):
            for way in WAYS.values():
                with route.proxy.rule("lies.Respond", again=True, times=1):
                    for _ in range(2):
                        cases.read(lambda way=way, dataset=dataset: way.read(dataset, tmp_path), way.expected(LARGE))
    assert set(cases.outcomes) <= {RIGHT, "StorageUnavailable"}


def refuse_in_several_ways(cases, route, dataset, bodies, tmp_path):
    """Serve bodies that must not be read whole; read each of them whole, and in one of the other ways in turn."""
    ways = itertools.cycle([WAYS["seek"], WAYS["ranges"], WAYS["download"]])
    for body in bodies:
        with serve(route, body):
            cases.refused(dataset.read_bytes, IntegrityError)
            way = next(ways)
            cases.read(lambda way=way: way.read(dataset, tmp_path), way.expected(LARGE))


def test_reordered_chunks(route, tally, tmp_path):
    with tally("chunks are reordered, repeated, omitted", f"every format, {route}") as cases:
        for format, dataset, sealed in stored(route, LARGE):
            header, *pieces = chunks(format, sealed)
            orders = {
                "two swapped": [pieces[0], pieces[2], pieces[1], *pieces[3:]],
                "first and last": [pieces[-1], *pieces[1:-1], pieces[0]],
                "backwards": pieces[::-1],
                "one twice": [*pieces[:3], pieces[2], *pieces[3:]],
                "one replaced by another": [*pieces[:3], pieces[2], *pieces[4:]],
                "one omitted": [*pieces[:3], *pieces[4:]],
            }
            bodies = [b"".join([header, *order]) for order in orders.values()]
            refuse_in_several_ways(cases, route, dataset, bodies, tmp_path)


def test_spliced_chunks(route, tally, tmp_path):
    with tally(
        "chunks of another object, or of another sealed version, are spliced in", f"every format, {route}"
    ) as cases:
        for format, dataset, sealed in stored(route, LARGE):
            ours = chunks(format, sealed)
            for other in (plain_bytes(200_000, seed=1), LARGE):
                theirs = chunks(format, seal(other, format))
                spliced = [
                    [theirs[0], *ours[1:]],
                    [ours[0], theirs[1], *ours[2:]],
                    [*ours[:5], theirs[5], *ours[6:]],
                    [*ours[:-1], theirs[-1]],
                    [*ours[:6], *theirs[6:]],
                ]
                refuse_in_several_ways(cases, route, dataset, map(b"".join, spliced), tmp_path)


@pytest.mark.parametrize("version", ["unchanged", "changed"])
def test_object_replaced_between_two_requests(route, version, tally, tmp_path):
    attack = f"the object is replaced after the first request, its ETag {version}"
    with tally(attack, f"every format, {route}") as cases:
        for format, dataset, _ in stored(route, LARGE):
            for other in (seal(plain_bytes(200_000, seed=2), format), seal(LARGE, format), seal(PLAIN, format)):
                for way in WAYS.values():
                    with serve(route, other, after=1, etag=None if version == "unchanged" else '"another"'):
                        cases.refused(
                            lambda way=way, dataset=dataset: way.read(dataset, tmp_path), IntegrityError, StorageError
                        )


def test_empty_object(route, tally):
    with tally("the object is empty", f"every format, {route}") as cases:
        for _, dataset, _ in stored(route, PLAIN):
            with serve(route, b""):
                cases.refused(dataset.read_bytes, TruncatedObject, StorageError)
