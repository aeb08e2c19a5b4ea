"""Places that may only be written: nobody asks what stands there, and every way to write works."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.dataframe
import duckdb
import fsspec
import pandas as pd
import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas
from upath import UPath

import connectors
from connectors.errors import AccessDenied, CredentialsExpired

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import AzureServer, S3Server

KEY = "5a" * 32
TARGET = "output/result"
TABLE = pd.DataFrame({"a": [1, 2, 3]})


def presigned_put(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any], str, dict[str, Any]]:
    s3: S3Server = request.getfixturevalue("s3")
    location, _, query = s3.presign("PUT", "clinic", "write-only").partition("?")
    reading: dict[str, Any] = {"access_key_id": s3.access_key, "secret_access_key": s3.secret_key}
    reading |= {"endpoint_url": s3.endpoint, "region": s3.region}
    document = {"query_string": base64.b64encode(query.encode()).decode()}
    return location, document, "s3://clinic/write-only", reading


def azure_sas(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any], str, dict[str, Any]]:
    azure: AzureServer = request.getfixturevalue("azure")
    with BlobServiceClient(azure.endpoint, {"account_name": azure.account, "account_key": azure.key}) as client:
        with suppress(ResourceExistsError):
            client.create_container("writeonly")
    sas = generate_blob_sas(
        azure.account,
        "writeonly",
        "result",
        account_key=azure.key,
        permission=BlobSasPermissions(create=True, write=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    account = {"account_name": azure.account, "endpoint_url": azure.endpoint}
    location = "az://writeonly/result"
    return location, {**account, "sas_token": sas}, location, {**account, "account_key": azure.key}


@pytest.fixture(params=[presigned_put, azure_sas], ids=["presigned PUT", "Azure SAS, sp=cw"])
def written(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], pd.DataFrame]:
    """An app config with an output that may only be written; return its table, read with other credentials."""
    location, document, readable, reading = request.param(request)
    encryption = {"encryption": {"key": KEY}}
    folder = tmp_path / "app" / "output" / "result" / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(location)
    (folder / "credentials.bin").write_text(json.dumps({**document, **encryption}))
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "app"))
    reader = connectors.Dataset(readable, {**reading, **encryption})
    reader.write_bytes(b"a\nbefore\n")

    def table() -> pd.DataFrame:
        with reader.open() as file:
            return pd.read_csv(file)

    return table


def with_duckdb(local: str) -> None:
    with duckdb.connect() as connection:
        connection.register_filesystem(fsspec.filesystem("dataset"))
        connection.sql(f"COPY (FROM read_csv('{local}')) TO 'dataset://{TARGET}' (FORMAT csv, USE_TMP_FILE false)")


def with_upload(local: str) -> None:
    connectors.load()["output"]["result"].upload(local)


WAYS: dict[str, Callable[[str], object]] = {
    "upload": with_upload,
    "pandas": lambda _: TABLE.to_csv(f"dataset://{TARGET}", index=False),
    "pipe": lambda local: fsspec.filesystem("dataset").pipe(TARGET, Path(local).read_bytes()),
    "put": lambda local: fsspec.filesystem("dataset").put(local, TARGET),
    "put_file": lambda local: fsspec.filesystem("dataset").put_file(local, TARGET),
    "put a list": lambda local: fsspec.filesystem("dataset").put([local], [TARGET]),
    "UPath": lambda local: UPath(f"dataset://{TARGET}").write_bytes(UPath(local).read_bytes()),
    "dask": lambda _: dask.dataframe.from_pandas(TABLE, npartitions=1).to_csv(
        f"dataset://{TARGET}", single_file=True, index=False
    ),
    "DuckDB": with_duckdb,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_place_that_may_only_be_written_is_written(
    way: str, written: Callable[[], pd.DataFrame], tmp_path: Path
) -> None:
    local = tmp_path / "result.csv"
    TABLE.to_csv(local, index=False)
    WAYS[way](str(local))
    pd.testing.assert_frame_equal(written(), TABLE)


@pytest.mark.usefixtures("written")
def test_what_may_not_be_read_is_still_refused_not_absent() -> None:
    fs = fsspec.filesystem("dataset")
    assert fs.isfile(TARGET)  # a dataset that is a single object is one, whether or not it can be read
    assert not fs.isdir(TARGET)
    for ask in (fs.exists, fs.info, fs.size, fs.cat_file):
        with pytest.raises(AccessDenied) as caught:
            ask(TARGET)
        assert not isinstance(caught.value, CredentialsExpired)
