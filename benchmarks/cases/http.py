"""One object on a web server, read from start to end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import Bench, Contender
from benchmarks.clients import requests_reading
from benchmarks.counting import counted
from benchmarks.ours import COBBLESTONE, TINK
from benchmarks.plain import gives, into_file, random_file
from benchmarks.stores import caddy, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.bench import Row, Run
    from benchmarks.counting import Wire
    from benchmarks.ours import Ours

PEER = "requests, plain"


def run(bench: Bench) -> Iterator[Row]:
    with caddy(bench.folder) as url, counted(url) as wire:
        yield from bench.race("read", _reading(bench, url, wire))


def _reading(bench: Bench, url: str, wire: Wire) -> Iterator[Contender]:
    size = bench.scale.remote
    plain, expected = random_file(bench.folder / "plain", size)
    options = {"check": gives(expected), "size": size, "cpu": True}
    connect = partial(_read_plain, key="plain")
    yield Contender(PEER, partial(connect, url), counting=wire.counting(connect), **options)
    for ours in (COBBLESTONE, TINK, None):
        name = ours.name if ours else "not sealed"
        key = name.replace(" ", "-") if ours else "plain"
        if ours:
            into_file(ours.sealing(plain), bench.folder / key)
        connect = partial(_read_ours, key=key, ours=ours)
        chunk = ours.chunk if ours else None
        counting = wire.counting(connect)
        yield Contender(name, partial(connect, url), chunk=chunk, reference=PEER, counting=counting, **options)


def _read_plain(url: str, key: str) -> Run:
    return requests_reading(f"{url}/{key}")


def _read_ours(url: str, key: str, ours: Ours | None) -> Run:
    return reading(f"{url}/{key}", {"encryption": ours.encryption if ours else None})
