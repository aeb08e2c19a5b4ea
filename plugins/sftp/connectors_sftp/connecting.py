"""Opens SSH connections that use only the given credentials, not the machine's SSH configuration."""

from __future__ import annotations

import asyncio
import getpass
import logging
from typing import TYPE_CHECKING, Any

import asyncssh

from connectors.errors import InvalidCredentials, StorageError
from connectors_sftp.credentials import fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors_sftp.credentials import SFTPCredentials
    from connectors_sftp.location import Endpoint

__all__ = ["identity", "open_connection"]

CONNECT_TIMEOUT = 30
"""Seconds for connecting, authentication included."""
KEEPALIVE_INTERVAL = 20
"""Seconds without data from the server until a keepalive request is sent; after KEEPALIVE_COUNT requests without a
response, the connection counts as broken."""
KEEPALIVE_COUNT = 3


def identity(credentials: SFTPCredentials) -> asyncssh.SSHKey | None:
    """Return the private key in the credentials, or None if there is none.

    Raises:
        InvalidCredentials: the key cannot be read, or its passphrase is wrong or missing.
    """
    if credentials.private_key is None:
        return None
    passphrase = credentials.passphrase.reveal() if credentials.passphrase else None
    try:
        return asyncssh.import_private_key(f"{credentials.private_key.reveal().strip()}\n", passphrase)
    except asyncssh.KeyEncryptionError:
        problem = "credentials.passphrase: it does not decrypt the private key"
    except (asyncssh.KeyImportError, ValueError) as error:
        # Only asyncssh's text identifies this case.
        if passphrase is None and "assphrase" in str(error):
            problem = "credentials.passphrase: missing, but the private key is encrypted"
        else:
            problem = "credentials.private_key: it cannot be read; copy all of the file that ssh-keygen wrote"
            problem += "" if passphrase is None else ", and check the passphrase"
    raise InvalidCredentials(problem)


class _Client(asyncssh.SSHClient):
    """Verifies the server's host key."""

    def __init__(self, expected: frozenset[str]) -> None:
        self._expected = expected
        self.shown: str | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        """Return whether the host key is an expected one; called before any credentials are sent."""
        self.shown = fingerprint(key.public_data)
        return self.shown in self._expected


async def open_connection(
    endpoint: Endpoint, credentials: SFTPCredentials, key: asyncssh.SSHKey | None
) -> asyncssh.SSHClientConnection:
    """Return a connection to a server that has an expected host key and has accepted the user.

    Raises:
        StorageError: the server has an unexpected host key, and was sent no credentials; or asyncssh cannot be used
            here.
        asyncssh.Error, OSError: the connection failed.
    """
    _withhold_passwords()
    _check_user()
    shown: list[str] = []
    refusal: asyncssh.KeyExchangeFailed | None = None
    for algorithms in credentials.host_key_algorithms:
        client = _Client(credentials.fingerprints)
        options = _options(client, credentials, key, algorithms)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await asyncssh.connect(endpoint.host, endpoint.port, **options)
        except asyncssh.HostKeyNotVerifiable:
            shown.append(client.shown or "one of another type")
        except asyncssh.KeyExchangeFailed as error:
            refusal = error  # the server may have no key of this type
    if refusal is not None and not shown:
        raise refusal
    message = (
        f"the server at {endpoint} has another host key than those in the credentials: {', '.join(shown)}. No "
        "credentials were sent. The connection may be intercepted, or the server was reinstalled: check its "
        "fingerprint on the server itself (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) before you change host_key"
    )
    raise StorageError(message)


def _options(
    client: _Client, credentials: SFTPCredentials, key: asyncssh.SSHKey | None, algorithms: Sequence[str]
) -> dict[str, Any]:
    """Return the arguments of `asyncssh.connect`, including all that it would otherwise read from this machine."""
    password = credentials.password
    options: dict[str, Any] = {
        "client_factory": lambda: client,
        "config": None,
        # These lists trust no host and no certificate authority, so that asyncssh asks the client.
        "known_hosts": ([], [], []),
        "server_host_key_algs": list(algorithms),
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "gss_host": None,
        "username": credentials.username,
        "public_key_auth": password is None,
        "password_auth": password is not None,
        "kbdint_auth": password is not None,
        "host_based_auth": False,
        "preferred_auth": "publickey" if password is None else "keyboard-interactive,password",
        "keepalive_interval": KEEPALIVE_INTERVAL,
        "keepalive_count_max": KEEPALIVE_COUNT,
    }
    if password is not None:
        options["password"] = password.reveal  # called when it is needed
    if not credentials.ambient:
        options |= {"client_keys": None if key is None else [key], "agent_path": None}
    return options


def _check_user() -> None:
    """Check that the name of this process's user is known, which asyncssh requires.

    Raises:
        StorageError: it is not.
    """
    try:
        getpass.getuser()
    except (ImportError, KeyError, OSError):
        message = "SSH connections need the name of this process's user, who has none; set USER in the environment"
    else:
        return
    raise StorageError(message)


def _is_harmless(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _withhold_passwords() -> None:
    """Keep passwords out of the logs.

    After ``asyncssh.set_debug_level(3)``, the logger ``asyncssh`` dumps every packet at DEBUG, including the one with
    the password. The logger ``asyncssh.sftp`` logs only names and sealed bytes.
    """
    logging.getLogger("asyncssh").addFilter(_is_harmless)  # adding it again changes nothing
