"""One local file: opened into memory, sealed from memory and from a file, and from file to file."""

from __future__ import annotations

import mmap
import re
import shutil
from functools import partial
from typing import TYPE_CHECKING

import connectors
from benchmarks.bench import Bench, Contender
from benchmarks.limits import limit_name, opening_loop, sealing_loop, two_passes
from benchmarks.ours import COBBLESTONE, FORMATS, GCM, Ours, TakerSink
from benchmarks.peers import (
    Age,
    AwsEncryptionSdk,
    AwsEncryptionSdkLargeFrames,
    OneShotAead,
    OneShotScript,
    Rclone,
    TinkPython,
)
from benchmarks.plain import KEY, digest, from_file, gives, into_file, random_file
from benchmarks.scale import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.bench import Row, Run, Take

SLOW = (AwsEncryptionSdk, AwsEncryptionSdkLargeFrames)
ONE_SHOT = (OneShotScript, OneShotAead)
PEERS = (TinkPython, Age, *SLOW, *ONE_SHOT)
PLAIN = "plain file"
FLOOR = "two-pass floor"


def run(bench: Bench) -> Iterator[Row]:
    size = bench.scale.local
    files = {
        size: random_file(bench.folder / "plain", size),
        bench.scale.slow_peer: random_file(bench.folder / "plain-slow", bench.scale.slow_peer),
    }
    yield from bench.race("decrypt", _decrypting(bench, files, size))
    for kind in (*PEERS, Rclone):
        _sealed(bench, kind.name).unlink(missing_ok=True)
    yield from bench.race("encrypt", _encrypting(bench, files, size))
    yield from bench.race("decrypt file to file", _decrypting_files(bench, *files[size], size))
    yield from bench.race("encrypt file to file", _encrypting_files(bench, *files[size], size))


def _limits(size: int, loop: Callable[..., Run]) -> Iterator[Contender]:
    for chunk in (16 * KIB, MIB):
        yield Contender(limit_name(chunk), partial(loop, chunk, size), size=size, chunk=chunk)
        moving = partial(loop, chunk, size, moving=True)
        yield Contender(limit_name(chunk, moving=True), moving, size=size, chunk=chunk, reference=limit_name(chunk))


def _decrypting(bench: Bench, files: dict[int, tuple[Path, str]], size: int) -> Iterator[Contender]:
    plain, expected = files[size]
    yield from _limits(size, opening_loop)
    yield Contender(PLAIN, partial(from_file, plain), gives(expected), size=size)
    whole = memoryview(bytearray(size))
    for ours in FORMATS:
        sealed = into_file(ours.sealing(plain), _sealed(bench, ours.name))
        options = {"check": gives(expected), "size": size, "chunk": ours.chunk}
        reference = FLOOR if ours is GCM else limit_name(ours.chunk)
        yield Contender(ours.name, partial(ours.opening, sealed), reference=reference, **options)
        setup = partial(ours.opening_whole, sealed, whole)
        yield Contender(f"{ours.name}, one read", setup, reference=reference, **options)
        if ours is GCM:
            yield Contender(FLOOR, partial(_mapped_passes, sealed), **options)
    for kind in (*PEERS, Rclone):
        peer, length = kind(), bench.scale.slow_peer if kind in SLOW else size
        source, expected = files[length]
        sealed = _sealed(bench, GCM.name if kind in ONE_SHOT else peer.name)
        setup = partial(_opening_own, peer, source, sealed)
        yield Contender(peer.name, setup, gives(expected), size=length, reference=COBBLESTONE.name)


def _mapped_passes(sealed: Path) -> Run:
    with sealed.open("rb") as file:
        return two_passes(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))


def _opening_own(peer: object, plain: Path, sealed: Path) -> Run:
    """Return a peer's opening of the sealed file, which the peer seals first if it does not exist."""
    if not sealed.exists():
        into_file(peer.sealing(plain), sealed)
    return peer.opening(sealed)


def _encrypting(bench: Bench, files: dict[int, tuple[Path, str]], size: int) -> Iterator[Contender]:
    plain, expected = files[size]
    yield from _limits(size, sealing_loop)
    yield Contender(PLAIN, partial(from_file, plain), gives(expected), size=size)
    data = plain.read_bytes()
    for ours in FORMATS:
        reference = limit_name(ours.chunk)
        check = partial(_opens, ours.opening, _sealed(bench, ours.name), expected)
        options = {"check": check, "size": size, "chunk": ours.chunk, "reference": reference}
        yield Contender(ours.name, partial(ours.sealing, plain), **options)
        yield Contender(f"{ours.name}, from memory", partial(_sealing_memory, ours, data), **options)
    for kind in PEERS:
        peer, length = kind(), bench.scale.slow_peer if kind in SLOW else size
        source, expected = files[length]
        check = partial(_opens, peer.opening, _sealed(bench, peer.name), expected)
        setup = partial(peer.sealing, source)
        yield Contender(peer.name, setup, check, size=length, reference=COBBLESTONE.name)


def _sealing_memory(ours: Ours, data: bytes) -> Run:
    def run(take: Take) -> None:
        with connectors.open_writer(TakerSink(take), KEY, **ours.options) as file:
            file.write(data)

    return run


def _decrypting_files(bench: Bench, plain: Path, expected: str, size: int) -> Iterator[Contender]:
    yield _copying(bench, plain, expected, size)
    for ours in FORMATS:
        sealed, target = _sealed(bench, ours.name), bench.folder / "opened"
        setup = partial(_silent, partial(connectors.decrypt, sealed, target, KEY, **ours.options))
        check = partial(_made, from_file(target), expected)
        yield Contender(ours.name, setup, check, size=size, chunk=ours.chunk, reference="shutil.copyfile")


def _encrypting_files(bench: Bench, plain: Path, expected: str, size: int) -> Iterator[Contender]:
    yield _copying(bench, plain, expected, size)
    for ours in FORMATS:
        target = bench.folder / "sealed"
        setup = partial(_silent, partial(connectors.encrypt, plain, target, KEY, **ours.options))
        check = partial(_made, ours.opening(target), expected)
        yield Contender(ours.name, setup, check, size=size, chunk=ours.chunk, reference="shutil.copyfile")


def _copying(bench: Bench, plain: Path, expected: str, size: int) -> Contender:
    target = bench.folder / "copy"
    setup = partial(_silent, partial(shutil.copyfile, plain, target))
    return Contender("shutil.copyfile", setup, partial(_made, from_file(target), expected), size=size)


def _silent(job: object) -> Run:
    """Return a run that writes a file, and passes nothing on."""
    return lambda _: job()


def _made(opening: Run, expected: str, run: Run) -> None:
    digest(run)
    gives(expected)(opening)


def _opens(opening: object, path: Path, expected: str, run: Run) -> None:
    """Check a run that seals by opening its output."""
    again = path.with_suffix(".again")
    gives(expected)(opening(into_file(run, again)))
    again.unlink()


def _sealed(bench: Bench, name: str) -> Path:
    return bench.folder / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.sealed"
