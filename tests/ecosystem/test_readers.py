"""The sealed dataset by the names of other libraries: read, and written where they write."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

import connectors
from connectors.errors import WrongKey

ROWS = 5000


def connect(root, port, name, location, **encryption):
    folder = root / port / name / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(location)
    document = {"encryption": {"key": os.urandom(32).hex(), **encryption}}
    (folder / "credentials.bin").write_text(json.dumps(document))


@pytest.fixture
def app(tmp_path, monkeypatch):
    """An app config with a table and a folder to read and to write, empty as yet."""
    for port in ("input", "output"):
        connect(tmp_path / "rw", port, "table", f"file://{tmp_path}/{port}-table.sealed")
        connect(tmp_path / "rw", port, "parts", f"file://{tmp_path}/{port}-parts/")
        (tmp_path / f"{port}-parts").mkdir()
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "rw"))
    return connectors.load()


@pytest.fixture
def frame():
    chance = np.random.default_rng(1)
    names = ["Viral sinusitis (disorder)", "Prediabetes", "Normal pregnancy"]
    columns = {f"c{number}": chance.random(ROWS) for number in range(5)}
    return pd.DataFrame({"ward": chance.integers(0, 4, ROWS), "description": chance.choice(names, ROWS), **columns})


@pytest.fixture
def parquet(app, frame):
    """The table as Parquet, single and as four parts."""
    frame.to_parquet("dataset://input/table")
    for ward, part in frame.groupby("ward"):
        part.to_parquet(f"dataset://input/parts/ward={ward}.parquet", index=False)
    return frame


def test_pandas_reads_and_writes_csv_parquet_json_and_pickle(app, frame):
    for kind in ("csv", "parquet", "json", "pickle"):
        options = {"index": False} if kind == "csv" else {}
        getattr(frame, f"to_{kind}")("dataset://output/table", **options)
        read = getattr(pd, f"read_{kind}")("dataset://output/table")
        pd.testing.assert_frame_equal(read.astype(frame.dtypes.to_dict()), frame, check_exact=False)
    with fsspec.open("dataset://output/table", "rb") as file:
        assert pickle.load(file).equals(frame)


def test_pandas_compresses_inside_the_sealing(app, frame):
    with fsspec.open("dataset://output/parts/table.csv.gz", "wb", compression="gzip") as file:
        frame.to_csv(file, index=False)
    read = pd.read_csv("dataset://output/parts/table.csv.gz")
    assert read["description"].tolist() == frame["description"].tolist()


def test_pyarrow_reads_a_folder_and_prunes_columns(parquet):
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    fs = fsspec.filesystem("dataset")
    found = ds.dataset("input/parts", filesystem=fs, format="parquet")
    assert len(found.files) == 4
    table = found.to_table(columns=["c1"], filter=ds.field("c1") > 0.5)
    assert table.num_rows == (parquet["c1"] > 0.5).sum()
    assert (
        pq.read_table("input/table", filesystem=fs, columns=["ward"]).column("ward").to_pylist()
        == parquet["ward"].tolist()
    )


def test_pyarrow_writes_a_folder(app, frame):
    import pyarrow as pa
    import pyarrow.dataset as ds

    fs = fsspec.filesystem("dataset")
    ds.write_dataset(
        pa.Table.from_pandas(frame), "output/parts/table", filesystem=fs, format="parquet", partitioning=["ward"]
    )
    assert ds.dataset("output/parts/table", filesystem=fs, partitioning=["ward"]).count_rows() == ROWS
    stored = list(Path(app["output"]["parts"].location.removeprefix("file://")).rglob("*.parquet"))
    assert len(stored) == 4
    assert not any(b"PAR1" in path.read_bytes() for path in stored)


def test_polars_reads_and_writes(parquet):
    import polars as pl

    with fsspec.open("dataset://input/table") as file:
        assert pl.read_parquet(file, columns=["ward"])["ward"].sum() == parquet["ward"].sum()
    read = pl.scan_pyarrow_dataset(dataset_of("input/parts")).filter(pl.col("ward") == 2).collect()
    assert len(read) == (parquet["ward"] == 2).sum()
    with fsspec.open("dataset://output/table", "wb") as file:
        read.write_parquet(file)
    assert len(pd.read_parquet("dataset://output/table")) == len(read)


def dataset_of(path):
    import pyarrow.dataset as ds

    return ds.dataset(path, filesystem=fsspec.filesystem("dataset"), format="parquet")


def test_zarr_and_xarray_read_and_write_a_folder(app):
    import xarray as xr
    import zarr

    field = np.arange(120_000, dtype="f4").reshape(300, 400)
    data = xr.Dataset({"dose": (("x", "y"), field)})
    fs, path = app["output"]["parts"].filesystem()
    mapper = fs.get_mapper(f"{path}/scan.zarr")
    data.to_zarr("dataset://output/parts/scan.zarr", encoding={"dose": {"chunks": (100, 100)}}, consolidated=False)
    assert sum("dose/c/" in name for name in fs.find(path)) == 12
    assert "zarr.json" in mapper
    with xr.open_zarr("dataset://output/parts/scan.zarr", consolidated=False) as read:
        assert float(read["dose"][150:160, 3].sum()) == float(field[150:160, 3].sum())
    group = zarr.open_group("dataset://output/parts/scan.zarr", mode="r")
    assert np.array_equal(group["dose"][:], field)


def test_universal_pathlib_walks_and_writes(parquet):
    from upath import UPath

    root = UPath("dataset://input/parts")
    assert sorted(path.name for path in root.iterdir()) == [f"ward={ward}.parquet" for ward in range(4)]
    (root / "notes" / "one.txt").write_text("37.2")
    assert [path.read_text() for path in root.rglob("*.txt")] == ["37.2"]
    (root / "notes" / "one.txt").unlink()
    assert not (root / "notes" / "one.txt").exists()


def test_hugging_face_datasets_read_files_of_it(parquet, tmp_path):
    import datasets

    urls = [f"dataset://input/parts/ward={ward}.parquet" for ward in range(4)]
    loaded = datasets.load_dataset("parquet", data_files=urls, split="train", streaming=True)
    assert sum(row["ward"] for row in loaded) == parquet["ward"].sum()


def test_another_libraries_error_is_still_ours(parquet, app, tmp_path):
    folder = tmp_path / "rw" / "input" / "table" / "dataset"
    (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": "00" * 32, "format": "cobblestone-256"}}))
    with pytest.raises(WrongKey, match="input/table"):
        pd.read_parquet("dataset://input/table")
