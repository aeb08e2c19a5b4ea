"""Columns of a large Parquet file: as few bytes of the sealed object as of a plain one."""

from __future__ import annotations

import numpy as np
import pytest

import connectors
from connectors.storage import HttpClient
from connectors.storage.http.messages import Response

ROWS, COLUMNS = 655_360, 20


@pytest.fixture(scope="module")
def stored(s3, tmp_path_factory):
    """The same table of 100 MiB twice in the store: plain, and sealed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = np.random.default_rng(1)
    folder = tmp_path_factory.mktemp("parquet")
    table = pa.table({f"c{number:02}": chance.random(ROWS) for number in range(COLUMNS)})
    pq.write_table(table, folder / "plain", use_dictionary=False, row_group_size=ROWS // 10)
    assert (folder / "plain").stat().st_size > 100 << 20
    connectors.encrypt(folder / "plain", folder / "sealed", "00" * 32)
    for name in ("plain", "sealed"):
        s3.client().upload_file(str(folder / name), "clinic", f"parquet/{name}")
    return table.column("c03").to_numpy().sum() + table.column("c17").to_numpy().sum()


@pytest.fixture
def fetched(monkeypatch):
    """The sizes of the bodies that S3 sends to s3fs and to us, as its answers tell them."""
    from fsspec.asyn import sync_wrapper
    from s3fs import S3FileSystem

    sizes = []
    real = S3FileSystem._call_s3

    async def call(self, method, *arguments, **options):
        answer = await real(self, method, *arguments, **options)
        if method == "get_object":
            sizes.append(answer["ContentLength"])
        return answer

    monkeypatch.setattr(S3FileSystem, "_call_s3", call)
    monkeypatch.setattr(S3FileSystem, "call_s3", sync_wrapper(call))
    send = HttpClient.send

    def sent(self, request, *busy):
        answer = send(self, request, *busy)
        if request.method == "GET" and isinstance(answer, Response):
            sizes.append(answer.length)
        return answer

    monkeypatch.setattr(HttpClient, "send", sent)
    return sizes


def test_two_columns_of_twenty_cost_hardly_more_than_unsealed(s3, stored, fetched):
    import pyarrow.parquet as pq
    from s3fs import S3FileSystem

    columns = ["c03", "c17"]
    plain = S3FileSystem(key=s3.access_key, secret=s3.secret_key, endpoint_url=s3.endpoint, skip_instance_cache=True)
    read = pq.read_table("clinic/parquet/plain", filesystem=plain, columns=columns)
    assert sum(read.column(name).to_numpy().sum() for name in columns) == pytest.approx(stored)
    usual = sum(fetched)
    fetched.clear()

    document = {
        "access_key_id": s3.access_key,
        "secret_access_key": s3.secret_key,
        "endpoint_url": s3.endpoint,
        "encryption": {"key": "00" * 32},
    }
    fs, path = connectors.Dataset("s3://clinic/parquet/sealed", document).filesystem()
    read = pq.read_table(path, filesystem=fs, columns=columns)
    assert sum(read.column(name).to_numpy().sum() for name in columns) == pytest.approx(stored)
    assert 0 < sum(fetched) <= 1.1 * usual
    assert sum(fetched) <= 1.1 * (100 << 20) * len(columns) / COLUMNS
