"""The dataset:// protocol over the app config."""

from __future__ import annotations

import fsspec
import pandas as pd
import pytest
from app_configs import connect

import connectors
from connectors.errors import NotAnObject, ObjectNotFound


def test_protocol_reads_and_writes_for_pandas(root):
    table = pd.DataFrame({"DESCRIPTION": ["sinusitis", "bronchitis"], "CODE": [1, 2]})
    table.to_csv("dataset://input/conditions", index=False)
    pd.testing.assert_frame_equal(pd.read_csv("dataset://input/conditions"), table)
    assert b"sinusitis" not in (root.parent / "conditions.sealed").read_bytes()


def test_protocol_lists_ports_and_objects(root):
    connectors.load()["input"]["conditions"].write_bytes(b"x" * 100)
    fs = fsspec.filesystem("dataset")
    assert fs.ls("", detail=False) == ["input", "output"]
    assert fs.ls("dataset://input") == [{"name": "input/conditions", "type": "file", "size": None}]
    assert fs.size("dataset://input/conditions") == 100
    assert fs.glob("*/cond*") == ["input/conditions"]
    assert fs.exists("input/conditions")
    assert not fs.exists("input/nothing")
    assert fs.isdir("input")


def test_protocol_names_what_there_is(root):
    fs = fsspec.filesystem("dataset")
    known = "there are dataset://input/conditions, dataset://output/result"
    with pytest.raises(ObjectNotFound, match=f"there is no dataset://input/cond; {known}"):
        fs.open("input/cond")
    with pytest.raises(NotAnObject, match="dataset://input is a folder"):
        fs.open("input")


def test_protocol_takes_another_root_as_an_option(root, tmp_path):
    connect(tmp_path / "other", "input", "visits", f"file://{tmp_path}/visits")
    connectors.load(tmp_path / "other")["input"]["visits"].write_bytes(b"7")
    with fsspec.open("dataset://input/visits", app_config=str(tmp_path / "other")) as file:
        assert file.read() == b"7"


@pytest.mark.parametrize("mode", ["wb", "wt"])
def test_error_in_an_fsspec_block_leaves_the_old_object(root, mode):
    result = connectors.load()["output"]["result"]
    result.write_bytes(b"old")
    with pytest.raises(ValueError, match="oops") as error, fsspec.open("dataset://output/result", mode) as file:
        file.write(b"new" if "b" in mode else "new")
        raise ValueError("oops")
    assert "output/result was not written" in error.value.__notes__[0]
    assert result.read_bytes() == b"old"


class Unprintable:
    def __str__(self):
        raise RuntimeError("cannot be printed")


def test_error_inside_pandas_leaves_the_old_object(root):
    result = connectors.load()["output"]["result"]
    result.write_bytes(b"old")
    table = pd.DataFrame({"x": [1] * 200_000 + [Unprintable()]})
    with pytest.raises(RuntimeError, match="cannot be printed"):
        table.to_csv("dataset://output/result")
    assert result.read_bytes() == b"old"
