"""A connection that breaks repeatedly delays a download; hardly any bytes are sent twice."""

from __future__ import annotations

import network
import pytest

MIB = 1 << 20


@pytest.mark.parametrize("name", network.STORAGES)
def test_interrupted_download_resumes(name, request, tmp_path, tally, monkeypatch):
    network.impatient(monkeypatch)
    storage = network.storage_at(name, request)
    download(storage, 24 * MIB, 2 * MIB, tmp_path, tally)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", network.STORAGES)
def test_interrupted_download_of_a_gibibyte_resumes(name, request, tmp_path):
    storage = network.storage_at(name, request)
    download(storage, 1024 * MIB, 8 * MIB, tmp_path)


def download(storage, size, bytes_of_connection, folder, tally=None):
    sealed = f"resumed/{size}"
    expected = network.plain_file(folder / "plain", size)
    storage.dataset(sealed, write=True).upload(folder / "plain")
    (folder / "plain").unlink()
    dataset = storage.dataset(sealed)
    for kind, after in {"connection": bytes_of_connection, "response": MIB}.items():
        rule = {"connection": "faults.CutConnections", "response": "faults.CutEvery"}[kind]
        with storage.proxy.rule(rule, after=after):
            dataset.download(folder / "got")
            log = [one for one in storage.proxy.log() if one["method"] == "GET"]
        assert network.digest(folder / "got") == expected
        passed = sum(one.get("passed", 0) for one in log)
        assert size < passed < 1.1 * size
        assert sum(one.get("cut", False) for one in log) >= size // after // 2  # several connections share the download
        if tally is not None:
            with tally(
                f"every {kind} is cut after {after // MIB} MiB of a download of {size // MIB} MiB", storage.name
            ) as cases:
                cases.count("the right bytes, less than 10% of them sent twice")
