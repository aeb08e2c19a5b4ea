"""Columns of Parquet files under keys of their own, with pyarrow and pandas, inside sealed objects."""

from __future__ import annotations

import gc
import io
import os
import traceback

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from columnar import COLUMNS, KEY, LAB, NAMES, PII, ROWS, SECRETS, TABLE, document, read, write

import connectors
from connectors.app.columns import Column
from connectors.errors import (
    ConfigError,
    InvalidCredentials,
    KeyRefused,
    NotSupported,
    PinMismatch,
)
from connectors.secrets import SecretKey
from connectors.testing.tools import leaks_among


@pytest.fixture
def place(tmp_path):
    return (tmp_path / "sealed").as_uri()


class TestReading:
    def test_pyarrow_reads_what_it_wrote(self, place):
        assert read(write(place)).equals(TABLE)

    def test_pandas_reads_what_it_wrote(self, place):
        import pandas as pd

        frame = TABLE.drop_columns(["address"]).to_pandas()
        dataset = connectors.Dataset(place, document(pii=PII, lab=LAB))
        properties = dataset.parquet_encryption({"pii": ["name"], "lab": ["dose"]})
        with dataset.open("wb") as file:
            frame.to_parquet(file, engine="pyarrow", encryption_properties=properties)
        with dataset.open() as file:
            again = pd.read_parquet(file, engine="pyarrow", decryption_properties=dataset.parquet_decryption())
        assert again.equals(frame)
        less = connectors.Dataset(place, document(lab=LAB))
        with less.open() as file:
            options = {"columns": ["id", "dose"], "decryption_properties": less.parquet_decryption()}
            assert pd.read_parquet(file, engine="pyarrow", **options).equals(frame[["id", "dose"]])

    def test_reader_without_a_key_reads_the_rest(self, place):
        write(place)
        less = connectors.Dataset(place, document(lab=LAB))
        rest = ["id", "dose"]
        assert read(less, rest).equals(TABLE.select(rest))
        with less.open() as file, pq.ParquetFile(file, decryption_properties=less.parquet_decryption()) as opened:
            assert opened.schema_arrow.names == TABLE.column_names
            assert opened.read(rest).equals(TABLE.select(rest))

    def test_reader_without_any_column_key_reads_plain_columns(self, place):
        write(place)
        none = connectors.Dataset(place, document())
        assert read(none, ["id"]).equals(TABLE.select(["id"]))
        with none.open() as file:  # the footer is plain: no properties are needed either
            assert pq.read_table(file, columns=["id"]).equals(TABLE.select(["id"]))

    @pytest.mark.parametrize("columns", [None, ["id", "name"], ["address"]])
    def test_column_without_its_key_is_refused_by_name(self, place, columns):
        write(place)
        less = connectors.Dataset(place, document(lab=LAB), name="input/conditions")
        with pytest.raises(KeyRefused) as caught:
            read(less, columns)
        column = "address.street" if columns == ["address"] else "name"
        assert str(caught.value) == (
            f"input/conditions: the column '{column}' is encrypted under the column key 'pii', which this document does "
            "not have (encryption.columns has lab); read other columns, or ask the owner of the data for the key"
        )

    def test_another_key_of_the_same_name_is_refused(self, place):
        write(place)
        other = connectors.Dataset(place, document(pii=LAB, lab=LAB))
        with pytest.raises(KeyRefused, match=r"'name' is encrypted under another key than encryption\.columns\.pii"):
            read(other)

    def test_properties_outlive_what_made_them(self, place):
        write(place)
        properties = connectors.Dataset(place, document(pii=PII, lab=LAB)).parquet_decryption()
        gc.collect()
        for _ in range(2):
            with connectors.Dataset(place, document()).open() as file:
                assert pq.read_table(file, decryption_properties=properties).equals(TABLE)

    def test_row_groups_and_pages_are_read(self, place):
        dataset = write(place, row_group_size=300, data_page_size=512, write_page_index=True)
        assert read(dataset).equals(TABLE)
        with dataset.open() as file, pq.ParquetFile(file, decryption_properties=dataset.parquet_decryption()) as opened:
            assert opened.num_row_groups == 7
            assert opened.read_row_group(6, ["name"]).column("name").to_pylist() == NAMES[1800:]

    def test_file_survives_a_new_key_of_the_dataset(self, place, tmp_path):
        old = write(place)
        new = connectors.Dataset((tmp_path / "new").as_uri(), document(SecretKey.generate(), pii=PII, lab=LAB))
        new.write_bytes(old.read_bytes())
        assert read(new).equals(TABLE)


