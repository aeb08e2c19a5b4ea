"""Servers that take a connection and say nothing, or next to nothing: given up, and in time."""

from __future__ import annotations

import network
import pytest

from connectors.errors import StorageUnavailable

PLAIN = bytes(range(250)) * 2
SILENCE = 0.25


@pytest.mark.parametrize("kind", network.ENDPOINTS)
@pytest.mark.timeout(120)
def test_server_that_neither_listens_nor_speaks_is_given_up(kind, monkeypatch, tally):
    network.impatient(monkeypatch, silence=SILENCE)
    with network.deaf_server() as url:
        dataset = network.dataset_at(kind, url)
        with tally("a server takes connections, reads nothing and says nothing", kind) as cases:
            cases.refused(dataset.read_bytes, StorageUnavailable)
            cases.refused(lambda: dataset.write_bytes(PLAIN), StorageUnavailable)
            cases.refused(lambda: dataset.write_bytes(bytes(7 << 20)), StorageUnavailable)


@pytest.mark.parametrize("kind", network.ENDPOINTS)
@pytest.mark.timeout(120)
def test_server_that_says_continue_and_nothing_else_is_given_up(kind, monkeypatch, tally):
    network.impatient(monkeypatch)
    with network.eager_server() as url:
        dataset = network.dataset_at(kind, url)
        with tally("100 Continue for ever, and never an answer", kind) as cases:
            cases.refused(dataset.read_bytes, StorageUnavailable)
            cases.refused(lambda: dataset.write_bytes(PLAIN), StorageUnavailable)


@pytest.mark.parametrize("name", network.STORAGES)
@pytest.mark.timeout(120)
def test_answer_that_stops_or_drips_is_given_up(name, request, monkeypatch, tally):
    network.impatient(monkeypatch, silence=SILENCE, longest_wait=4 * SILENCE)
    storage = network.storage_at(name, request)
    dataset = storage.write("dripping", PLAIN)
    places = {"its head": 20, "its body": -480}
    for every, what in {None: "stops", SILENCE / 5: "goes on byte by byte"}.items():
        with tally(f"an answer {what}, in its head and in its body", storage.name) as cases:
            for after in places.values():
                with storage.proxy.rule("faults.Drip", after=after, every=every):
                    cases.refused(dataset.read_bytes, StorageUnavailable)
        with tally(f"the first answer {what}, the others do not", storage.name) as cases:
            for after in places.values():
                with storage.proxy.rule("faults.Drip", after=after, every=every, times=1):
                    cases.read(dataset.read_bytes, PLAIN)
