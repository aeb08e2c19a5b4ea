"""Datasets, filesystems and open files travel to other processes, without secrets."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys

import fsspec
import pytest
from app_configs import KEY

import connectors
from connectors.errors import ObjectChanged


def test_datasets_pickle_by_name(root):
    dataset = connectors.load()["input"]["conditions"]
    dataset.write_bytes(b"37.2")
    fs, path = dataset.filesystem()
    for thing in (dataset, fs):
        assert KEY.encode() not in pickle.dumps(thing)
        assert bytes.fromhex(KEY) not in pickle.dumps(thing)
    assert pickle.loads(pickle.dumps(dataset)).read_bytes() == b"37.2"
    assert pickle.loads(pickle.dumps(fs)).cat_file(path) == b"37.2"


def read(dataset):
    return dataset.read_bytes()


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_datasets_travel_to_other_processes(root, method):
    dataset = connectors.load()["input"]["conditions"]
    dataset.write_bytes(b"37.2")
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(read, (dataset,)) == b"37.2"


def test_pickled_protocol_has_no_secrets_and_reads_the_local_app_config(root):
    connectors.load()["input"]["conditions"].write_bytes(b"37.2")
    fs = fsspec.filesystem("dataset")
    fs.cat_file("input/conditions")
    data = pickle.dumps(fs)
    assert KEY.encode() not in data
    assert KEY not in fs.to_json()
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).cat_file('input/conditions'))"
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout == b"b'37.2'\n"


def test_open_files_travel_with_their_position_and_without_a_secret(root):
    dataset = connectors.load()["input"]["conditions"]
    dataset.write_bytes(b"temperature 37.2")
    for file in (dataset.open(), fsspec.filesystem("dataset").open("input/conditions")):
        with file:
            file.seek(12)
            data = pickle.dumps(file)
        assert KEY.encode() not in data
        assert bytes.fromhex(KEY) not in data
        with pickle.loads(data) as other:
            assert other.read() == b"37.2"


def test_an_open_file_that_was_replaced_meanwhile_does_not_arrive(root):
    dataset = connectors.load()["input"]["conditions"]
    dataset.write_bytes(b"temperature 37.2")
    with dataset.open() as file:
        data = pickle.dumps(file)
    dataset.write_bytes(b"temperature 38.9")
    with pytest.raises(ObjectChanged, match="was replaced after it was opened in the other process"):
        pickle.loads(data)


def test_an_open_file_that_would_need_its_key_does_not_pickle(tmp_path):
    dataset = connectors.Dataset(f"file://{tmp_path}/x", {"encryption": {"key": KEY}})
    dataset.write_bytes(b"37.2")
    with dataset.open() as file, pytest.raises(TypeError, match="holds a key and does not pickle"):
        pickle.dumps(file)
