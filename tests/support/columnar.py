"""A table whose columns have keys of their own, in a sealed Parquet file."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq

import connectors

KEY, PII, LAB = (os.urandom(32).hex() for _ in range(3))
SECRETS = [text for key in (PII, LAB) for text in (key, key.upper(), repr(bytes.fromhex(key))[2:-1])]
ROWS = 2_000
NAMES = [f"Ada Canary {number}" for number in range(ROWS)]
TABLE = pa.table(
    {
        "id": list(range(ROWS)),
        "name": NAMES,
        "birth_date": [f"1950-01-{number % 28 + 1:02}" for number in range(ROWS)],
        "dose": [number / 7 for number in range(ROWS)],
        "address": [{"street": f"Canary Row {number}", "zip": number} for number in range(ROWS)],
    }
)
COLUMNS = {"pii": ["name", "birth_date", "address.street", "address.zip"], "lab": ["dose"]}


def document(key=KEY, **columns):
    return {"encryption": {"key": key, **({"columns": columns} if columns else {})}}


def write(place, table=TABLE, columns=COLUMNS, **options):
    dataset = connectors.Dataset(place, document(pii=PII, lab=LAB))
    with dataset.open("wb") as file:
        pq.write_table(table, file, encryption_properties=dataset.parquet_encryption(columns), **options)
    return dataset


def read(dataset, columns=None):
    with dataset.open() as file:
        return pq.read_table(file, columns=columns, decryption_properties=dataset.parquet_decryption())
