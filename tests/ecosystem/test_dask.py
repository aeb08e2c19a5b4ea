"""Scaling out: worker processes that each have an app config of their own, and are sent no key."""

from __future__ import annotations

import json
import os
import pickle

import pandas as pd
import pytest

import connectors

KEY = "d5" * 32


@pytest.fixture
def wards(tmp_path, monkeypatch):
    """A folder of eight tables, connected in two app configs at different places."""
    for root in ("driver", "worker"):
        folder = tmp_path / root / "input" / "wards" / "dataset"
        folder.mkdir(parents=True)
        (folder / "location.txt").write_text(f"file://{tmp_path}/wards/")
        (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY}}))
    (tmp_path / "wards").mkdir()
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "driver"))
    frame = pd.DataFrame({"ward": [n % 8 for n in range(8000)], "value": range(8000)})
    for ward, part in frame.groupby("ward"):
        part.to_parquet(f"dataset://input/wards/{ward}.parquet", index=False)
    return frame


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_each_worker_opens_its_part_with_its_own_app_config(wards, tmp_path):
    import dask.dataframe as dd
    from dask.distributed import Client, LocalCluster

    environment = {"CONNECTORS_APP_CONFIG": str(tmp_path / "worker")}
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=":0",
            env=environment,
        ) as cluster,
        Client(cluster) as client,
    ):
        assert set(client.run(os.getenv, "CONNECTORS_APP_CONFIG").values()) == set(environment.values())
        frame = dd.read_parquet("dataset://input/wards/*.parquet")
        assert frame.npartitions == 8
        found = frame.groupby("ward")["value"].sum().compute()
        assert found.to_dict() == wards.groupby("ward")["value"].sum().to_dict()
        # What travels from process to process holds no key.
        assert KEY.encode() not in pickle.dumps(frame)
        processes = client.run(read_first, "input", "wards")
        assert len(processes) == 2
        assert {answer for _, answer in processes.values()} == {1000}
        assert os.getpid() not in {process for process, _ in processes.values()}


def read_first(port, name):
    fs, path = connectors.load()[port][name].filesystem()
    return os.getpid(), len(pd.read_parquet(f"{path}/0.parquet", filesystem=fs))
