from __future__ import annotations

import subprocess
import sys

import pytest

from connectors.errors import InvalidLocation
from connectors_s3 import S3Backend, S3Credentials
from connectors_s3.location import LOCATION


@pytest.mark.parametrize(
    ("location", "bucket", "key"),
    [
        ("s3://clinic/conditions.csv", "clinic", "conditions.csv"),
        ("S3://clinic/conditions.csv", "clinic", "conditions.csv"),
        ("s3://clinic/a/b/c", "clinic", "a/b/c"),
        ("s3://clinic/with spaces/and ü 病", "clinic", "with spaces/and ü 病"),
        ("s3://clinic/100%25?versionId=7#part", "clinic", "100%25?versionId=7#part"),
        ("s3://clinic/user@host", "clinic", "user@host"),
        ("s3://clinic/..hidden/...", "clinic", "..hidden/..."),
        ("s3://my.dotted-bucket_1/key", "my.dotted-bucket_1", "key"),
    ],
)
def test_key_is_literal(location: str, bucket: str, key: str) -> None:
    assert LOCATION.parse(location) == (bucket, key, "")


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("s3://", "does not name a bucket"),
        ("s3:///key", "does not name a bucket"),
        ("s3://b/key", "its bucket has an invalid name"),
        ("s3://clinic?x/key", "its bucket has an invalid name"),
        ("s3://clinic:443/key", "its bucket has an invalid name"),
        ("s3://clinic", "does not name a key"),
        ("https://clinic/key", "does not start with s3://"),
        ("clinic/key", "does not start with s3://"),
        ("s3://id:hunter2@clinic/key", "user information"),
        ("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/name/key", "alias"),
        ("s3://clinic/../other/key", "segment . or .."),
        ("s3://clinic/a/./b", "segment . or .."),
        ("s3://clinic/a\nb", "control characters"),
        ("s3://clinic/a\x00b", "control characters"),
        ("s3://clinic/\ud800", "not Unicode"),
        ("s3://clinic/" + "ü" * 513, "1026 bytes; the limit is 1024"),
    ],
)
def test_invalid_location_is_refused(location: str, problem: str) -> None:
    with pytest.raises(InvalidLocation, match=problem) as caught:
        LOCATION.parse(location)
    assert "hunter2" not in str(caught.value)


def test_connect_refuses_an_invalid_location() -> None:
    with pytest.raises(InvalidLocation, match="does not name a key"):
        S3Backend().connect("s3://clinic", S3Credentials(anonymous=True, encryption=None))


def test_importing_the_plugin_loads_no_cloud_library() -> None:
    program = (
        "import sys, connectors_s3\n"
        "from connectors.storage.registry import backends, resolve\n"
        "resolve('s3://clinic/key', {'anonymous': True, 'encryption': None})\n"
        "loaded = {'botocore', 'http.client'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
