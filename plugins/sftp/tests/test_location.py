from __future__ import annotations

import subprocess
import sys

import pytest

from connectors.errors import InvalidLocation
from connectors_sftp.location import Endpoint, split_location


@pytest.mark.parametrize(
    ("location", "host", "port", "path"),
    [
        ("sftp://files.clinic.example/conditions.csv", "files.clinic.example", 22, "/conditions.csv"),
        ("SFTP://clinic:2222/a/b/c", "clinic", 2222, "/a/b/c"),
        ("ssh://10.0.0.7/a", "10.0.0.7", 22, "/a"),
        ("sftp://[fd00::7]:2222/a", "fd00::7", 2222, "/a"),
        ("sftp://[::1]/a", "::1", 22, "/a"),
        ("sftp://clinic/with spaces/and ü 病", "clinic", 22, "/with spaces/and ü 病"),
        ("sftp://clinic/100%25?versionId=7#part", "clinic", 22, "/100%25?versionId=7#part"),
        ("sftp://clinic/user@host:7", "clinic", 22, "/user@host:7"),
        ("sftp://clinic/..hidden/.../~", "clinic", 22, "/..hidden/.../~"),
        ("sftp://clinic/folder/", "clinic", 22, "/folder/"),
        ("sftp://clinic/", "clinic", 22, "/"),
    ],
)
def test_path_is_literal(location: str, host: str, port: int, path: str) -> None:
    assert split_location(location) == (Endpoint(host, port), path)


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("sftp://", "host or port is missing or invalid"),
        ("sftp:///key", "host or port is missing or invalid"),
        ("sftp://clinic", "does not name a path"),
        ("sftp://-oProxyCommand=x/key", "host or port is missing or invalid"),
        ("sftp://clinic?x/key", "host or port is missing or invalid"),
        ("sftp://clinic:0/key", "host or port is missing or invalid"),
        ("sftp://clinic:65536/key", "host or port is missing or invalid"),
        ("sftp://clinic:ssh/key", "host or port is missing or invalid"),
        ("sftp://fd00::7/key", "host or port is missing or invalid"),
        ("sftp://[fd00::7%eth0]/key", "host or port is missing or invalid"),
        ("sftp://[fd00::7/key", "host or port is missing or invalid"),
        ("sftp://[clinic]/key", "host or port is missing or invalid"),
        ("https://clinic/key", "does not start with sftp://"),
        ("clinic/key", "does not start with sftp://"),
        ("sftp://clinic:hunter2@files/key", "as username"),
        ("sftp://clinic/../key", "segment . or .."),
        ("sftp://clinic/a/./b", "segment . or .."),
        ("sftp://clinic//a", "empty segment"),
        ("sftp://clinic/a//", "empty segment"),
        ("sftp://clinic/a\nb", "control characters"),
        ("sftp://clinic/a\x00b", "control characters"),
        ("sftp://clinic/\ud800", "not Unicode"),
        ("sftp://clinic/" + "ü" * 128, "256 bytes; the limit is 255"),
    ],
)
def test_invalid_location_is_refused(location: str, problem: str) -> None:
    with pytest.raises(InvalidLocation, match=problem) as caught:
        split_location(location)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        (Endpoint("clinic"), "sftp://clinic/a"),
        (Endpoint("clinic", 2222), "sftp://clinic:2222/a"),
        (Endpoint("::1", 2222), "sftp://[::1]:2222/a"),
    ],
)
def test_paths_are_shown_as_locations(endpoint: Endpoint, shown: str) -> None:
    assert endpoint.shown("/a") == shown


def test_importing_the_plugin_loads_no_ssh_library() -> None:
    program = (
        "import sys, connectors_sftp\n"
        "from connectors.storage.registry import backends, resolve\n"
        "key = 'SHA256:' + 'A' * 43\n"
        "for scheme in ('sftp', 'ssh'):\n"
        "    document = {'username': 'u', 'ambient': True, 'host_key': key, 'encryption': None}\n"
        "    assert resolve(f'{scheme}://clinic/key', document)[0].name == 'sftp'\n"
        "sys.exit('loaded' if 'asyncssh' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
