"""fsspec's own abstract suite, over EncryptedFileSystem: on memory, on local files, and on S3; free, and bound to a folder."""

from __future__ import annotations

import itertools
import uuid

import pytest
from fsspec.implementations.local import LocalFileSystem, make_path_posix
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.tests import abstract

import connectors

# fsspec's suite of 2025 was written for an older pytest.
pytestmark = pytest.mark.filterwarnings("ignore:Class-scoped fixtures defined as instance methods are deprecated")

KEY = bytes(range(32))


class Suite(
    abstract.AbstractCopyTests,
    abstract.AbstractGetTests,
    abstract.AbstractPutTests,
    abstract.AbstractPipeTests,
    abstract.AbstractOpenTests,
    abstract.AbstractFixtures,
):
    """The suite's items; a subclass says over which storage."""

    bound = False

    def view(self, inner, path):
        return connectors.EncryptedFileSystem(fs=inner, key=KEY, root=path if self.bound else None)


class TestMemory(Suite):
    @pytest.fixture
    def fs_path(self):
        path = f"/suite-{uuid.uuid4().hex}"
        yield path
        if MemoryFileSystem().exists(path):
            MemoryFileSystem().rm(path, recursive=True)

    @pytest.fixture
    def fs(self, fs_path):
        return self.view(MemoryFileSystem(), fs_path)


class TestMemoryBound(TestMemory):
    bound = True


class TestLocal(Suite):
    @pytest.fixture
    def fs_path(self, tmp_path):
        return make_path_posix(str(tmp_path / "suite"))

    @pytest.fixture
    def fs(self, fs_path):
        return self.view(LocalFileSystem(auto_mkdir=True, skip_instance_cache=True), fs_path)

    def test_move_to_where_there_is_no_folder_is_an_error(self, tmp_path):
        """Stand for the suite's one item outside of its classes, which has a filesystem of its own."""
        fs = self.view(LocalFileSystem(skip_instance_cache=True), str(tmp_path))
        fs.pipe_file(f"{tmp_path}/source", b"content")
        with pytest.raises(FileNotFoundError):
            fs.mv(f"{tmp_path}/source", f"{tmp_path}/none/target")
        assert fs.cat_file(f"{tmp_path}/source") == b"content"


class TestLocalBound(TestLocal):
    bound = True


@pytest.fixture(scope="module")
def backend(s3):
    document = {
        "access_key_id": s3.access_key,
        "secret_access_key": s3.secret_key,
        "endpoint_url": s3.endpoint,
        "encryption": None,
    }
    return connectors.Dataset("s3://clinic/", document).filesystem()[0].fs


def sweep(client, root, paths):
    """Remove what no other S3 has: SeaweedFS keeps folders, and empty ones for a minute or so."""
    folders = {parent for path in paths for parent in itertools.accumulate(path.split("/"), "{}/{}".format)}
    for folder in sorted(folders, reverse=True):
        prefix = folder.removeprefix("clinic/") + "/"
        inside = client.list_objects_v2(Bucket="clinic", Prefix=prefix).get("Contents", [])
        if folder.startswith(f"{root}/") and all(one["Key"] == prefix for one in inside):
            client.delete_object(Bucket="clinic", Key=prefix)


class TestS3(Suite):
    @pytest.fixture
    def fs_path(self, backend):
        path = f"clinic/suite-{uuid.uuid4().hex}"
        yield path
        if backend.exists(path):
            backend.rm(path, recursive=True)

    @pytest.fixture
    def fs(self, backend, fs_path, s3, monkeypatch):
        fs = self.view(backend, fs_path)
        remove = fs.rm

        def rm(path, recursive=False, maxdepth=None):
            found = [path] if isinstance(path, str) else path
            below = [fs.find(one, withdirs=True) for one in found if recursive]
            remove(path, recursive=recursive, maxdepth=maxdepth)
            sweep(s3.client(), fs_path, {*found, *itertools.chain(*below)})

        monkeypatch.setattr(fs, "rm", rm)
        return fs

    @pytest.fixture
    def supports_empty_directories(self):
        return False


class TestS3Bound(TestS3):
    bound = True
