from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from patience import PATIENCE

from connectors.credentials.model import validate
from connectors.errors import AccessDenied, StorageError, StorageUnavailable
from connectors.testing.tools import Heard, in_child
from connectors_sftp import SFTPCredentials
from connectors_sftp.filesystem import SFTP
from connectors_sftp.location import Endpoint
from connectors_sftp.sessions import ATTEMPTS

Server = Any  # tests/conftest.py's SSHServer, which no test can import


def put(server: Server, data: bytes = b"37.2") -> str:
    path = server.root / "object"
    path.write_bytes(data)
    return str(path)


def test_password_is_accepted(own: Server) -> None:
    assert own.filesystem(private_key=None, password=own.password).cat_file(put(own)) == b"37.2"


def test_key_with_a_passphrase_is_accepted(own: Server) -> None:
    key = own.user_key.export_private_key(passphrase="opens it").decode()
    assert own.filesystem(private_key=key, passphrase="opens it").cat_file(put(own)) == b"37.2"


@pytest.mark.parametrize(
    "changes",
    [
        {"private_key": None, "password": "wrong-wrong-wrong"},
        {"private_key": asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()},
        {"username": "nobody"},
    ],
)
def test_refused_user_is_access_denied_without_a_retry(own: Server, changes: dict[str, Any]) -> None:
    with pytest.raises(AccessDenied, match="does not accept this user") as caught:
        own.filesystem(**changes).cat_file(put(own))
    assert caught.value.__context__ is None
    assert own.made == 1


@pytest.mark.parametrize("form", ["key", "fingerprint"])
def test_server_with_an_unexpected_host_key_is_sent_no_credentials(own: Server, form: str) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    host_key = other.export_public_key().decode() if form == "key" else other.get_fingerprint()
    fs = own.filesystem(host_key=host_key, private_key=None, password=own.password)
    with pytest.raises(StorageError, match="The connection may be intercepted") as caught:
        fs.cat_file(put(own))
    assert own.asked == []
    assert own.host_keys[0].get_fingerprint() in str(caught.value)
    assert not isinstance(caught.value, StorageUnavailable)  # a retry would not help
    assert caught.value.__context__ is None


def test_one_of_several_host_keys_is_enough(own: Server) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    assert own.filesystem(host_key=[other, own.host_key]).cat_file(put(own)) == b"37.2"


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
@pytest.mark.parametrize("form", ["key", "fingerprint"])
def test_any_host_key_of_a_server_with_several_is_accepted(serve: Any, tmp_path: Path, kind: str, form: str) -> None:
    kinds = ["ecdsa-sha2-nistp256", "ssh-ed25519", "ssh-rsa"]
    keys = [asyncssh.generate_private_key(one) for one in kinds]
    known = keys[kinds.index(kind)]
    host_key = known.export_public_key().decode() if form == "key" else known.get_fingerprint()
    with serve(tmp_path, host_keys=keys) as server:
        fs = server.filesystem(host_key=host_key)
        assert fs.cat_file(put(server)) == b"37.2"


def test_server_without_a_host_key_of_the_known_type_is_refused(own: Server) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    with pytest.raises(StorageError, match="no algorithm in common"):
        own.filesystem(host_key=other).cat_file(put(own))
    assert own.asked == []


