"""A person's identities on this machine and the parties they trust: private keys, credentials, a list of parties.

::

    ~/.config/connectors/identities/     (0700; $CONNECTORS_IDENTITIES overrides the path)
        trusted.json                     the parties that this person trusts: {digest: name}
        clinic/                          one identity
            party.json                   the party's document, to give to others
            key.pem                      its private key, encrypted under a passphrase (see `private_keys`), or
            signer.json                  the signer of a key kept elsewhere: ssh-agent:, hsm: or another URI
            credentials/<digest>.json    credentials of a dataset with their salt, named by the commitment to them

Nothing in this folder belongs in a store.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

from connectors.errors import ConfigError, InvalidDocument, ObjectExists
from connectors.system.atomic_files import locked, read_regular, replace, write_folder, write_new
from connectors.workflow.documents.canonical import MAX_SIZE
from connectors.workflow.documents.commitment import OpenedCredentials, matches
from connectors.workflow.documents.kinds import Party, PublicKey
from connectors.workflow.trust.private_keys import decrypted, encrypted
from connectors.workflow.trust.public_keys import check_party
from connectors.workflow.trust.signing import as_sslib

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from securesystemslib.signer import Signer  # type: ignore[attr-defined]  # it has no __all__

__all__ = ["DEFAULT", "VARIABLE", "Identities", "Identity"]

VARIABLE = "CONNECTORS_IDENTITIES"
"""The environment variable that names the folder of identities."""
DEFAULT = os.path.join("~", ".config", "connectors", "identities")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TRUSTED = "enclave-connectors workflow trusted parties 1"
_SIGNER = "enclave-connectors workflow signer 1"
_OPENSSH = (b"ssh-", b"ecdsa-", b"sk-")


@dataclass(frozen=True)
class Identity:
    """One of the identities on this machine.

    Attributes:
        name: its name on this machine.
        folder: its folder.
        party: its party's document.
    """

    name: str
    folder: str
    party: Party

    def signer(self, secret: Callable[[str], str]) -> Signer:
        """Return the signer of this identity.

        Args:
            secret: returns the passphrase or a device's PIN when it is needed; it is given a description.

        Raises:
            ConfigError: the passphrase is wrong, other users can read the key, or the key is not the party's.
        """
        from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # noqa: PLC0415 - see `signing`

        own = self.party.keys[0]
        pem = read_regular(self._path("key.pem"), MAX_SIZE)
        if pem is None:
            return self._device(own, secret)
        if stat.S_IMODE(os.stat(self._path("key.pem")).st_mode) & 0o077:
            message = f"other users can read {self._path('key.pem')!r}; find out why, then run chmod 600 on it"
            raise ConfigError(message)
        passphrase = secret(f"passphrase of {self.name}").encode() if b"ENCRYPTED" in pem else None
        key = decrypted(pem, passphrase)
        problem = None
        try:
            return CryptoSigner(key, as_sslib(own))
        except ValueError:  # among them KeyMismatchError
            problem = f"the key in {self._path('key.pem')!r} is not the key of {self.party.name!r}"
        raise ConfigError(problem)

    def _device(self, own: PublicKey, secret: Callable[[str], str]) -> Signer:
        from securesystemslib.signer import Signer  # type: ignore[attr-defined]  # noqa: PLC0415 - see `signing`

        _ = _schemes()
        uri = _members(self._path("signer.json"), _SIGNER, "uri").get("uri")
        problem = None
        try:
            return Signer.from_priv_key_uri(str(uri), as_sslib(own), secret)
        except ConfigError:
            raise
        except Exception as error:  # noqa: BLE001 - each kind of signer raises its own errors
            problem = f"the signer {uri!r} of {self.name!r} cannot be used: {type(error).__name__}"
        raise ConfigError(problem)

    def keep_credentials(self, document: Mapping[str, Any]) -> str:
        """Save credentials with a new salt, and return the commitment to them."""
        opened = OpenedCredentials(dict(document))
        write_new(self._credentials_path(opened.digest), opened.to_bytes())
        return opened.digest

    def credentials(self, commitment: str) -> OpenedCredentials:
        """Return the credentials and salt that open a commitment.

        Raises:
            ConfigError: they are not here, or do not match the commitment.
        """
        path = self._credentials_path(commitment)
        data = read_regular(path, MAX_SIZE)
        if data is None:
            message = f"there is no {path}"
            raise ConfigError(message)
        opened = OpenedCredentials.from_bytes(data)
        if not matches(opened, commitment):
            message = f"{path!r} holds other credentials than its name commits to"
            raise ConfigError(message)
        return opened

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _credentials_path(self, commitment: str) -> str:
        return os.path.join(self.folder, "credentials", f"{commitment}.json")


class Identities:
    """The folder of a person's identities.

    Args:
        folder: its path; by default ``$CONNECTORS_IDENTITIES``, or ``~/.config/connectors/identities``.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = os.path.expanduser(folder or os.environ.get(VARIABLE) or DEFAULT)

    def new(self, name: str, contact: str, *, passphrase: str | None, **members: str | None) -> Identity:
        """Make an identity with a new Ed25519 key.

        Args:
            name: its name here: letters, digits, dots, hyphens and underscores.
            contact: how others reach it, such as an e-mail address.
            passphrase: encrypts the key; None leaves it unencrypted.
            members: ``party_name``, by default the name; ``group``.

        Raises:
            ConfigError: the name is not valid.
            ObjectExists: an identity of that name exists.
        """
        key = Ed25519PrivateKey.generate()
        secret = None if passphrase is None else passphrase.encode()
        public = PublicKey(keytype="ed25519", scheme="ed25519", public=key.public_key().public_bytes_raw().hex())
        return self._make(name, public, contact, {"key.pem": encrypted(key, secret)}, **members)

    def with_signer(self, name: str, contact: str, uri: str, public: bytes, **members: str | None) -> Identity:
        """Make an identity whose key is elsewhere, in a device or a service.

        Args:
            name: its name here.
            contact: how others reach it.
            uri: the signer's URI in securesystemslib, or ``ssh-agent:``.
            public: the public key, in PEM or OpenSSH format.
            members: ``party_name``, by default the name; ``group``.

        Raises:
            ConfigError: the public key cannot be read or its type is not supported; or as for `new`.
            WeakKey: others could sign with it, for example because it is a short RSA key.
            ObjectExists: an identity of that name exists.
        """
        from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # noqa: PLC0415 - see `signing`

        from connectors.workflow.trust.ssh_agent import SCHEME  # noqa: PLC0415 - the same

        if uri.partition(":")[0] == "gnupg":
            message = "GnuPG signatures (OpenPGP) are not supported; use a key of another kind"
            raise ConfigError(message)
        if uri.partition(":")[0] not in _schemes():
            listed = ", ".join(f"{scheme}:" for scheme in sorted(_schemes() - {"gnupg"}))
            message = f"the signer {uri!r} is not one of {listed}"
            raise ConfigError(message)
        key = None
        try:
            public_key = load_ssh_public_key(public) if public.startswith(_OPENSSH) else load_pem_public_key(public)
            # SSH agents support only one RSA scheme.
            by_agent = uri.startswith(f"{SCHEME}:")
            scheme = "rsa-pkcs1v15-sha256" if by_agent and isinstance(public_key, RSAPublicKey) else None
            known = SSlibKey.from_crypto(public_key, scheme=scheme)
            key = PublicKey.model_validate(
                {"keytype": known.keytype, "scheme": known.scheme, "public": known.keyval["public"]}
            )
        except (ValueError, UnsupportedAlgorithm):
            message = "the public key must be an ed25519, ecdsa or rsa key in PEM or OpenSSH format"
        if key is None:
            raise ConfigError(message)
        return self._make(name, key, contact, {"signer.json": _json(_SIGNER, uri=uri)}, **members)

    def _make(
        self,
        name: str,
        key: PublicKey,
        contact: str,
        files: dict[str, bytes],
        *,
        party_name: str | None = None,
        group: str | None = None,
    ) -> Identity:
        if not _NAME.fullmatch(name):
            message = f"an identity's name can have letters, digits and . _ -, not {name!r}; --party-name takes any"
            raise ConfigError(message)
        party = Party.make(name=party_name or name, contact=contact, group=group, keys=(key,))
        check_party(party)
        folder = os.path.join(self.folder, name)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        with locked(self.folder):
            if os.path.lexists(folder):
                message = f"the identity {name!r} exists already; it was not changed"
                raise ObjectExists(message)
            write_folder(folder, {**files, "party.json": party.to_bytes()})
        return Identity(name, folder, party)

    def all(self) -> dict[str, Identity]:
        """Return all identities, by name.

        Raises:
            InvalidDocument: the party's document of one of them is missing or cannot be read.
        """
        names = sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else []
        found = {}
        for name in names:
            folder = os.path.join(self.folder, name)
            if _NAME.fullmatch(name) and os.path.isdir(folder):
                found[name] = Identity(name, folder, self._party(folder))
        return found

    def _party(self, folder: str) -> Party:
        path = os.path.join(folder, "party.json")
        data = read_regular(path, MAX_SIZE)
        if data is None:
            message = f"{folder} is not an identity: it has no party.json"
            raise InvalidDocument(message)
        return Party.from_bytes(data)

    def choose(self, name: str | None) -> Identity:
        """Return the identity of that name, or the only one if no name is given.

        Raises:
            ConfigError: there is no such identity; or no name is given, and there is none or more than one.
        """
        known = self.all()
        if name is None and len(known) == 1:
            return next(iter(known.values()))
        if name in known:
            return known[name]
        if not known:
            message = f"there is no identity in {self.folder}; make one: connectors identity new NAME --contact ADDRESS"
        elif name is None:
            message = f"say as whom: --as NAME, one of {', '.join(known)}"
        else:
            message = f"there is no identity {name!r}; there are {', '.join(known)}"
        raise ConfigError(message)

    # Trust

    def trusted(self) -> dict[str, str]:
        """Return the names of the parties that this person trusts by digest, including their own.

        Raises:
            ConfigError: the list cannot be read.
        """
        own = {identity.party.digest: identity.party.name for identity in self.all().values()}
        return {**self._listed(), **own}

    def trust(self, party: Party) -> bool:
        """Add a party to the list, and tell whether it is new there.

        Raises:
            WeakKey: others could sign with one of its keys.
        """
        check_party(party)
        return self._change(lambda listed: {**listed, party.digest: party.name})

    def distrust(self, digest: str) -> bool:
        """Remove a party from the list, and tell whether it was there."""
        return self._change(lambda listed: {one: name for one, name in listed.items() if one != digest})

    def _change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> bool:
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        with locked(self.folder):
            before = self._listed()
            after = change(before)
            if after != before:
                replace(self._trusted_path, _json(_TRUSTED, parties=after))
        return after != before

    def _listed(self) -> dict[str, str]:
        if not os.path.lexists(self._trusted_path):
            return {}
        parties = _members(self._trusted_path, _TRUSTED, "parties")["parties"]
        if not isinstance(parties, dict) or not all(isinstance(name, str) for name in parties.values()):
            message = f"{self._trusted_path} does not have the names of parties by their digests"
            raise ConfigError(message)
        return parties

    @property
    def _trusted_path(self) -> str:
        return os.path.join(self.folder, "trusted.json")


def _json(schema: str, **members: object) -> bytes:
    return json.dumps({"schema": schema, **members}, indent=2, ensure_ascii=False).encode() + b"\n"


def _schemes() -> set[str]:
    """Return the URI schemes of signers, after registering the one of SSH agents."""
    from securesystemslib.signer import SIGNER_FOR_URI_SCHEME  # type: ignore[attr-defined]  # noqa: PLC0415

    from connectors.workflow.trust.ssh_agent import SCHEME, AgentSigner  # noqa: PLC0415 - needs securesystemslib too

    SIGNER_FOR_URI_SCHEME.setdefault(SCHEME, AgentSigner)
    return set(SIGNER_FOR_URI_SCHEME)


def _members(path: str, schema: str, *expected: str) -> dict[str, Any]:
    """Return the members of a file that this module wrote.

    Raises:
        ConfigError: it is missing, or not such a file.
    """
    data = read_regular(path, MAX_SIZE)
    if data is None:
        message = f"there is no {path}"
        raise ConfigError(message)
    try:
        members = json.loads(data)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict) or set(members) != {"schema", *expected} or members["schema"] != schema:
        message = f"{path} does not have the expected contents ({schema!r})"
        raise ConfigError(message)
    return members
