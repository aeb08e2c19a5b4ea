"""Two of twenty columns of a Parquet file on S3."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import connectors
from benchmarks.bench import Bench, Contender
from benchmarks.clients import s3_filesystem
from benchmarks.counting import counted
from benchmarks.ours import COBBLESTONE, TINK
from benchmarks.plain import WrongOutput, into_file
from benchmarks.stores import BUCKET, s3_document, s3_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Row, Run

    Connecting = Callable[[str], tuple[Any, str]]
    """Takes the URL of the store; returns a filesystem and a path."""

COLUMNS = ["c03", "c17"]
PEER = "s3fs, plain"


def run(bench: Bench) -> Iterator[Row]:
    import numpy as np  # noqa: PLC0415 - only this case needs it
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    chance, rows = np.random.default_rng(1), bench.scale.table_rows
    table = pa.table({f"c{number:02}": chance.random(rows) for number in range(20)})
    plain = bench.folder / "plain"
    pq.write_table(table, plain, use_dictionary=False, row_group_size=rows // 10)
    wanted = table.select(COLUMNS)
    with s3_store(bench.folder / "seaweedfs") as server, counted(server.endpoint) as wire:
        server.client().upload_file(str(plain), BUCKET, "plain")
        ways: dict[str, Connecting] = {PEER: lambda url: (s3_filesystem(server, url), f"{BUCKET}/plain")}
        for ours in (COBBLESTONE, TINK):
            sealed = into_file(ours.sealing(plain), bench.folder / "sealed")
            server.client().upload_file(str(sealed), BUCKET, ours.format)
            location = f"s3://{BUCKET}/{ours.format}"
            ways[ours.name] = lambda url, location=location, ours=ours: connectors.Dataset(
                location, s3_document(server, ours, url)
            ).filesystem()
        facts = {}
        for name, connecting in ways.items():
            wire.reset()
            _reading(connecting, wire.url, wanted)(None)
            facts[name] = {"requests": wire.requests, "fetched": wire.fetched}
        contenders = (
            Contender(
                name,
                partial(_reading, connecting, server.endpoint, wanted),
                size=wanted.nbytes,
                reference=None if name == PEER else PEER,
                facts=facts[name],
                cpu=True,
            )
            for name, connecting in ways.items()
        )
        yield from bench.race("read two columns", contenders)


def _reading(connecting: Connecting, url: str, wanted: Any) -> Run:
    import pyarrow.parquet as pq  # noqa: PLC0415

    fs, path = connecting(url)

    def run(_: object) -> None:
        fs.invalidate_cache()
        if not pq.read_table(path, filesystem=fs, columns=COLUMNS).equals(wanted):
            message = "the columns differ from those that were written"
            raise WrongOutput(message)

    return run