@pytest.fixture
def home(own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose ~/.ssh has the user's key, trusts every host, and redirects connections to another host."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    own.user_key.write_private_key(home / ".ssh" / "id_ed25519")
    (home / ".ssh" / "config").write_text("Host *\n  Port 1\n  User somebody\n  ProxyCommand false\n")
    (home / ".ssh" / "known_hosts").write_text(f"* {own.host_key}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.mark.usefixtures("home")
def test_keys_of_the_machine_are_used_if_ambient(own: Server) -> None:
    assert own.filesystem(private_key=None, ambient=True).cat_file(put(own)) == b"37.2"


@pytest.mark.usefixtures("home")
def test_keys_of_the_machine_are_not_read_unless_ambient(own: Server) -> None:
    path = put(own)
    for changes in (
        {"private_key": None, "password": "wrong-wrong-wrong"},
        {"private_key": asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()},
    ):
        with pytest.raises(AccessDenied):
            own.filesystem(**changes).cat_file(path)


@pytest.mark.usefixtures("home")
def test_known_hosts_of_the_machine_is_never_read(own: Server) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(StorageError, match="The connection may be intercepted"):
        own.filesystem(private_key=None, ambient=True, host_key=other).cat_file(put(own))
    assert own.asked == []


if shutil.which("ssh-agent"):

    def test_agent_is_used_only_if_ambient(own: Server, home: Path, tmp_path: Path) -> None:
        socket = tmp_path / "agent"
        agent = subprocess.Popen(
            ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while not socket.exists():
                assert agent.poll() is None
            key = home / ".ssh" / "id_ed25519"
            key.chmod(0o600)
            environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
            subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True, capture_output=True)
            key.unlink()
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SSH_AUTH_SOCK", str(socket))
                assert own.filesystem(private_key=None, ambient=True).cat_file(put(own)) == b"37.2"
                with pytest.raises(AccessDenied):
                    own.filesystem(private_key=None, password="wrong-wrong-wrong").cat_file(put(own))
        finally:
            agent.terminate()
            agent.wait()


def test_password_is_not_logged_at_the_highest_debug_level(own: Server) -> None:
    asyncssh.set_debug_level(3)
    try:
        with Heard() as heard:
            own.filesystem(private_key=None, password=own.password).cat_file(put(own))
    finally:
        asyncssh.set_debug_level(1)
    ours = [line for line in heard.lines if own.password in line or own.password.encode().hex() in line]
    assert ours == []
    assert logging.getLogger("asyncssh").filters


def test_unreachable_server_is_storage_unavailable(own: Server) -> None:
    path = put(own)
    own.stop_listening()
    with pytest.raises(StorageUnavailable, match="cannot be reached") as caught:
        own.filesystem().cat_file(path)
    assert caught.value.__context__ is None


def test_silent_server_is_disconnected(own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors_sftp.connecting.CONNECT_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fs = SFTP(Endpoint("127.0.0.1", silent.getsockname()[1]), validate(SFTPCredentials, own.document()))
        with pytest.raises(StorageUnavailable, match="TimeoutError"):
            fs.info("/a")
        for _ in range(ATTEMPTS):
            connection, _ = silent.accept()
            with connection:
                while connection.recv(1 << 16):  # until the client disconnects
                    pass


def test_calls_share_a_connection_that_is_replaced_when_it_breaks(own: Server) -> None:
    fs, path = own.filesystem(), put(own)
    for _ in range(3):
        assert fs.cat_file(path) == b"37.2"
    assert own.made == 1
    own.cut()
    assert fs.cat_file(path) == b"37.2"
    assert own.made == 2


def test_connection_of_a_dropped_filesystem_is_closed(own: Server) -> None:
    fs = own.filesystem()
    assert fs.cat_file(put(own)) == b"37.2"
    (connection,) = own.connections
    del fs
    own._do(connection.wait_closed())


def read(fs: SFTP, path: str) -> bytes:
    return fs.cat_file(path)


def test_forked_child_opens_its_own_connection(own: Server) -> None:
    fs, path = own.filesystem(), put(own)
    with fs.open(path) as file:
        assert in_child("fork", read, fs, path) == b"37.2"
        assert own.made == 2
        assert file.read() == fs.cat_file(path) == b"37.2"
    assert own.made == 2


PROGRAM = """
import sys
from connectors.credentials.model import validate
from connectors_sftp import SFTPCredentials
from connectors_sftp.filesystem import SFTP
from connectors_sftp.location import Endpoint
import json, os
port, path, document = sys.argv[1:]
fs = SFTP(Endpoint("127.0.0.1", int(port)), validate(SFTPCredentials, json.loads(document)))
sink = fs.open_sink(path)
sink.write(memoryview(bytes(5_000_000)))
if child := os.fork():
    os.waitpid(child, 0)
print(fs.exists(path))
"""


def test_processes_exit_without_open_connections_or_output(own: Server) -> None:
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-X", "dev", "-c", PROGRAM]
    arguments = [str(own.port), str(own.root / "unfinished"), json.dumps(own.document())]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\nFalse\n", "")
    assert list(own.root.iterdir()) == []
