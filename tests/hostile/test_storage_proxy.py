"""One byte of what the storage sends is not what was sealed."""

from __future__ import annotations

import pytest

import connectors
from connectors.errors import IntegrityError

KEY = "5a" * 32
PLAIN = bytes(range(256)) * 200


@pytest.mark.parametrize("format", ["cobblestone-256", "tink-gcm-hkdf", "gcm"])
def test_flipped_bit_on_the_way(format, s3, s3_proxy, tally):
    account = {"access_key_id": s3.access_key, "secret_access_key": s3.secret_key, "region": s3.region}
    document = {**account, "endpoint_url": s3_proxy.endpoint, "encryption": {"key": KEY, "format": format}}
    dataset = connectors.Dataset(f"s3://clinic/flipped/{format}", document)
    dataset.write_bytes(PLAIN)
    with tally("one bit of each answer is flipped on the way", f"{format}, S3") as cases:
        for offset in (0, 12, 30, 60, 20_000, -17, -1):
            with s3_proxy.rule("lies.Flip", offset=offset, mask=1 << (offset % 8)):
                cases.refused(dataset.read_bytes, IntegrityError)
    assert dataset.read_bytes() == PLAIN
