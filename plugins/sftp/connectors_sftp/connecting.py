"""SSH connections that know the credentials they are given, and nothing of the machine around them."""

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
"""Seconds until a connection must stand, its user accepted."""
KEEPALIVE_INTERVAL = 20
"""Seconds without a word from the server until it is asked for one; the connection is broken when it has not answered
KEEPALIVE_COUNT times."""
KEEPALIVE_COUNT = 3


def identity(credentials: SFTPCredentials) -> asyncssh.SSHKey | None:
    """Return the private key in the credentials, or None where there is none.

    Raises:
        InvalidCredentials: it cannot be read, or its passphrase is wrong or missing.
    """
    if credentials.private_key is None:
        return None
    passphrase = credentials.passphrase.reveal() if credentials.passphrase else None
    try:
        return asyncssh.import_private_key(f"{credentials.private_key.reveal().strip()}\n", passphrase)
    except asyncssh.KeyEncryptionError:
        problem = "credentials.passphrase: the private key does not open with it"
    except (asyncssh.KeyImportError, ValueError) as error:
        # Its text is asyncssh's own, and for this case the only sign.
        if passphrase is None and "assphrase" in str(error):
            problem = "credentials.passphrase: missing, and the private key is encrypted"
        else:
            problem = "credentials.private_key: it cannot be read; give it as ssh-keygen wrote it, all of it"
    raise InvalidCredentials(problem)


class _Client(asyncssh.SSHClient):
    """Answers what SSH asks of a client: is this the right server, and who are you?"""

    def __init__(self, expected: frozenset[str], key: asyncssh.SSHKey | None) -> None:
        self._expected = expected
        self._keys = [key] if key is not None else []
        self.shown: str | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        """Return whether it is the server: asked before anything of the user's is sent."""
        self.shown = fingerprint(key.public_data)
        return self.shown in self._expected

    def public_key_auth_requested(self) -> asyncssh.SSHKey | None:
        """Return the key to try next."""
        return self._keys.pop() if self._keys else None


async def open_connection(
    endpoint: Endpoint, credentials: SFTPCredentials, key: asyncssh.SSHKey | None
) -> asyncssh.SSHClientConnection:
    """Return a connection to a server that has shown that it is the right one, and accepted the user.

    Raises:
        StorageError: the server shows another host key; it was sent nothing of the user's then. Or asyncssh cannot be
            used here.
        asyncssh.Error, OSError: there is no connection.
    """
    _withhold_passwords()
    _check_user()
    shown: list[str] = []
    refusal: asyncssh.KeyExchangeFailed | None = None
    for algorithms in credentials.host_key_algorithms:
        client = _Client(credentials.fingerprints, key)
        options = _options(credentials, algorithms)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await asyncssh.connect(endpoint.host, endpoint.port, client_factory=_factory(client), **options)
        except asyncssh.HostKeyNotVerifiable:
            shown.append(client.shown or "one of another kind")
        except asyncssh.KeyExchangeFailed as error:
            refusal = error  # it may have no key of this kind
    if refusal is not None and not shown:
        raise refusal
    message = (
        f"the server at {endpoint} shows another host key than those in the credentials: {', '.join(shown)}. Nothing "
        "was sent to it. Somebody may stand in between, or the server was installed anew: compare its fingerprint at "
        "the server itself (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) before you change host_key"
    )
    raise StorageError(message)


def _factory(client: _Client) -> Any:
    return lambda: client


def _options(credentials: SFTPCredentials, algorithms: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of `asyncssh.connect`: all that it would else look for on this machine is given."""
    password = credentials.password
    options: dict[str, Any] = {
        "config": None,
        # Nobody is trusted by these lists, not even certificate authorities, so that the client is asked.
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
        options["password"] = password.reveal  # called when it is asked for
    if not credentials.ambient:
        options |= {"client_keys": None, "agent_path": None}
    return options


def _check_user() -> None:
    """Check that asyncssh can tell who runs this process, which it wants to know before all.

    Raises:
        StorageError: it cannot.
    """
    try:
        getpass.getuser()
    except (ImportError, KeyError, OSError):
        message = "SSH connections need a name for this process's user, which has none; set USER in the environment"
    else:
        return
    raise StorageError(message)


class _Withhold(logging.Filter):
    """Lets no DEBUG record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        return record.levelno > logging.DEBUG


_WITHHELD = _Withhold()


def _withhold_passwords() -> None:
    """Keep passwords out of the logs.

    After ``asyncssh.set_debug_level(3)`` the logger ``asyncssh`` dumps each packet at DEBUG, the one with the password
    among them. What ``asyncssh.sftp`` logs are names and sealed bytes.
    """
    logging.getLogger("asyncssh").addFilter(_WITHHELD)  # adding it again changes nothing
