"""The model of the credentials document of a dataset on an SFTP server.

For example::

{"type": "sftp", "username": "clinic", "private_key": "…", "host_key": "ssh-ed25519 AAAA…",
 "encryption": {"key": "<64 hex digits>"}}
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from connectors.secrets import SecretText  # noqa: TC001 - pydantic looks it up
from connectors.storage import Credentials

__all__ = ["KEY_FAMILIES", "SFTPCredentials", "fingerprint"]

KEY_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)
"""The signature algorithms for each type of host key: RFC 8709, RFC 5656, RFC 8332. RSA with SHA-1 is excluded."""

_RSA = "ssh-rsa"
_KINDS = ("ssh-ed25519", *KEY_FAMILIES[1], _RSA)
_FINGERPRINT = re.compile(r"SHA256:([A-Za-z0-9+/]{43})=?")


class SFTPCredentials(Credentials):
    """Credentials for a file on an SFTP server: a user, a password or private key, and the server's host key."""

    type: Literal["sftp"] = "sftp"
    username: str = Field(min_length=1, max_length=255, description="The user on the server.")
    password: SecretText | None = Field(default=None, description="The user's password.")
    private_key: SecretText | None = Field(
        default=None, description="The user's private key: the text of its file, in OpenSSH's format or PEM."
    )
    passphrase: SecretText | None = Field(default=None, description="The passphrase that encrypts the private key.")
    host_key: str | list[str] = Field(
        description=(
            "The server's public key as in known_hosts, without the host name (ssh-ed25519 AAAA…), or its "
            "fingerprint (SHA256:…); a list if it has several. A server with another key is sent no credentials."
        )
    )
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Use the keys in this machine's SSH agent and in ~/.ssh. Without it, neither is read; "
            "~/.ssh/config and known_hosts never are."
        ),
    )

    @field_validator("username")
    @classmethod
    def _check_username(cls, value: str) -> str:
        if not value.isprintable():
            message = "it contains control characters"
            raise ValueError(message)
        return value

    @field_validator("password", "passphrase")
    @classmethod
    def _check_secret(cls, value: SecretText | None) -> SecretText | None:
        if value is not None and not value.reveal():
            message = "empty; leave it out if there is none"
            raise ValueError(message)
        return value

    @field_validator("private_key")
    @classmethod
    def _check_private_key(cls, value: SecretText | None) -> SecretText | None:
        if value is not None:
            problem = _private_key_problem(value.reveal().strip())
            if problem:
                raise ValueError(problem)
        return value

    @field_validator("host_key", mode="before")
    @classmethod
    def _check_host_key(cls, value: object) -> object:
        keys = [value] if isinstance(value, str) else value
        if not isinstance(keys, list) or not all(isinstance(one, str) for one in keys):
            message = "text in quotation marks is expected, or a list of such"
            raise ValueError(message)
        if not keys:
            message = "at least one is required: it proves which server the credentials are sent to"
            raise ValueError(message)
        for key in keys:
            if _parse_host_key(key) is None:
                message = (
                    "a host key is a public key as in known_hosts, without the host name, such as "
                    f'"ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; {_host_key_problem(key.strip())}'
                )
                raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _check_identity(self) -> Self:
        ways = [self.password is not None, self.private_key is not None, self.ambient].count(True)
        if ways == 0:
            problem = 'password or private_key is missing; for the keys that this machine provides add "ambient": true'
        elif ways > 1:
            problem = "give exactly one of password, private_key and ambient"
        elif self.passphrase is not None and self.private_key is None:
            problem = "passphrase is only for a private_key"
        else:
            return self
        raise ValueError(problem)

    def _host_keys(self) -> list[tuple[str, str | None]]:
        keys = [self.host_key] if isinstance(self.host_key, str) else self.host_key
        return [parsed for parsed in map(_parse_host_key, keys) if parsed]

    @property
    def fingerprints(self) -> frozenset[str]:
        """The fingerprints, ``SHA256:…``, of the expected host keys."""
        return frozenset(shown for shown, _ in self._host_keys())

    @property
    def host_key_algorithms(self) -> list[tuple[str, ...]]:
        """The algorithms to request, one entry per connection attempt, until the server shows an expected key.

        In each connection, a server shows one key: that of the first requested algorithm for which it has one. A
        fingerprint does not tell its key's type, so each type is tried in a connection of its own.
        """
        kinds = {kind for _, kind in self._host_keys()}
        if None in kinds:
            return list(KEY_FAMILIES)
        wanted = [KEY_FAMILIES[2] if kind == _RSA else (kind,) for kind in _KINDS if kind in kinds]
        return [tuple(one for algorithms in wanted for one in algorithms)]


