"""The credentials document of a dataset on an SFTP server.

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
"""The signature algorithms of host keys, for each kind of key: RFC 8709, RFC 5656, RFC 8332. RSA with SHA-1 is none."""

_RSA = "ssh-rsa"
_KINDS = ("ssh-ed25519", *KEY_FAMILIES[1], _RSA)
_FINGERPRINT = re.compile(r"SHA256:([A-Za-z0-9+/]{43})=?")


class SFTPCredentials(Credentials):
    """What gives access to a file on an SFTP server: a user, a password or key, and the key to know the server by."""

    type: Literal["sftp"] = "sftp"
    username: str = Field(min_length=1, max_length=255, description="The user on the server.")
    password: SecretText | None = Field(default=None, description="The user's password.")
    private_key: SecretText | None = Field(
        default=None, description="The user's private key, the text of its file in OpenSSH's format or PEM."
    )
    passphrase: SecretText | None = Field(default=None, description="What the private key is encrypted with.")
    host_key: str | list[str] = Field(
        description=(
            "The server's public key as in known_hosts, without the host's name (ssh-ed25519 AAAA…), or its "
            "fingerprint (SHA256:…); a list where it has several. A server that shows another one is sent nothing."
        )
    )
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Take the keys of this machine's SSH agent and those in ~/.ssh. Without it neither is looked at; "
            "~/.ssh/config and known_hosts never are."
        ),
    )

    @field_validator("username")
    @classmethod
    def _check_username(cls, value: str) -> str:
        if not value.isprintable():
            message = "control characters are in it"
            raise ValueError(message)
        return value

    @field_validator("password", "passphrase")
    @classmethod
    def _check_secret(cls, value: SecretText | None) -> SecretText | None:
        if value is not None and not value.reveal():
            message = "empty; leave it out where there is none"
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
    def _check_kind(cls, value: object) -> object:
        if not (isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))):
            message = "text in quotation marks is expected, or a list of such"
            raise ValueError(message)
        return value

    @field_validator("host_key")
    @classmethod
    def _check_host_key(cls, value: str | list[str]) -> str | list[str]:
        keys = [value] if isinstance(value, str) else value
        if not keys:
            message = "at least one is needed: without it nobody knows whom the credentials are sent to"
            raise ValueError(message)
        for key in keys:
            if _parse_host_key(key) is None:
                message = (
                    "a host key is a public key as in known_hosts, without the host's name, as in "
                    f'"ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; {_unlike_a_host_key(key.strip())}'
                )
                raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problem = self._identity_problem()
        if problem:
            raise ValueError(problem)
        return self

    def _identity_problem(self) -> str | None:
        """Return which rule of "who are you" is broken: one way to say it."""
        ways = [self.password is not None, self.private_key is not None, self.ambient].count(True)
        if ways == 0:
            return 'password or private_key is missing; for the keys that this machine offers say "ambient": true'
        if ways > 1:
            return "give either password, or private_key, or ambient; not two of them"
        if self.passphrase is not None and self.private_key is None:
            return "passphrase goes with private_key"
        return None

    def _host_keys(self) -> list[tuple[str, str | None]]:
        keys = [self.host_key] if isinstance(self.host_key, str) else self.host_key
        return [parsed for parsed in map(_parse_host_key, keys) if parsed]

    @property
    def fingerprints(self) -> frozenset[str]:
        """The fingerprints, ``SHA256:…``, of the keys that the server may show."""
        return frozenset(shown for shown, _ in self._host_keys())

    @property
    def host_key_algorithms(self) -> list[tuple[str, ...]]:
        """The algorithms to ask the server for, in one connection after the other until it shows a key that is known.

        A server shows one key in each connection, of the first algorithm that it is asked for and has a key for. A
        fingerprint does not tell the kind of its key, so the kinds are tried by themselves.
        """
        kinds = [kind for _, kind in self._host_keys()]
        if None in kinds:
            return list(KEY_FAMILIES)
        given = {kind if kind != _RSA else KEY_FAMILIES[2][0] for kind in kinds}
        wanted = [one for family in KEY_FAMILIES for one in family if one in given]
        return [(*wanted, KEY_FAMILIES[2][1]) if KEY_FAMILIES[2][0] in wanted else tuple(wanted)]


def _private_key_problem(text: str) -> str | None:
    """Return what a text is that is no private key's, or None: without quoting any of it."""
    first = text.partition("\n")[0].rstrip()
    if re.match("-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----", first):
        whole = first.endswith("-----") and first != text
        return None if whole else "its line ends are lost: in JSON each of them is \\n, with one backslash"
    known = (what for form, what in _NO_PRIVATE_KEYS if re.match(form, text))
    return next(known, "not the text of a private key's file in OpenSSH's format or PEM, all its lines of it")


_NO_PRIVATE_KEYS = (
    (rf"({'|'.join(_KINDS)}) |.*PUBLIC KEY", "this is a public key; the private one's file has its name without .pub"),
    (r"PuTTY-User-Key-File", "this is a key in PuTTY's format; have PuTTYgen export it as an OpenSSH key"),
    (r"[~.]?/|[A-Za-z]:\\", "this looks like a file's name; give what is in the file, its line ends as \\n"),
)


def _unlike_a_host_key(text: str) -> str:
    """Return what a text is instead of a host key, or which kinds there are."""
    known = (what for form, what in _NO_HOST_KEYS if re.search(form, text))
    return next(known, f"known are {', '.join(_KINDS)}")


_NO_HOST_KEYS = (
    (r"PRIVATE KEY", "this is a private key, which is nobody's but the server's"),
    (r"^#", "this is a comment of ssh-keyscan's; the key is in the next line"),
    (rf"^[^\n]+ ({'|'.join(_KINDS)}) ", "leave out what stands before the kind of the key"),
    (rf"^({'|'.join(_KINDS)}) [^\n]+\n", "these are several; give a list of them"),
    (rf"^({'|'.join(_KINDS)}) ", "this one is damaged, or not all of it is there"),
    (r"^AAAA", "its kind is missing in front of it"),
    (r"^(MD5:)?([0-9a-fA-F]{2}:){15}[0-9a-fA-F]{2}$", "this is an MD5 fingerprint; `ssh-keygen -l` shows the other"),
    (r"^[A-Za-z0-9+/]{43}=?$", "SHA256: is missing in front of it"),
    (r"(?i)SHA256:", "SHA256:… stands alone, in capitals"),
    (r"^([~.]?/|[A-Za-z]:\\)|\.pub$", "this looks like a file's name; give the line that is in it"),
)


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a public key in SSH's wire format, as ``ssh-keygen -l`` shows it.

    >>> fingerprint(b"")
    'SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU'
    """
    return f"SHA256:{base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip('=')}"


def _parse_host_key(text: str) -> tuple[str, str | None] | None:
    """Return the fingerprint of a host key, and its kind where that is known; None if it is no host key."""
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
    # The key says itself, in its first string, of which kind it is: RFC 4253, section 6.6.
    named = len(kind).to_bytes(4, "big") + kind.encode()
    if kind not in _KINDS or not blob.startswith(named) or len(blob) <= len(named):
        return None
    return fingerprint(blob), kind
