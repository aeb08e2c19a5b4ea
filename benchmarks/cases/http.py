"""One object on a web server, read from start to end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import Bench, Contender
from benchmarks.ours import COBBLESTONE, TINK
from benchmarks.plain import gives, into_file, random_file
from benchmarks.stores import caddy, reading, requests_reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.bench import Row

PEER = "requests, plain"


def run(bench: Bench) -> Iterator[Row]:
    size = bench.scale.remote
    plain, expected = random_file(bench.folder / "plain", size)
    with caddy(bench.folder) as url:
        contenders = [Contender(PEER, partial(requests_reading, f"{url}/plain"), gives(expected), size=size)]
        for ours in (COBBLESTONE, TINK, None):
            name = ours.name if ours else "not sealed"
            if ours:
                into_file(ours.sealing(plain), bench.folder / name.replace(" ", "-"))
            location = f"{url}/{name.replace(' ', '-') if ours else 'plain'}"
            setup = partial(reading, location, {"encryption": ours.encryption if ours else None})
            chunk = ours.chunk if ours else None
            contenders.append(Contender(name, setup, gives(expected), size=size, chunk=chunk, reference=PEER))
        yield from bench.race("read", contenders)
