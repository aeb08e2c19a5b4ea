"""Storages that are overloaded or unreachable: requests are retried, for a bounded time whatever Retry-After says."""

from __future__ import annotations

import socket
from email.utils import format_datetime, formatdate

import network
import pytest

from connectors.errors import AccessDenied, StorageUnavailable

PLAIN = b"37.2\n38.9\n" * 20
YEAR = 365 * 24 * 3600
RETRY_AFTER = {
    "none": {},
    "seconds": {"Retry-After": "1"},
    "a date": {"Retry-After": formatdate(2_000_000_000, usegmt=True)},
    "a date in the past": {"Retry-After": formatdate(1_000_000_000, usegmt=True)},
    "a year": {"Retry-After": str(YEAR), "x-ms-retry-after-ms": str(YEAR * 1000), "retry-after-ms": str(YEAR * 1000)},
    "a billion years": {"Retry-After": "9" * 18},
    "negative": {"Retry-After": "-86400"},
    "invalid": {"Retry-After": "soon; \x7f"},
}


@pytest.fixture
def storage(request, monkeypatch):
    network.impatient(monkeypatch)
    return network.storage_at(request.param, request)


on_every_storage = pytest.mark.parametrize("storage", network.STORAGES, indirect=True)


@on_every_storage
@pytest.mark.parametrize("status", [429, 500, 503])
def test_overload_is_retried_and_reported_if_it_lasts(storage, status, tally):
    dataset = storage.write("overload", PLAIN)
    kinds = [{}] if status == 500 else RETRY_AFTER.values()
    what = f"repeated {status} responses" + (f", with {len(kinds)} kinds of Retry-After" if len(kinds) > 1 else "")
    with tally(f"{what}; then success", storage.name) as cases:
        for headers in kinds:
            for times in (1, 3):
                with storage.proxy.rule("faults.Overload", status=status, headers=headers, times=times):
                    assert cases.read(dataset.read_bytes, PLAIN) == "the right bytes"
    with tally(f"{what}; without end", storage.name) as cases:
        for headers in kinds:
            with storage.proxy.rule("faults.Overload", status=status, headers=headers):
                cases.refused(dataset.read_bytes, StorageUnavailable)
                assert len(storage.proxy.log()) <= 6


@on_every_storage
@pytest.mark.parametrize("status", [429, 503])
def test_writes_are_retried_during_overload(storage, status, tally):
    read, write = storage.write("overload-written", PLAIN), storage.dataset("overload-written", write=True)
    with tally(f"{status} in response to the first writes", storage.name) as cases:
        for times in (1, 2, 3):
            with storage.proxy.rule("faults.Overload", status=status, methods=["PUT"], times=times):
                write.write_bytes(PLAIN * times)
            assert cases.read(read.read_bytes, PLAIN * times) == "the right bytes"
    with tally(f"{status} in response to all writes", storage.name) as cases:
        with storage.proxy.rule("faults.Overload", status=status, methods=["PUT"]):
            cases.refused(lambda: write.write_bytes(b""), StorageUnavailable)
        assert read.read_bytes() == PLAIN * 3


@pytest.mark.parametrize("storage", ["S3", "S3 over presigned URLs"], indirect=True)
@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "RequestInTheFuture"])
def test_wrong_clock_is_reported(storage, code, tally):
    dataset = storage.write("skewed", PLAIN)
    with tally(f"the storage reports a wrong clock, {code}", storage.name) as cases:
        body = f"<Error><Code>{code}</Code><ServerTime>{format_datetime(network.now())}</ServerTime></Error>"
        with storage.proxy.rule("faults.Overload", status=403, body=body):
            error = cases.refused(dataset.read_bytes, AccessDenied)
        assert code in str(error)
        assert "clock" in str(error)


@pytest.mark.parametrize("kind", network.ENDPOINTS)
def test_unreachable_server_is_an_error(kind, monkeypatch, tally):
    network.impatient(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for what, url in {
        "the connection is refused": f"http://127.0.0.1:{port}",
        "the host name does not resolve": "http://storage.invalid",
    }.items():
        dataset = network.dataset_at(kind, url)
        with tally(what, kind) as cases:
            for attempt in (dataset.read_bytes, lambda dataset=dataset: dataset.write_bytes(PLAIN)):
                cases.refused(attempt, StorageUnavailable)
