"""Names of a folder's objects that look the same and are not."""

from __future__ import annotations

import json
import os
import unicodedata
import uuid

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from upath import UPath

from connectors.cli import main
from connectors.errors import ObjectNotFound

KEY = "4d" * 32
NFC, NFD = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))
WAYS = [(NFC, NFD), (NFD, NFC)]


@pytest.fixture(params=["file", "memory", "S3"])
def storage(request, tmp_path):
    """Location and credentials of an empty folder on each kind of storage."""
    name = uuid.uuid4().hex
    if request.param == "file":
        (tmp_path / "store").mkdir()
        yield f"file://{tmp_path}/store/", {}
    elif request.param == "memory":
        yield f"memory://{name}/", {}
        memory = MemoryFileSystem()
        if memory.exists(f"/{name}"):
            memory.rm(f"/{name}", recursive=True)
    else:
        server = request.getfixturevalue("s3")
        keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
        yield f"s3://clinic/{name}/", {"type": "s3", **keys, "endpoint_url": server.endpoint}


@pytest.fixture
def files():
    """A filesystem of dataset:// URLs."""
    return fsspec.filesystem("dataset", skip_instance_cache=True)


def command(*words, capfd):
    """Return the exit code of the command, what it printed and what it told."""
    code = main(list(words))
    printed = capfd.readouterr()
    return code, printed.out, printed.err


def tells(text: str, there: str, asked: str) -> bool:
    return ascii(there)[1:-1] in text and ascii(asked)[1:-1] in text and "another Unicode form" in text


@pytest.mark.parametrize(("there", "asked"), WAYS)
def test_a_missing_member_is_told_from_its_twin_at_every_door(wards, files, there, asked, tmp_path):
    fs, path = wards.filesystem()
    fs.pipe_file(f"{path}/{there}.csv", b"37.2")
    inner, url, copy = f"{path}/{asked}.csv", f"input/wards/{asked}.csv", str(tmp_path / "copy")
    doors = {
        "open": lambda: fs.open(inner),
        "info": lambda: fs.info(inner),
        "size": lambda: fs.size(inner),
        "cat": lambda: fs.cat(inner),
        "cat_file": lambda: fs.cat_file(inner),
        "cat_ranges": lambda: fs.cat_ranges([inner], 0, 1, on_error="raise"),
        "get": lambda: fs.get(inner, copy),
        "get, recursive": lambda: fs.get(inner, copy, recursive=True),
        "get_file": lambda: fs.get_file(inner, copy),
        "cp_file": lambda: fs.cp_file(inner, f"{path}/new.csv"),
        "mv": lambda: fs.mv(inner, f"{path}/new.csv"),
        "ls": lambda: fs.ls(inner),
        "dataset:// open": lambda: files.open(url),
        "dataset:// info": lambda: files.info(url),
        "dataset:// cat": lambda: files.cat(url),
        "dataset:// get": lambda: files.get(url, copy),
        "dataset:// ls": lambda: files.ls(url),
        "fsspec.open": lambda: fsspec.open(f"dataset://{url}").open(),
        "UPath": lambda: UPath(f"dataset://{url}").read_bytes(),
        "UPath stat": lambda: UPath(f"dataset://{url}").stat(),
    }
    for door, use in doors.items():
        with pytest.raises(ObjectNotFound) as caught:
            use()
        assert tells(str(caught.value), there, asked), f"{door}: {caught.value}"
        assert str(caught.value).count("looks the same") == 1, door
        assert "input/wards" in str(caught.value), door
    assert not os.path.exists(copy)
    for one, at in ((fs, inner), (files, url)):
        assert not one.exists(at)
        assert not one.isfile(at)
        assert not one.isdir(at)
    assert not UPath(f"dataset://{url}").exists()
    assert fs.cat_file(f"{path}/{there}.csv") == b"37.2"


@pytest.mark.parametrize(("there", "asked"), WAYS)
def test_a_missing_folder_is_told_from_its_twin(wards, files, there, asked):
    fs, path = wards.filesystem()
    fs.pipe_file(f"{path}/ward/{there}/one.csv", b"37.2")
    for use in (
        lambda: fs.cat_file(f"{path}/ward/{asked}/one.csv"),
        lambda: files.info(f"input/wards/ward/{asked}/one.csv"),
        lambda: fs.info(f"{path}/ward/{asked}"),
        lambda: files.ls(f"input/wards/ward/{asked}"),
        lambda: fs.get(f"{path}/ward/{asked}", "/tmp/never", recursive=True),
    ):
        with pytest.raises(ObjectNotFound) as caught:
            use()
        assert tells(str(caught.value), there, asked), str(caught.value)
    assert fs.find(f"{path}/ward/{asked}") == []


def test_a_missing_member_without_a_twin_is_just_missing(wards):
    fs, path = wards.filesystem()
    fs.pipe_file(f"{path}/{NFC}.csv", b"37.2")
    for name in ("Grosse.csv", "Größen.csv", f"{NFD}/one.csv", "ward/one.csv"):
        with pytest.raises(ObjectNotFound) as caught:
            fs.cat_file(f"{path}/{name}")
        assert "looks the same" not in str(caught.value)


@pytest.mark.parametrize(("there", "asked"), WAYS)
def test_the_command_tells_a_missing_member_from_its_twin(wards, there, asked, tmp_path, capfd):
    fs, path = wards.filesystem()
    fs.pipe_file(f"{path}/{there}/one.csv", b"37.2")
    url = f"dataset://input/wards/{asked}/one.csv"
    for words in (["cat", url], ["cp", url, f"{tmp_path}/copy"], ["ls", f"dataset://input/wards/{asked}"]):
        code, printed, told = command(*words, capfd=capfd)
        assert (code, printed) == (2, "")
        assert tells(told, there, asked), told
    assert not (tmp_path / "copy").exists()


def test_a_listing_shows_twins_apart(wards, capfd):
    fs, path = wards.filesystem()
    for number, name in enumerate((NFC, NFD, "Straße", unicodedata.normalize("NFD", "Süd"))):
        fs.pipe_file(f"{path}/{name}.csv", b"%d" % number)
    code, printed, _ = command("ls", "dataset://input/wards", capfd=capfd)
    assert code == 0
    names = {line.rpartition("/")[2] for line in printed.splitlines()}
    escaped = NFD.encode("ascii", "backslashreplace").decode()
    assert names == {f"{NFC}.csv", f"{escaped}.csv", "Straße.csv", unicodedata.normalize("NFD", "Süd") + ".csv"}
    assert fs.cat_file(f"{path}/{NFC}.csv") == b"0"
    assert fs.cat_file(f"{path}/{NFD}.csv") == b"1"
    code, printed, _ = command("ls", "--json", "dataset://input/wards", capfd=capfd)
    assert {one["url"].rpartition("/")[2] for one in json.loads(printed)} >= {f"{NFC}.csv", f"{NFD}.csv"}
