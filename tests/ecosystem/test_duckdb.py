"""DuckDB reads and writes datasets, and publishes nothing of a query that fails."""

from __future__ import annotations

import json
import os

import duckdb
import fsspec
import pytest

import connectors
from connectors.errors import NotSupported, ObjectNotFound

FAILING = "SELECT CASE WHEN i = 299999 THEN error('no more')::BIGINT ELSE i END AS n FROM range(300000) t(i)"
FORMATS = ["csv", "parquet", "json"]


@pytest.fixture
def port(tmp_path, monkeypatch):
    """A port with a single object and a folder."""
    (tmp_path / "parts").mkdir()
    for name, location in (("table", "table.sealed"), ("parts", "parts/")):
        folder = tmp_path / "app/output" / name / "dataset"
        folder.mkdir(parents=True)
        (folder / "location.txt").write_text(f"file://{tmp_path}/{location}")
        (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": os.urandom(32).hex()}}))
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "app"))
    return connectors.load()["output"]


@pytest.fixture
def fs():
    return fsspec.filesystem("dataset", skip_instance_cache=True)


@pytest.fixture
def connection(fs):
    with duckdb.connect() as connection:
        connection.register_filesystem(fs)
        connection.sql("SET threads = 1")
        yield connection


def rows(connection, path, kind):
    return connection.sql(f"SELECT n FROM read_{kind}('dataset://{path}')").fetchall()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("path", ["output/table", "output/parts/one"])
def test_the_same_target_is_written_again(port, connection, path, kind):
    for number in (1, 2, 3):
        connection.sql(f"COPY (SELECT {number} AS n) TO 'dataset://{path}' (FORMAT {kind})")
        assert rows(connection, path, kind) == [(number,)]
    assert [*port["parts"].filesystem()[0].find(port["parts"].filesystem()[1])] == (
        [f"{port['parts'].filesystem()[1]}/one"] if "parts" in path else []
    )


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("path", ["output/table", "output/parts/one"])
def test_a_query_that_fails_leaves_what_stood_there(port, connection, path, kind):
    connection.sql(f"COPY (SELECT 7 AS n) TO 'dataset://{path}' (FORMAT {kind})")
    with pytest.raises(duckdb.InvalidInputException, match="no more"):
        connection.sql(f"COPY ({FAILING}) TO 'dataset://{path}' (FORMAT {kind})")
    assert rows(connection, path, kind) == [(7,)]


@pytest.mark.parametrize("kind", FORMATS)
def test_with_a_temporary_file_nothing_appears_even_for_a_moment(port, connection, fs, kind, monkeypatch):
    removed, rm = [], fs.rm
    monkeypatch.setattr(fs, "rm", lambda path: (removed.append(path), rm(path)))
    with pytest.raises(duckdb.InvalidInputException, match="no more"):
        connection.sql(f"COPY ({FAILING}) TO 'dataset://output/table' (FORMAT {kind}, USE_TMP_FILE true)")
    assert removed == ["dataset://output/tmp_table"]
    assert not port["table"].filesystem()[0].exists(port["table"].filesystem()[1])


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("options", ["", ", USE_TMP_FILE false", ", USE_TMP_FILE true"])
@pytest.mark.parametrize("old", [False, True], ids=["new", "over-an-old-object"])
class TestTransaction:
    @pytest.fixture(autouse=True)
    def stored(self, connection, port, old, kind):
        if old:
            connection.sql(f"COPY (SELECT 7 AS n) TO 'dataset://output/table' (FORMAT {kind})")

    def test_of_a_query_that_fails_publishes_nothing(self, port, connection, fs, kind, options, old):
        with pytest.raises(duckdb.InvalidInputException, match="no more"), fs.transaction:
            connection.sql(f"COPY ({FAILING}) TO 'dataset://output/table' (FORMAT {kind}{options})")
        assert fs.exists("output/table") is old
        assert not old or rows(connection, "output/table", kind) == [(7,)]

    def test_publishes_at_its_end(self, port, connection, fs, kind, options, old):
        with fs.transaction:
            connection.sql(f"COPY (SELECT 8 AS n) TO 'dataset://output/table' (FORMAT {kind}{options})")
            assert fs.exists("output/table") is old
        assert rows(connection, "output/table", kind) == [(8,)]


class TestStagedVersion:
    def test_is_published_when_it_is_renamed(self, port, fs):
        port["table"].write_bytes(b"old")
        with fs.open("output/tmp_table", "wb") as file:
            file.write(b"new version")
        assert fs.info("dataset://output/tmp_table") == {"name": "output/tmp_table", "type": "file", "size": 11}
        assert port["table"].read_bytes() == b"old"
        fs.mv("output/tmp_table", "output/table")
        assert port["table"].read_bytes() == b"new version"
        assert not fs.exists("output/tmp_table")

    def test_is_discarded_when_it_is_removed(self, port, fs, tmp_path):
        port["table"].write_bytes(b"old")
        for remove in (fs.rm, fs.rm_file):
            fs.pipe_file("output/tmp_table", b"new version")
            remove("output/tmp_table")
            assert not fs.exists("output/tmp_table")
        assert port["table"].read_bytes() == b"old"
        assert {path.name for path in tmp_path.iterdir()} == {"app", "parts", "table.sealed"}

    def test_is_replaced_by_the_next(self, port, fs, tmp_path):
        fs.pipe_file("output/tmp_table", b"one")
        fs.pipe_file("output/tmp_table", b"two")
        fs.mv("output/tmp_table", "output/table")
        assert port["table"].read_bytes() == b"two"
        assert {path.name for path in tmp_path.iterdir()} == {"app", "parts", "table.sealed"}

    def test_is_not_published_by_a_transaction_that_does_not_rename_it(self, port, fs):
        with fs.transaction:
            fs.pipe_file("output/tmp_table", b"new version")
        assert not fs.exists("output/tmp_table")
        assert not fs.exists("output/table")

    def test_becomes_no_other_dataset(self, port, fs):
        fs.pipe_file("output/tmp_table", b"new version")
        with pytest.raises(NotSupported, match="next version of dataset://output/table"):
            fs.mv("output/tmp_table", "output/parts/other")
        fs.mv("output/tmp_table", "output/table")

    def test_is_only_one_of_a_single_object(self, port, fs):
        for path in ("output/tmp_nothing", "output/tmp_parts", "other/tmp_table", "output/table/tmp_one"):
            with pytest.raises(ObjectNotFound):
                fs.pipe_file(path, b"new version")

    def test_does_not_hide_a_dataset_of_that_name(self, port, fs, tmp_path):
        folder = tmp_path / "app/output/tmp_table/dataset"
        folder.mkdir(parents=True)
        (folder / "location.txt").write_text(f"file://{tmp_path}/another")
        (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": os.urandom(32).hex()}}))
        fs.pipe_file("output/tmp_table", b"another dataset")
        assert (tmp_path / "another").exists()
        assert fs.cat_file("output/tmp_table") == b"another dataset"


def test_queries_and_copies(port, connection):
    counts = [("Prediabetes", 2), ("Viral sinusitis (disorder)", 3)]
    for number, (word, count) in enumerate(counts):
        connection.sql(f"COPY (SELECT '{word}' AS d FROM range({count})) TO 'dataset://output/parts/{number}.parquet'")
    query = "SELECT d, count(*) FROM 'dataset://output/parts/*.parquet' GROUP BY 1 ORDER BY 1"
    assert connection.sql(query).fetchall() == counts
