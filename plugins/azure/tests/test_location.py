from __future__ import annotations

import subprocess
import sys

import pytest

from connectors.errors import InvalidCredentials, InvalidLocation
from connectors.storage.registry import resolve
from connectors_azure import AzureBackend, AzureCredentials
from connectors_azure.account import account_of
from connectors_azure.location import LOCATION

PUBLIC = AzureCredentials(anonymous=True, account_name="clinic", encryption=None)


@pytest.mark.parametrize(
    ("location", "container", "name"),
    [
        ("az://ward/conditions.csv", "ward", "conditions.csv"),
        ("AZ://ward/conditions.csv", "ward", "conditions.csv"),
        ("abfs://ward/a/b/c", "ward", "a/b/c"),
        ("azure://ward/a", "ward", "a"),
        ("abfss://ward/a", "ward", "a"),
        ("abfss://ward@clinic.dfs.core.windows.net/a/b", "ward", "a/b"),
        ("abfss://ward@clinic.blob.core.windows.net/a/b", "ward", "a/b"),
        ("az://ward/with spaces/and ü 病", "ward", "with spaces/and ü 病"),
        ("az://ward/100%25?versionid=7#part", "ward", "100%25?versionid=7#part"),
        ("az://ward/user@host", "ward", "user@host"),
        ("az://ward/..hidden/a...b", "ward", "..hidden/a...b"),
        ("az://$root/a", "$root", "a"),
        ("az://a-b-3/a//b", "a-b-3", "a//b"),
        ("az://ward/folder/", "ward", "folder/"),
        ("az://ward/", "ward", ""),
        ("az://ward/" + "𝄞" * 512, "ward", "𝄞" * 512),
    ],
)
def test_name_is_literal(location: str, container: str, name: str) -> None:
    place = LOCATION.parse(location)
    assert (place.bucket, place.key) == (container, name)
    assert place.is_folder == (not name or name.endswith("/"))


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("az://", "does not name a container"),
        ("az:///name", "does not name a container"),
        ("az://Ward/name", "container has an invalid name"),
        ("az://ab/name", "container has an invalid name"),
        ("az://a--b/name", "container has an invalid name"),
        ("az://-ab/name", "container has an invalid name"),
        ("az://ward?x/name", "container has an invalid name"),
        ("az://ward:443/name", "container has an invalid name"),
        ("az://" + "a" * 64 + "/name", "container has an invalid name"),
        ("az://ward", "does not name a blob"),
        ("https://ward/name", "does not start with az://, abfs://, abfss:// or azure://"),
        ("ward/name", "does not start with az://"),
        ("az://id:hunter2@clinic.dfs.core.windows.net/name", "container has an invalid name"),
        ("az://ward@hunter2/name", "is not the host of an account"),
        ("abfss://ward@clinic.dfs.core.windows.net.attacker.example/name", "is not the host of an account"),
        ("abfss://ward@attacker.example/clinic.dfs.core.windows.net", "is not the host of an account"),
        ("abfss://ward@clinic.queue.core.windows.net/name", "is not the host of an account"),
        ("az://ward/../other/name", "contains a segment . or .."),
        ("az://ward/a/./b", "contains a segment . or .."),
        ("az://ward/a./b", "ends in a dot"),
        ("az://ward/a.", "ends in a dot"),
        ("az://ward/a\\b", "backslash"),
        ("az://ward/a\nb", "control characters"),
        ("az://ward/a\x00b", "control characters"),
        ("az://ward/\ud800", "not Unicode"),
        ("az://ward/" + "𝄞" * 513, "1026 characters; the limit is 1024"),
    ],
)
def test_invalid_location_is_refused(location: str, problem: str) -> None:
    with pytest.raises(InvalidLocation, match=problem) as caught:
        LOCATION.parse(location)
    assert "id:hunter2" not in str(caught.value)


@pytest.mark.parametrize("path", ["ward/../other/name", "ward/a/../../other/b", "Ward/name", "ward/a\\b", "..", "*"])
def test_path_that_resolves_to_another_is_refused(path: str) -> None:
    with pytest.raises(InvalidLocation):
        LOCATION.split(path)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("az://ward/a/b", "ward/a/b"),
        ("az://ward/a/", "ward/a"),
        ("az://ward/", "ward"),
        ("abfss://ward@clinic.dfs.core.windows.net/a/", "ward/a"),
    ],
)
def test_connect_returns_the_path_without_trailing_slash(location: str, path: str) -> None:
    fs, connected = AzureBackend().connect(location, PUBLIC)
    assert connected == path
    assert repr(fs) == "<AzureFileSystem at https://clinic.blob.core.windows.net>"


def test_location_and_credentials_must_name_the_same_account() -> None:
    with pytest.raises(InvalidLocation, match="in the account other, but the credentials are for clinic"):
        AzureBackend().connect("abfss://ward@other.dfs.core.windows.net/a", PUBLIC)
    nameless = AzureCredentials(anonymous=True, encryption=None)
    fs, _ = AzureBackend().connect("abfss://ward@other.dfs.core.windows.net/a", nameless)
    assert fs.fsid == "https://other.blob.core.windows.net"
    with pytest.raises(InvalidCredentials, match="credentials.account_name: missing"):
        AzureBackend().connect("az://ward/a", nameless)


@pytest.mark.parametrize(
    ("suffix", "authority"),
    [
        ("core.windows.net", "https://login.microsoftonline.com"),
        ("core.usgovcloudapi.net", "https://login.microsoftonline.us"),
        ("core.chinacloudapi.cn", "https://login.partner.microsoftonline.cn"),
    ],
)
def test_location_in_another_cloud_uses_that_cloud(suffix: str, authority: str) -> None:
    principal = AzureCredentials(tenant_id="t", client_id="c", client_secret="s", encryption=None)
    account = account_of(principal, LOCATION.parse(f"abfss://ward@clinic.dfs.{suffix}/a"))
    assert (account.endpoint, account.authority) == (f"https://clinic.blob.{suffix}", authority)


def test_all_schemes_and_the_type_resolve_to_this_backend() -> None:
    document = {"anonymous": True, "account_name": "clinic", "encryption": None}
    for scheme in ("az", "abfs", "abfss", "azure"):
        backend, credentials = resolve(f"{scheme}://ward/a", document)
        assert backend.name == "azure"
        assert isinstance(credentials, AzureCredentials)
    assert resolve("az://ward/a", {**document, "type": "azure"})[0].name == "azure"


def test_importing_the_plugin_loads_no_cloud_library() -> None:
    program = (
        "import sys, connectors_azure\n"
        "from connectors.storage.registry import backends, resolve\n"
        "resolve('az://ward/a', {'anonymous': True, 'account_name': 'clinic', 'encryption': None})\n"
        "loaded = [name for name in sys.modules if name.split('.')[0] in ('azure', 'requests', 'msal', 'adlfs')]\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
