"""When credentials expire: what a shared access signature says, and what a document without an expiry does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.credentials import Credentials
from connectors.credentials.expiry import sas_expiry

EXPIRIES = [
    ("se=2026-01-02T03%3A04%3A05Z&sig=0", "2026-01-02T03:04:05"),
    ("?se=2026-01-02T03:04Z&sig=0", "2026-01-02T03:04:00"),
    ("SE=2026-01-02&sig=0", "2026-01-02T00:00:00"),
    ("se=2026-01-02T05:04:05%2B02:00&sig=0", "2026-01-02T03:04:05"),
    ("se=2026-01-02T05:04:05+02:00&sig=0", "2026-01-02T03:04:05"),
    ("se=2026-01-03&ske=2026-01-02T03:00:00Z&sig=0", "2026-01-02T03:00:00"),
    ("se=2026-01-02&ske=2026-01-03&sig=0", "2026-01-02T00:00:00"),
    ("si=policy&sig=0", None),
    ("se=soon&sig=0", None),
    ("se=&sig=0", None),
    ("se=0001-01-01T00:00:00%2B23:00&sig=0", None),
    ("", None),
]


@pytest.mark.parametrize(("query", "ends"), EXPIRIES)
def test_a_sas_tells_when_it_expires(query, ends):
    assert sas_expiry(query) == (None if ends is None else datetime.fromisoformat(ends).replace(tzinfo=UTC))


def test_credentials_without_an_expiry_say_none():
    assert Credentials(encryption=None).expires_at is None
