from __future__ import annotations

import subprocess
import sys

import pytest

from connectors.errors import InvalidLocation
from connectors_gcs import GcsBackend, GcsCredentials
from connectors_gcs.location import LOCATION


@pytest.mark.parametrize(
    ("location", "bucket", "key"),
    [
        ("gs://clinic/conditions.csv", "clinic", "conditions.csv"),
        ("GS://clinic/conditions.csv", "clinic", "conditions.csv"),
        ("gs://clinic/a/b/c", "clinic", "a/b/c"),
        ("gs://clinic/with spaces/and ü 病", "clinic", "with spaces/and ü 病"),
        ("gs://clinic/100%25?versionId=7#part", "clinic", "100%25?versionId=7#part"),
        ("gs://clinic/user@host", "clinic", "user@host"),
        ("gs://clinic/..hidden/...", "clinic", "..hidden/..."),
        ("gs://my.dotted-bucket_1/key", "my.dotted-bucket_1", "key"),
        ("gcs://clinic/conditions.csv", "clinic", "conditions.csv"),
        ("gs://clinic/a/folder/", "clinic", "a/folder/"),
        ("gs://clinic/", "clinic", ""),
    ],
)
def test_key_is_literal(location: str, bucket: str, key: str) -> None:
    assert LOCATION.parse(location) == (bucket, key, "")


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("gs://", "does not name a bucket"),
        ("gs:///key", "does not name a bucket"),
        ("gs://b/key", "invalid name"),
        ("gs://clinic?x/key", "invalid name"),
        ("gs://clinic:443/key", "bucket has an invalid name"),
        ("gs://clinic", "does not name a key"),
        ("https://clinic/key", "does not start with gs://"),
        ("clinic/key", "does not start with gs://"),
        ("gs://id:hunter2@clinic/key", "user information"),
        ("gs://Clinic/key", "bucket has an invalid name"),
        ("gs://clinic-/key", "bucket has an invalid name"),
        ("gs://" + "b" * 223 + "/key", "bucket has an invalid name"),
        ("gs://clinic/../other/key", "segment . or .."),
        ("gs://clinic/a/./b", "segment . or .."),
        ("gs://clinic/a\nb", "control characters"),
        ("gs://clinic/a\x00b", "control characters"),
        ("gs://clinic/\ud800", "not Unicode"),
        ("gs://clinic/" + "ü" * 513, "1026 bytes; the limit is 1024"),
    ],
)
def test_invalid_location_is_refused(location: str, problem: str) -> None:
    with pytest.raises(InvalidLocation, match=problem) as caught:
        LOCATION.parse(location)
    assert "hunter2" not in str(caught.value)


def test_connect_refuses_an_invalid_location() -> None:
    with pytest.raises(InvalidLocation, match="does not name a key"):
        GcsBackend().connect("gs://clinic", GcsCredentials(anonymous=True, encryption=None))


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("gs://clinic/a/key", "clinic/a/key"),
        ("gcs://clinic/a/folder/", "clinic/a/folder"),
        ("gs://clinic/", "clinic"),
    ],
)
def test_folder_s_path_has_no_trailing_slash(location: str, path: str) -> None:
    fs, found = GcsBackend().connect(location, GcsCredentials(anonymous=True, encryption=None))
    assert found == path
    assert fs._strip_protocol(f"gs://{path}/") == path


@pytest.mark.parametrize("path", ["clinic/..", "clinic/.", "../clinic", "./key"])
def test_path_that_a_proxy_resolves_is_refused(path: str) -> None:
    credentials = GcsCredentials(anonymous=True, endpoint_url="http://127.0.0.1:9", encryption=None)
    fs = GcsBackend().connect("gs://clinic/", credentials)[0]
    for act in (fs.info, fs.rm_file, fs.cat_file, lambda one: fs.pipe_file(one, b"sealed")):
        with pytest.raises(InvalidLocation, match="can reach something else"):
            act(path)


def test_importing_the_plugin_loads_no_cloud_library() -> None:
    program = (
        "import sys, connectors_gcs\n"
        "from connectors.storage.registry import backends, resolve\n"
        "resolve('gs://clinic/key', {'anonymous': True, 'encryption': None})\n"
        "loaded = {'s3fs', 'botocore', 'aiobotocore', 'aiohttp'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
