"""Servers that accept a connection and stall, or send a slow drip: the client times out."""

from __future__ import annotations

import network
import pytest
from patience import scaled

from connectors.errors import StorageUnavailable

PLAIN = bytes(range(250)) * 2
STALL_TIMEOUT = scaled(0.25)


@pytest.mark.parametrize("kind", network.ENDPOINTS)
def test_silent_server_times_out(kind, monkeypatch, tally):
    network.impatient(monkeypatch, silence=STALL_TIMEOUT)
    with network.silent_server() as url:
        dataset = network.dataset_at(kind, url)
        with tally("a server accepts connections, reads nothing and sends nothing", kind) as cases:
            cases.refused(dataset.read_bytes, StorageUnavailable)
            cases.refused(lambda: dataset.write_bytes(PLAIN), StorageUnavailable)
            cases.refused(lambda: dataset.write_bytes(bytes(7 << 20)), StorageUnavailable)


@pytest.mark.parametrize("kind", network.ENDPOINTS)
def test_endless_100_continue_is_an_error(kind, monkeypatch, tally):
    network.impatient(monkeypatch)
    with network.endless_continue_server() as url:
        dataset = network.dataset_at(kind, url)
        with tally("endless 100 Continue, and no response", kind) as cases:
            cases.refused(dataset.read_bytes, StorageUnavailable)
            cases.refused(lambda: dataset.write_bytes(PLAIN), StorageUnavailable)


@pytest.mark.parametrize("name", network.STORAGES)
def test_stalled_or_slow_response_is_an_error(name, request, monkeypatch, tally):
    network.impatient(monkeypatch, silence=STALL_TIMEOUT, longest_wait=4 * STALL_TIMEOUT)
    storage = network.storage_at(name, request)
    dataset = storage.write("dripping", PLAIN)
    places = {"headers": 20, "body": -480}
    for every, what in {None: "stalls", STALL_TIMEOUT / 5: "arrives byte by byte"}.items():
        with tally(f"a response {what}, in its headers and in its body", storage.name) as cases:
            for after in places.values():
                with storage.proxy.rule("faults.Drip", after=after, every=every):
                    cases.refused(dataset.read_bytes, StorageUnavailable)
        with tally(f"the first response {what}, the others do not", storage.name) as cases:
            for after in places.values():
                with storage.proxy.rule("faults.Drip", after=after, every=every, times=1):
                    cases.read(dataset.read_bytes, PLAIN)
