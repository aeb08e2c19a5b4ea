"""Memory to memory: each format at each size, compared with a bare loop that seals or opens as many bytes."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from typing import TYPE_CHECKING

import connectors
from benchmarks.bench import Contender
from benchmarks.limits import (
    library_opening,
    library_sealing,
    limit_name,
    opening_loop,
    openssl_speed,
    sealing_loop,
    two_passes,
)
from benchmarks.ours import COBBLESTONE, GCM, TINKS, MemorySource, Ours, TakerSink
from benchmarks.plain import KEY, blocks, gives
from benchmarks.scale import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench, Row, Run, Take

OURS = (COBBLESTONE, *TINKS.values(), GCM)
CHUNKS = (4 * KIB, 16 * KIB, 64 * KIB, MIB, 4 * MIB)
LIBRARY = "cryptography.cobblestone"


class _Plain:
    """Plain data of any size that needs the memory of one block; iterating yields blocks."""

    def __init__(self, size: int, block: bytes) -> None:
        self._size, self._block = size, block
        hashed = hashlib.sha256()
        for piece in self:
            hashed.update(piece)
        self.digest = hashed.hexdigest()

    def __iter__(self) -> Iterator[memoryview]:
        return blocks(self._size, self._block)


def run(bench: Bench) -> Iterator[Row]:
    block = os.urandom(4 * MIB)
    for size in bench.scale.crypto:
        plain = _Plain(size, block)
        yield from bench.race("encrypt", _encrypting(plain, size))
        yield from _decrypting(bench, plain, size)
    for length in (16 * KIB, MIB):
        yield openssl_speed(length)


def _encrypting(plain: _Plain, size: int) -> Iterator[Contender]:
    for chunk in CHUNKS:
        yield Contender(limit_name(chunk), partial(sealing_loop, chunk, size), size=size, chunk=chunk)
    for ours in OURS:
        check = partial(_opens, plain.digest, lambda sealed, ours=ours: ours.opening(MemorySource(sealed)))
        setup = partial(_sealing, ours, plain)
        reference = limit_name(ours.chunk)
        yield Contender(ours.name, setup, check, size=size, chunk=ours.chunk, reference=reference)
    check, reference = partial(_opens, plain.digest, library_opening), limit_name(16 * KIB)
    setup = partial(library_sealing, plain)
    yield Contender(LIBRARY, setup, check, size=size, chunk=16 * KIB, reference=reference)


def _decrypting(bench: Bench, plain: _Plain, size: int) -> Iterator[Row]:
    """Race the formats, one after the other if their objects do not fit into memory together."""
    together = size <= 64 * MIB
    groups = [OURS] if together else [(ours,) for ours in OURS]
    for group in groups:
        chunks = CHUNKS if together else tuple(ours.chunk for ours in group)
        contenders = [Contender(limit_name(c), partial(opening_loop, c, size), size=size, chunk=c) for c in chunks]
        for ours in group:
            sealed = _collected(_sealing(ours, plain))
            contenders += _openers(ours, sealed, plain.digest, size)
            del sealed
        yield from bench.race("decrypt", contenders)


def _openers(ours: Ours, sealed: memoryview, digest: str, size: int) -> Iterator[Contender]:
    options = {"check": gives(digest), "size": size, "chunk": ours.chunk}
    setup = partial(ours.opening, MemorySource(sealed))
    yield Contender(ours.name, setup, reference=limit_name(ours.chunk), **options)
    if ours is COBBLESTONE:
        yield Contender(LIBRARY, partial(library_opening, sealed), reference=limit_name(ours.chunk), **options)
    if ours is GCM:
        yield Contender("two-pass floor", partial(two_passes, sealed), reference=limit_name(ours.chunk), **options)


def _sealing(ours: Ours, plain: _Plain) -> Run:
    def run(take: Take) -> None:
        with connectors.open_writer(TakerSink(take), KEY, **ours.options) as file:
            for piece in plain:
                file.write(piece)

    return run


def _collected(run: Run) -> memoryview:
    data = bytearray()
    run(data.extend)
    return memoryview(data)


def _opens(digest: str, opening: Callable[[memoryview], Run], run: Run) -> None:
    gives(digest)(opening(_collected(run)))