class TestScans:
    @pytest.fixture
    def folder(self, tmp_path):
        whole = connectors.Dataset((tmp_path / "folder").as_uri() + "/", document(pii=PII, lab=LAB))
        fs, path = whole.filesystem()
        for number in range(3):
            with fs.open(f"{path}/{number}.parquet", "wb") as file:
                properties = whole.parquet_encryption(COLUMNS)
                pq.write_table(TABLE.slice(number * 500, 500), file, encryption_properties=properties)
        return whole.location

    def scan(self, dataset):
        fs, path = dataset.filesystem()
        options = ds.ParquetFragmentScanOptions(decryption_properties=dataset.parquet_decryption())
        return ds.dataset(path, filesystem=fs, format=ds.ParquetFileFormat(default_fragment_scan_options=options))

    def test_folder_is_scanned_with_all_keys(self, folder):
        scanned = self.scan(connectors.Dataset(folder, document(pii=PII, lab=LAB)))
        assert scanned.count_rows() == 1500
        assert scanned.to_table().sort_by("id").equals(TABLE.slice(0, 1500))
        assert scanned.count_rows(filter=ds.field("name") == NAMES[700]) == 1
        assert scanned.to_table(columns=["id"], filter=ds.field("name") == NAMES[700]).column("id").to_pylist() == [700]

    def test_folder_is_scanned_without_a_key(self, folder):
        scanned = self.scan(connectors.Dataset(folder, document(lab=LAB)))
        assert scanned.schema.names == TABLE.column_names
        for _ in range(2):  # counting rows once broke the next scan: arrow#41431
            assert scanned.count_rows() == 1500
            assert scanned.to_table(columns=["id", "dose"], filter=ds.field("id") < 10).num_rows == 10
        with pytest.raises(KeyRefused, match="the column 'name' is encrypted under the column key 'pii'"):
            scanned.to_table()

    def test_columns_of_an_object_in_a_folder_are_listed(self, folder):
        less = connectors.Dataset(folder, document(lab=LAB))
        assert less.parquet_columns("1.parquet")[:2] == [Column("id", None, True), Column("name", "pii", False)]


class TestWriting:
    def test_plain_bytes_of_the_file_hold_no_encrypted_value(self, place):
        frame = TABLE.append_column("note", pa.array(["visible"] * ROWS))
        data = write(place, frame, write_page_index=True, compression="none", use_dictionary=False).read_bytes()
        assert b"visible" in data
        for canary in (b"Ada Canary", b"Canary Row", b"1950-01"):
            assert canary not in data
        for key in (PII, LAB):
            assert bytes.fromhex(key) not in data
            assert key.encode() not in data

    @pytest.mark.parametrize(
        ("columns", "told"),
        [
            ({}, "name the columns to encrypt"),
            ({"pij": ["name"]}, "there is no column key 'pij'; encryption.columns has lab, pii"),
            ({"pii": "name"}, "name the columns of 'pii' in a list"),
            ({"pii": []}, "name the columns of 'pii' in a list"),
            ({"pii": ["name", "name"]}, "the column 'name' is named twice"),
            ({"pii": ["name"], "lab": ["name"]}, "the column 'name' is named twice"),
            ({"pii": ["a,b"]}, "the column 'a,b' cannot have a key"),
            ({"pii": [" name"]}, "the column ' name' cannot have a key"),
        ],
    )
    def test_columns_that_cannot_be_encrypted_are_refused(self, place, columns, told):
        dataset = connectors.Dataset(place, document(pii=PII, lab=LAB), name="output/result")
        with pytest.raises(ConfigError, match=told) as caught:
            dataset.parquet_encryption(columns)
        assert caught.value.dataset == "output/result"

    def test_column_that_the_table_lacks_publishes_nothing(self, place):
        with pytest.raises(OSError, match="Encrypted column nmae not in file schema"):
            write(place, columns={"pii": ["nmae"]})
        with pytest.raises(connectors.errors.ObjectNotFound):
            connectors.Dataset(place, document()).read_bytes()

    def test_unsealed_dataset_has_no_column_keys(self, place):
        plain = connectors.Dataset(place, {"encryption": None})
        for call in (plain.parquet_decryption, plain.parquet_columns, lambda: plain.parquet_encryption(COLUMNS)):
            with pytest.raises(NotSupported, match="only inside of sealed objects"):
                call()

    def test_exchanged_file_is_refused_by_the_pin(self, place, tmp_path):
        dataset = write(place)
        pin = dataset.fingerprint()
        pinned = connectors.Dataset(place, {"encryption": {**document(pii=PII, lab=LAB)["encryption"], "pin": pin}})
        assert read(pinned).equals(TABLE)
        # The same keys and columns, other values: Parquet itself could not tell.
        other = write((tmp_path / "other").as_uri(), TABLE.slice(0, 10))
        os.replace(tmp_path / "other", tmp_path / "sealed")
        with pytest.raises(PinMismatch):
            read(pinned)
        assert other.name is None

    def test_keys_from_a_source_are_asked_for_when_used(self, place, tmp_path):
        write(place)
        missing = {"source": "file", "path": str(tmp_path / "pii.hex")}
        dataset = connectors.Dataset(place, document(pii=missing, lab=LAB))
        assert read(dataset, ["id", "dose"]).num_rows == ROWS
        with pytest.raises(ConfigError, match=r"encryption\.columns\.pii: the key file .* is missing"):
            read(dataset)
        (tmp_path / "pii.hex").touch(0o600)
        (tmp_path / "pii.hex").write_text(PII)
        assert read(dataset).equals(TABLE)


