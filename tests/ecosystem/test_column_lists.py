"""The columns of sealed Parquet files and their keys, as the footer and `connectors columns` tell them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from columnar import KEY, LAB, PII, TABLE, document, read, write

import connectors
from connectors.app.columns import Column
from connectors.app.footer import columns_of
from connectors.errors import (
    IntegrityError,
    NotSupported,
)


@pytest.fixture
def place(tmp_path):
    return (tmp_path / "sealed").as_uri()


class TestFooter:
    def test_columns_are_listed_with_their_keys(self, place):
        write(place)
        found = connectors.Dataset(place, document(lab=LAB)).parquet_columns()
        assert [(one.name, one.key, one.readable) for one in found] == [
            ("id", None, True),
            ("name", "pii", False),
            ("birth_date", "pii", False),
            ("dose", "lab", True),
            ("address.street", "pii", False),
            ("address.zip", "pii", False),
        ]

    def test_files_of_all_shapes_are_listed_as_pyarrow_does(self):
        nested = pa.struct([("b", pa.list_(pa.struct([("c", pa.int8()), ("d", pa.string())]))), ("e", pa.float64())])
        wide = pa.schema([*[(f"c{number}", pa.bool_()) for number in range(200)], ("a", nested), ("z", pa.date32())])
        for table in (wide.empty_table(), pa.Table.from_pylist([{"c0": True, "a": {"b": [{"c": 1}]}}], wide)):
            for groups in (0, 1):
                data = io.BytesIO()
                with pq.ParquetWriter(data, wide, write_page_index=True) as writer:
                    for _ in range(groups):
                        writer.write_table(table)
                schema = pq.ParquetFile(data).schema
                assert [name for name, _ in columns_of(data)] == [schema.column(at).path for at in range(len(schema))]

    def test_broken_footers_are_refused(self, place):
        data = write(place).read_bytes()
        start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        for at in range(start, len(data) - 8, 3):
            for value in (0x00, 0xFF, data[at] ^ 0x10):
                with contextlib.suppress(IntegrityError):
                    columns_of(io.BytesIO(data[:at] + bytes([value]) + data[at + 1 :]))
        with pytest.raises(IntegrityError, match="footer of this Parquet file is broken"):
            columns_of(io.BytesIO(data[-100:]))
        deep = b"\x19\x1c" + b"\x1c" * 5000
        with pytest.raises(IntegrityError):
            columns_of(io.BytesIO(deep + len(deep).to_bytes(4, "little") + b"PAR1"))

    @pytest.mark.parametrize("data", [b"", b"PAR1", b"name,birth_date\nAda,1815"])
    def test_other_files_are_refused(self, data):
        with pytest.raises(NotSupported, match="this is no Parquet file"):
            columns_of(io.BytesIO(data))

    def test_file_of_another_key_service_is_refused(self, place):
        from pyarrow.parquet import encryption

        class Plain(encryption.KmsClient):
            def wrap_key(self, key_bytes, master_key_identifier):
                return key_bytes.hex()

        options = {"column_keys": {"n": ["name"]}, "double_wrapping": False, "plaintext_footer": True}
        configuration = encryption.EncryptionConfiguration("f", **options)
        factory = encryption.CryptoFactory(lambda _: Plain())
        properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), configuration)
        dataset = connectors.Dataset(place, document(pii=PII))
        with dataset.open("wb") as file:
            pq.write_table(TABLE, file, encryption_properties=properties)
        assert dataset.parquet_columns()[1] == Column("name", "n", False)
        with pytest.raises(NotSupported, match="has a key 'f', which another program's key service wraps"):
            read(dataset)

    def test_file_with_an_encrypted_footer_is_refused(self):
        from pyarrow.parquet import encryption

        class Plain(encryption.KmsClient):
            def wrap_key(self, key_bytes, master_key_identifier):
                return key_bytes.hex()

        data = io.BytesIO()
        configuration = encryption.EncryptionConfiguration("f", column_keys={"n": ["name"]}, double_wrapping=False)
        factory = encryption.CryptoFactory(lambda _: Plain())
        properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), configuration)
        pq.write_table(TABLE, data, encryption_properties=properties)
        with pytest.raises(NotSupported, match="the footer of this Parquet file is encrypted"):
            columns_of(data)


class TestCommand:
    @pytest.fixture
    def home(self, tmp_path):
        for name, columns in (("conditions", {"pii": PII, "lab": LAB}), ("less", {"lab": LAB})):
            folder = tmp_path / "app" / "data" / name / "dataset"
            folder.mkdir(parents=True)
            (folder / "location.txt").write_text((tmp_path / "sealed").as_uri())
            (folder / "credentials.bin").write_text(json.dumps(document(**columns)))
        (tmp_path / "key.hex").touch(0o600)
        (tmp_path / "key.hex").write_text(KEY)
        pq.write_table(TABLE, tmp_path / "plain.parquet", row_group_size=500)
        return tmp_path

    def run(self, home, *words):
        command = [sys.executable, "-W", "error", "-m", "connectors", "columns", *words]
        environment = {**os.environ, "CONNECTORS_APP_CONFIG": str(home / "app"), "COLUMNS": "80"}
        return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)

    def write(self, home):
        words = ["--encrypt", "pii=name,birth_date", "--encrypt", "lab=dose", "plain.parquet"]
        return self.run(home, *words, "dataset://data/conditions")

    def test_file_is_written_with_encrypted_columns(self, home):
        done = self.write(home)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        dataset = connectors.load(home / "app")["data"]["conditions"]
        assert read(dataset).equals(TABLE)
        assert b"Ada Canary" not in dataset.read_bytes()

    def test_columns_are_listed(self, home):
        self.write(home)
        done = self.run(home, "dataset://data/less")
        assert (done.returncode, done.stderr) == (0, "")
        lines = [line.split() for line in done.stdout.splitlines()]
        assert lines[:4] == [
            ["COLUMN", "KEY", "HELD"],
            ["id", "-", "-"],
            ["name", "pii", "no"],
            ["birth_date", "pii", "no"],
        ]
        assert ["dose", "lab", "yes"] in lines
        listed = json.loads(self.run(home, "-K", "key.hex", "sealed", "--json").stdout)
        assert listed[1] == {"column": "name", "key": "pii", "held": None}
        listed = json.loads(self.run(home, "dataset://data/conditions", "--json").stdout)
        assert listed[1] == {"column": "name", "key": "pii", "held": True}

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["sealed"], "a file needs its key"),
            (["dataset://data/less", "-K", "key.hex"], "a dataset's document says how it is encrypted"),
            (["a", "b"], "name one dataset or file"),
            (["dataset://data"], "a dataset's URL is dataset://PORT/NAME"),
            (["--encrypt", "pii=name", "plain.parquet"], "with --encrypt, name two"),
            (["--encrypt", "pii=name", "plain.parquet", "out"], "the file is written to a dataset"),
            (["--encrypt", "pii", "plain.parquet", "dataset://data/conditions"], "takes KEY=COLUMN,COLUMN"),
            (
                ["--encrypt", "pii=nmae", "plain.parquet", "dataset://data/conditions"],
                "has no column 'nmae'; it has id",
            ),
            (["--encrypt", "pii=name", "plain.parquet", "dataset://data/less"], "there is no column key 'pii'"),
            (["--encrypt", "pii=name", "key.hex", "dataset://data/conditions"], "is not a Parquet file"),
            (["--encrypt", "pii=name", "missing", "dataset://data/conditions"], "is missing"),
        ],
    )
    def test_words_that_do_not_go_together_are_refused(self, home, words, told):
        done = self.run(home, *words)
        assert done.returncode == 2
        assert told in done.stderr
        assert not (home / "sealed").exists()