def _private_key_problem(text: str) -> str | None:
    """Return what is wrong with the text of a private key, without quoting it, or None."""
    first = text.partition("\n")[0].rstrip()
    if re.match("-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----", first):
        whole = first.endswith("-----") and first != text
        return None if whole else "its line ends are missing: in JSON a line end is \\n, with one backslash"
    known = (what for form, what in _NO_PRIVATE_KEYS if re.match(form, text))
    return next(known, "not the complete text of a private key's file, in OpenSSH's format or PEM")


_NO_PRIVATE_KEYS = (
    (rf"({'|'.join(_KINDS)}) |.*PUBLIC KEY", "this is a public key; the private key's file has no .pub in its name"),
    (r"PuTTY-User-Key-File", "this is a key in PuTTY's format; export it from PuTTYgen as an OpenSSH key"),
    (r"[~.]?/|[A-Za-z]:\\", "this looks like a file's name; give the file's content, with its line ends as \\n"),
)


def _host_key_problem(text: str) -> str:
    """Return what is wrong with the text of a host key, or else the known types."""
    known = (what for form, what in _NO_HOST_KEYS if re.search(form, text))
    return next(known, f"the known types are {', '.join(_KINDS)}")


_NO_HOST_KEYS = (
    (r"PRIVATE KEY", "this is a private key, which only the server may have"),
    (r"^#", "this is a comment of ssh-keyscan; the key is in the next line"),
    (rf"^[^\n]+ ({'|'.join(_KINDS)}) ", "leave out what precedes the key's type"),
    (rf"^({'|'.join(_KINDS)}) [^\n]+\n", "these are several keys; give a list of them"),
    (rf"^({'|'.join(_KINDS)}) ", "this one is damaged or incomplete"),
    (r"^AAAA", "the key's type is missing before it"),
    (r"^(MD5:)?([0-9a-fA-F]{2}:){15}[0-9a-fA-F]{2}$", "this is an MD5 fingerprint; `ssh-keygen -l` shows the other"),
    (r"^[A-Za-z0-9+/]{43}=?$", "SHA256: is missing before it"),
    (r"(?i)SHA256:", "give SHA256:… alone, with SHA in capitals"),
    (r"^([~.]?/|[A-Za-z]:\\)|\.pub$", "this looks like a file's name; give the line in the file"),
)


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a public key in SSH's wire format, as ``ssh-keygen -l`` shows it.

    >>> fingerprint(b"")
    'SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU'
    """
    return f"SHA256:{base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip('=')}"


def _parse_host_key(text: str) -> tuple[str, str | None] | None:
    """Return the fingerprint of a host key, and its type if that is known; None if it is not a host key."""
    text = text.strip()
    match = _FINGERPRINT.fullmatch(text)
    if match:
        return f"SHA256:{match[1]}", None
    kind, _, rest = text.partition(" ")
    encoded = rest.strip().partition(" ")[0]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    # The first string in a key is its type: RFC 4253, section 6.6.
    named = len(kind).to_bytes(4, "big") + kind.encode()
    if kind not in _KINDS or not blob.startswith(named) or len(blob) <= len(named):
        return None
    return fingerprint(blob), kind