class TestDocuments:
    @pytest.mark.parametrize(
        ("columns", "told"),
        [
            ({"p i": PII}, "the name of a column key has letters, digits and underscores"),
            ({PII: "name"}, "the name of a column key has letters, digits and underscores"),
            ({"pii": "7"}, "columns.pii: a key is 64 hexadecimal digits; this one has 1 characters"),
            ({"pii": {"source": "nowhere"}}, "columns.pii: there is no key source 'nowhere'"),
            ({f"k{number}": PII for number in range(65)}, "columns: "),
            ([PII], "columns: "),
        ],
    )
    def test_invalid_column_keys_are_refused(self, columns, told):
        with pytest.raises(InvalidCredentials, match=told) as caught:
            connectors.Dataset("memory://a/b", {"encryption": {"key": KEY, "columns": columns}})
        assert leaks_among(SECRETS, caught.value) == []

    def test_document_keeps_column_keys_and_masks_them(self):
        dataset = connectors.Dataset("memory://a/b", document(pii=PII))
        assert dataset.credentials.document() == document(pii=PII)
        assert connectors.Dataset("memory://a/b", document()).credentials.document() == document()
        shown = [dataset.credentials, dataset.credentials.model_dump(), vars(dataset), dataset.parquet_decryption()]
        assert leaks_among(SECRETS, *shown) == []

    def test_tink_keyset_is_no_column_key(self, place):
        from connectors.keys.keysets import plain_keyset

        keyset = {"source": "tink", "keyset": plain_keyset(SecretKey(PII), 4096)}
        with pytest.raises(ConfigError, match="a Tink keyset is for whole objects"):
            connectors.Dataset(place, document(pii=keyset)).parquet_encryption({"pii": ["name"]})


@pytest.mark.parametrize(
    "given", [{"lab": LAB}, {"pii": LAB, "lab": LAB}, {"pii": PII, "lab": PII}], ids=["-", "a", "b"]
)
def test_no_error_or_traceback_shows_a_key(place, given):
    write(place)
    dataset = connectors.Dataset(place, document(**given))
    with pytest.raises(KeyRefused) as caught:
        read(dataset)
    error = caught.value.with_traceback(caught.value.__traceback__.tb_next)  # without the frame of this test
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "wrapped_key" in "".join(trace.format())
    assert leaks_among(SECRETS, error, "".join(trace.format())) == []


class TestOtherReaders:
    def test_polars_and_duckdb_read_the_columns_without_a_key(self, place, tmp_path):
        import duckdb
        import polars as pl

        data = write(place).read_bytes()
        assert pl.read_parquet(io.BytesIO(data), columns=["id"])["id"].sum() == sum(range(ROWS))
        with pytest.raises(pl.exceptions.ComputeError, match="encrypted"):
            pl.read_parquet(io.BytesIO(data))
        (tmp_path / "plain.parquet").write_bytes(data)
        query = "SELECT sum(id) FROM read_parquet(?)"
        assert duckdb.execute(query, [str(tmp_path / "plain.parquet")]).fetchall() == [(sum(range(ROWS)),)]
