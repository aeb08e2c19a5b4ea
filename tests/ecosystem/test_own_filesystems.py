"""A user's own s3fs or adlfs under `EncryptedFileSystem`: sealed objects are written, read, listed and removed."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

import connectors
from connectors.errors import ObjectNotFound

KEY = "4d" * 32
DATA = os.urandom(11 << 20)


@pytest.fixture(params=["s3fs", "adlfs"])
def own(request):
    """The filesystem and a folder in it."""
    if request.param == "s3fs":
        from s3fs import S3FileSystem

        s3 = request.getfixturevalue("s3")
        fs = S3FileSystem(key=s3.access_key, secret=s3.secret_key, endpoint_url=s3.endpoint, skip_instance_cache=True)
        return fs, "clinic/own"
    from adlfs import AzureBlobFileSystem

    azure = request.getfixturevalue("azure")
    with BlobServiceClient(azure.endpoint, {"account_name": azure.account, "account_key": azure.key}) as client:
        with suppress(ResourceExistsError):
            client.create_container("own")
    connection = f"DefaultEndpointsProtocol=http;AccountName={azure.account};AccountKey={azure.key};"
    fs = AzureBlobFileSystem(connection_string=f"{connection}BlobEndpoint={azure.endpoint};", skip_instance_cache=True)
    return fs, "own/folder"


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")  # adlfs does
def test_objects_are_written_read_listed_and_removed(own):
    fs, folder = own
    sealed = connectors.EncryptedFileSystem(fs=fs, key=KEY, root=folder)
    members = {"north.csv": b"37.2", "ward/large.bin": DATA, "ward/empty": b""}
    for name, data in members.items():
        sealed.pipe_file(f"{folder}/{name}", data)
    assert {name: sealed.cat_file(f"{folder}/{name}") for name in members} == members
    assert sealed.find(folder) == sorted(f"{folder}/{name}" for name in members)
    assert sorted(one["name"] for one in sealed.ls(folder, detail=True)) == [f"{folder}/north.csv", f"{folder}/ward"]
    assert sealed.size(f"{folder}/ward/large.bin") == len(DATA)
    with sealed.open(f"{folder}/ward/large.bin") as file:
        file.seek(5 << 20)
        assert file.read(1000) == DATA[5 << 20 : (5 << 20) + 1000]
    for name, data in members.items():
        stored = fs.cat_file(f"{folder}/{name}")
        assert len(stored) > len(data)
        assert not data or data[:1000] not in stored
    sealed.rm(f"{folder}/north.csv")
    with pytest.raises(ObjectNotFound):
        sealed.cat_file(f"{folder}/north.csv")
    sealed.rm(folder, recursive=True)
    fs.invalidate_cache()
    assert not [name for name in members if fs.exists(f"{folder}/{name}")]
