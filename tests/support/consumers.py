"""Libraries and commands that read sealed datasets: each returns what it has found, for comparison with the truth."""

from __future__ import annotations

import io
import json
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.dataframe as dd
import datasets
import duckdb
import fsspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import xarray as xr
import zarr
from upath import UPath

from connectors.cli import main
from connectors.runner import read_result

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FOLDER", "OBJECT", "ROWS", "TRUTH", "CommandFailed", "RanAnyway", "fill", "parts", "whole"]

ROWS = 20_000
"""Rows in each of the four parts: enough for an object to take several requests."""


def parts() -> list[pd.DataFrame]:
    """Return the plain parts of the table."""
    chance = np.random.default_rng(1)
    return [pd.DataFrame({"n": np.arange(ROWS) + ROWS * part, "x": chance.random(ROWS)}) for part in range(4)]


TRUTH = (4 * ROWS, 4 * ROWS * (4 * ROWS - 1) // 2)
"""Rows and sum of the first column, of all parts."""

Found = tuple[int, int]


def whole() -> bytes:
    """Return the whole table as CSV."""
    return pd.concat(parts()).to_csv(index=False).encode()


def _of(frame: Any) -> Found:
    return len(frame), int(frame["n"].sum())


def _of_files(paths: list[Path]) -> Found:
    frames = [pd.read_csv(path) for path in paths]
    return sum(map(len, frames)), int(sum(frame["n"].sum() for frame in frames))


def _of_bytes(files: dict[str, bytes]) -> Found:
    frames = [pd.read_csv(io.BytesIO(data)) for data in files.values()]
    return sum(map(len, frames)), int(sum(frame["n"].sum() for frame in frames))


def _dask(url: str) -> Found:

    with dask.config.set(scheduler="sync"):
        frame = dd.read_csv(url, blocksize=100_000, sample=10_000)
        return len(frame), int(frame["n"].sum().compute())


def _arrow(path: str) -> Found:

    table = ds.dataset(path, filesystem=fsspec.filesystem("dataset"), format="parquet").to_table(columns=["n"])
    return table.num_rows, int(table["n"].to_numpy().sum())


def _polars(path: str) -> Found:

    table = ds.dataset(path, filesystem=fsspec.filesystem("dataset"), format="parquet")
    return _of(pl.scan_pyarrow_dataset(table).collect())


def _duckdb(source: str) -> Found:

    with duckdb.connect() as connection:
        connection.register_filesystem(fsspec.filesystem("dataset"))
        rows, total = connection.sql(f"SELECT count(*), sum(n) FROM {source}").fetchall()[0]
        return rows, int(total or 0)


def _zarr(path: str) -> Found:

    group = zarr.open_group(f"dataset://{path}", mode="r")
    values = group["n"][:]
    return values.size, int(values.sum())


def _xarray(path: str) -> Found:

    with xr.open_zarr(f"dataset://{path}", consolidated=False) as read:
        return read["n"].size, int(read["n"].sum())


def _hugging_face(files: list[str]) -> Found:
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    numbers = np.concatenate([batch["n"] for batch in loaded.with_format("numpy").iter(batch_size=10_000)])
    return numbers.size, int(numbers.sum())


def _upath(path: str) -> Found:

    return _of_bytes({str(one): one.read_bytes() for one in UPath(f"dataset://{path}").rglob("*.csv")})


def _get(path: str, tmp: Path) -> Found:
    fsspec.filesystem("dataset").get(path, f"{tmp}/copy", recursive=True)
    return _of_files(sorted((tmp / "copy").rglob("*.csv")))


def _find(path: str) -> Found:
    fs = fsspec.filesystem("dataset")
    return _of_bytes({name: fs.cat_file(name) for name in fs.find(path)})


def _glob(path: str) -> Found:
    fs = fsspec.filesystem("dataset")
    return _of_bytes(fs.cat(fs.glob(f"{path}/*.csv")))


def _walk(path: str) -> Found:
    fs = fsspec.filesystem("dataset")
    names = [f"{folder}/{name}" for folder, _, files in fs.walk(path) for name in files]
    return _of_bytes({name: fs.cat_file(name) for name in names})


def _ranges(path: str) -> Found:
    fs = fsspec.filesystem("dataset")
    names = fs.find(path)
    sizes = [fs.size(name) for name in names]
    pieces = fs.cat_ranges(
        names * 2,
        [0] * len(names) + [size // 2 for size in sizes],
        [size // 2 for size in sizes] + sizes,
        on_error="raise",
    )
    return _of_bytes({name: pieces[at] + pieces[at + len(names)] for at, name in enumerate(names)})


class CommandFailed(Exception):
    """A verb of the command line failed; the message is what it printed.

    Attributes:
        code: its exit code.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class RanAnyway(Exception):
    """A command ran, or its result was published, although not all of its inputs could be read."""


def _command(*words: str) -> str:
    """Return what the command prints.

    Raises:
        CommandFailed: it failed.
    """
    printed, told = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with redirect_stdout(printed), redirect_stderr(told):
        code = main(list(words))
    texts = []
    for stream in (printed, told):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    if code:
        raise CommandFailed(code, texts[1])
    return texts[0]


_COUNT = r"""
echo started > "$0"
find "$1" -type f \( -name "*.csv" -o -name table \) -exec cat {} + |
awk -F , '$1 != "n" { rows++; sum += $1 } END { printf "%d %.0f\n", rows, sum }'
"""
"""A shell's program that counts and adds up the rows of the input ``$1``, and leaves the file ``$0``."""


def _run(path: str, tmp: Path) -> Found:
    """Let `connectors run` start a command on the input, and return what the published result says."""
    started, fs = tmp / "started", fsspec.filesystem("dataset")
    port = path.partition("/")[0]
    try:
        _command("run", "--input-port", port, "--", "sh", "-c", _COUNT, str(started))
    except CommandFailed:
        if started.exists() or fs.exists("output/result"):
            message = "the command was started, or its result was published"
            raise RanAnyway(message) from None
        raise
    rows, total = read_result(io.BytesIO(fs.cat_file("output/result"))).stdout.split()
    return int(rows), int(total)


def _listed(path: str) -> Found:
    """Return the truth if the command lists all parts with their sizes."""
    listed = {
        one["url"].rpartition("/")[2]: one["size"]
        for one in json.loads(_command("ls", "--json", "-l", f"dataset://{path}"))
    }
    sizes = {f"{number}.csv": len(frame.to_csv(index=False)) for number, frame in enumerate(parts())}
    return TRUTH if listed == sizes else (len(listed), 0)


OBJECT: dict[str, Callable[[str, Path], Found]] = {
    "pandas": lambda path, _: _of(pd.read_csv(f"dataset://{path}")),
    "dask": lambda path, _: _dask(f"dataset://{path}"),
    "fs.cat": lambda path, _: _of_bytes({path: fsspec.filesystem("dataset").cat_file(path)}),
    "fs.get": lambda path, tmp: (
        fsspec.filesystem("dataset").get(path, f"{tmp}/one.csv"),
        _of_files([tmp / "one.csv"]),
    )[1],
    "fs.cat_ranges": lambda path, _: _ranges(path),
    "DuckDB": lambda path, _: _duckdb(f"read_csv('dataset://{path}')"),
    "connectors cp": lambda path, tmp: (
        _command("cp", f"dataset://{path}", f"{tmp}/one.csv"),
        _of_files([tmp / "one.csv"]),
    )[1],
    "connectors cat": lambda path, _: _of_bytes({path: _command("cat", f"dataset://{path}").encode()}),
    "connectors run": _run,
}
"""What reads one object, a CSV file with all rows: by its path."""
FOLDER: dict[str, Callable[[str, Path], Found]] = {
    "dask": lambda path, _: _dask(f"dataset://{path}/csv/*.csv"),
    "pyarrow.dataset": lambda path, _: _arrow(f"{path}/parquet"),
    "polars": lambda path, _: _polars(f"{path}/parquet"),
    "DuckDB": lambda path, _: _duckdb(f"'dataset://{path}/parquet/*.parquet'"),
    "zarr": lambda path, _: _zarr(f"{path}/zarr"),
    "xarray": lambda path, _: _xarray(f"{path}/zarr"),
    "universal_pathlib": lambda path, _: _upath(f"{path}/csv"),
    "Hugging Face datasets": lambda path, _: _hugging_face(
        [f"dataset://{path}/parquet/{part}.parquet" for part in range(4)]
    ),
    "fs.get": lambda path, tmp: _get(f"{path}/csv", tmp),
    "fs.find": lambda path, _: _find(f"{path}/csv"),
    "fs.glob": lambda path, _: _glob(f"{path}/csv"),
    "fs.walk": lambda path, _: _walk(f"{path}/csv"),
    "fs.cat_ranges": lambda path, _: _ranges(f"{path}/csv"),
    "connectors ls": lambda path, _: _listed(f"{path}/csv"),
    "connectors run": _run,
}
"""What reads a folder, with the rows in four parts, as CSV, Parquet and zarr: by its path."""


def fill(fs: Any, path: str) -> None:
    """Write the parts into a folder, in all forms."""

    frames = parts()
    with fs.transaction:
        for number, frame in enumerate(frames):
            fs.pipe_file(f"{path}/csv/{number}.csv", frame.to_csv(index=False).encode())
            data = io.BytesIO()
            frame.to_parquet(data, index=False, row_group_size=3000)
            fs.pipe_file(f"{path}/parquet/{number}.parquet", data.getvalue())
        memory: dict[str, Any] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            store = zarr.storage.MemoryStore(memory)
            group = zarr.create_group(store)
            values = np.concatenate([frame["n"].to_numpy() for frame in frames])
            array = group.create_array(
                "n", shape=values.shape, chunks=(ROWS,), dtype=values.dtype, compressors=None, dimension_names=["row"]
            )
            array[:] = values
        for name, data in memory.items():
            fs.pipe_file(f"{path}/zarr/{name}", data.to_bytes())
