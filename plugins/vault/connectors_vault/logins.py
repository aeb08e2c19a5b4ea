"""The ways to log in: each provides the tokens that requests are sent with.

Sources: https://developer.hashicorp.com/vault/api-docs/auth/approle and …/auth/kubernetes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import time
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from connectors.errors import ConfigError, ConnectorError
from connectors.keys import read_below
from connectors.secrets import Hidden, SecretText
from connectors.storage import Origin, Tokens, endpoint_problem, token_of
from connectors_vault.reference import AppRole, Kubernetes
from connectors_vault.server import VaultLogin, VaultServer

if TYPE_CHECKING:
    from connectors.storage import Request
    from connectors_vault.reference import VaultWrapping

__all__ = ["open_server"]

_MOST_LOGINS = 64
_ISSUED: dict[bytes, Tokens] = {}
"""The logins of this process whose tokens are used until they expire, by a digest of what they log in with."""
_ADDRESSES = ("VAULT_ADDR", "BAO_ADDR")
"""The variables with which the owner of a machine says which Vault is its own."""
_NO_TOKEN = re.compile(r"\{|[0-9A-Fa-f]{64}$", re.ASCII)
"""What begins as a document, or is a key, has come into the place of a token: it is sent nowhere."""


class _TokenSigner:
    """Adds a token as a request is sent.

    Args:
        tokens: provides tokens; or the only token.
    """

    def __init__(self, tokens: Tokens | SecretText) -> None:
        self._tokens = tokens

    def sign(self, request: Request) -> Request:
        """Return the request with a token. Raises as `Tokens.token` does."""
        token = self._tokens.token() if isinstance(self._tokens, Tokens) else self._tokens
        return dataclasses.replace(request, secrets=Hidden({"X-Vault-Token": token.reveal()}))

    def renew(self) -> bool:
        """Drop the token; return whether there may be another one."""
        if isinstance(self._tokens, SecretText):
            return False
        self._tokens.drop()
        return True


class _TokenFile(Tokens):
    """A token in a file, which a Vault agent renews: it is read for each request."""

    def __init__(self, path: str, reference: VaultWrapping, root: str | None) -> None:
        super().__init__(f"the token in {path}")
        self._path, self._root = path, _root_for(path, reference, root)

    def log_in(self) -> tuple[SecretText, float] | ConnectorError:
        token = _read(self._root, self._path, "token file", private=True)
        return token if isinstance(token, ConnectorError) else (token, time.time())


class _Issued(Tokens):
    """Tokens that an auth method issues."""

    def __init__(self, server: VaultLogin, login: AppRole | Kubernetes, address: str, root: str | None) -> None:
        super().__init__("the login")
        self._server = server
        self._login = login
        self._shown = f"auth/{login.mount} at {address}"
        self._root = root

    def log_in(self) -> tuple[SecretText, float] | ConnectorError:
        body, now = self._body(), time.time()
        if isinstance(body, ConnectorError):
            return body
        request = self._server.request(f"auth/{self._login.mount}/login")
        reply = self._server.ask_once(request, self._shown, "log in by", body)
        if isinstance(reply, ConnectorError):
            return reply
        try:
            auth = Hidden(reply.reveal()["auth"])
            token, seconds = token_of(auth.reveal()["client_token"]), float(auth.reveal()["lease_duration"])
        except (ValueError, TypeError, LookupError, OverflowError):
            token, seconds = None, 0.0
        if token is None:
            return self._server.nonsense(self._shown)
        return token, now + seconds if seconds > 0 else math.inf  # one of 0 seconds does not expire

    def _body(self) -> Hidden | ConnectorError:
        """Return what is sent to the auth method."""
        login = self._login
        if isinstance(login, AppRole):
            return Hidden({"role_id": login.role_id, "secret_id": login.secret_id.reveal()})
        # Kubernetes makes this file, and chooses its permissions.
        jwt = _read(self._root, login.jwt_file, "token of the service account", private=False)
        return jwt if isinstance(jwt, ConnectorError) else Hidden({"role": login.role, "jwt": jwt.reveal()})


def open_server(reference: VaultWrapping, root: str | None) -> VaultServer:
    """Return the server of a reference, to which requests are sent with its login; makes no request yet.

    Args:
        reference: the reference.
        root: the folder that files in it are below; see `KeySource.unwrap`.

    Raises:
        ConfigError: the content of a file would be sent to an address that only the document names.
    """
    return VaultServer(reference, _TokenSigner(_tokens_of(reference, root)))


def _tokens_of(reference: VaultWrapping, root: str | None) -> Tokens | SecretText:
    if reference.token is not None:
        return reference.token
    if reference.token_file is not None:
        return _TokenFile(reference.token_file, reference, root)
    login = cast("AppRole | Kubernetes", reference.approle or reference.kubernetes)
    if isinstance(login, Kubernetes):
        root = _root_for(login.jwt_file, reference, root)
    identity = _identity([reference.address, reference.namespace, root, type(login).__name__], login)
    if identity not in _ISSUED:
        for oldest in list(_ISSUED)[: 1 - _MOST_LOGINS]:
            _ISSUED.pop(oldest, None)
    return _ISSUED.setdefault(identity, _Issued(VaultLogin(reference), login, reference.address, root))


def _identity(place: list[str | None], login: AppRole | Kubernetes) -> bytes:
    """Return a digest of a login and of where it is valid."""
    members = Hidden(login.model_dump(context={"reveal": True}))
    return hashlib.sha256(json.dumps([place, members.reveal()], sort_keys=True).encode()).digest()


def _root_for(path: str, reference: VaultWrapping, root: str | None) -> str | None:
    """Return the folder that a file with a token is below, or None if it is an absolute path.

    A document is not written by this machine's owner: with a path of its choice and an address of its choice, it could
    have any token of the machine, and any file of another document's in the app config, sent anywhere.

    Raises:
        ConfigError: the document names an address that the machine does not name.
    """
    own = [os.environ.get(name, "") for name in _ADDRESSES]
    if _place_of(reference.address) in map(_place_of, own):
        return None if os.path.isabs(path) else root
    message = (
        f"the content of {path!r} is sent only to the Vault that this machine itself names: set VAULT_ADDR to "
        f"{reference.address} where the application is set up, or log in with token or approle in the document"
    )
    raise ConfigError(message)


def _place_of(url: str) -> tuple[Origin, str] | None:
    """Return what all spellings of a server's URL have in common; None if it is not one."""
    if endpoint_problem(url, example=""):
        return None
    return Origin.of(url), urlsplit(url).path.rstrip("/")


def _read(root: str | None, path: str, what: str, *, private: bool) -> SecretText | ConnectorError:
    try:
        data = read_below(root, path, what, private=private)
    except ConnectorError as error:
        return error
    token = token_of(data.reveal().decode("latin-1").strip())
    if token is not None and not _NO_TOKEN.match(token.reveal()):
        return token
    return ConfigError(
        f"the {what} {path!r} holds no token, which is a single line of printable characters, and neither a key nor a "
        "document"
    )
