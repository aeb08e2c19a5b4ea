"""SoftHSM, a real PKCS#11 module without hardware, with a token of its own; the code under test is not used."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pkcs11
from pkcs11 import Attribute, KeyType, ObjectClass, TokenFlag
from servers import ROOT, ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AptMissing", "Hsm", "installed", "new_token"]

_PLACES = [ROOT / ".servers" / "softhsm", Path("/")]
_MODULES = [
    "usr/lib/softhsm/libsofthsm2.so",
    "usr/lib/*/softhsm/libsofthsm2.so",
    "usr/local/lib/softhsm/libsofthsm2.so",
]
_SO_PIN = "an-officer-s-pin"
_numbers = itertools.count()


class AptMissing(ServerUnavailable):
    """SoftHSM is not installed and `make test` cannot install it: this machine has no apt."""


def installed() -> tuple[Path, Path]:
    """Return the paths of SoftHSM's module and of its tool, which `make test` installs.

    Raises:
        AptMissing: it is not installed, and there is no apt.
        ServerUnavailable: it is not installed, although there is apt.
    """
    for root in _PLACES:
        for pattern in _MODULES:
            for module in root.glob(pattern):
                for tool in ("usr/bin/softhsm2-util", "usr/local/bin/softhsm2-util"):
                    if (root / tool).is_file():
                        return module, root / tool
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        message = "apt is not installed, so no SoftHSM"
        raise AptMissing(message)
    message = "SoftHSM is not installed; `make test` installs it, and so does: apt-get install softhsm2"
    raise ServerUnavailable(message)


@dataclass
class Hsm:
    """A token of SoftHSM.

    Attributes:
        module: the path of the module.
        folder: where its tokens are.
        token: the token's label.
        pin: the PIN of its user.
    """

    module: str
    folder: Path
    token: str
    pin: str = field(repr=False)

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Open a session, with the module initialised for it."""
        library = pkcs11.lib(self.module)
        try:
            with library.get_token(token_label=self.token).open(user_pin=self.pin, rw=True) as session:
                yield session
        finally:
            library.finalize()

    def import_key(self, label: str, value: bytes, number: bytes = b"\x01", **attributes: bool) -> None:
        """Store an AES key whose bytes are known, so that others can wrap by it."""
        kind = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES, Attribute.VALUE: value}
        uses = dict.fromkeys(("WRAP", "UNWRAP", "ENCRYPT", "DECRYPT"), True) | attributes
        rights = {Attribute[name]: allowed for name, allowed in uses.items()}
        with self.session() as session:
            session.create_object(
                {**kind, **rights, Attribute.TOKEN: True, Attribute.LABEL: label, Attribute.ID: number}
            )

    def make_pair(self, label: str) -> bytes:
        """Make an RSA key pair; return the public key in DER."""
        with self.session() as session:
            public, _ = session.generate_keypair(KeyType.RSA, 2048, label=label, id=b"\x02", store=True)
            return pkcs11.rsa.encode_rsa_public_key(public)

    def remove_keys(self) -> None:
        """Remove all keys."""
        with self.session() as session:
            for one in list(session.get_objects({Attribute.TOKEN: True})):
                one.destroy()

    def set_pin(self, pin: str) -> None:
        """Set another PIN of the user."""
        with self.session() as session:
            session.set_pin(self.pin, pin)
        self.pin = pin

    def has_seen_wrong_pins(self) -> bool:
        """Return whether a wrong PIN was tried after the last right one: the token's CKF_USER_PIN_COUNT_LOW."""
        library = pkcs11.lib(self.module)
        try:
            return TokenFlag.USER_PIN_COUNT_LOW in library.get_token(token_label=self.token).flags
        finally:
            library.finalize()

    def disconnect(self) -> None:
        """Take the token away."""
        self.folder.rename(self.folder.with_name("disconnected"))
        self.folder.mkdir()

    def reconnect(self) -> None:
        """Bring the token back."""
        self.folder.rmdir()
        self.folder.with_name("disconnected").rename(self.folder)


def new_token(folder: Path) -> tuple[Hsm, dict[str, str]]:
    """Return a new token with nothing in it, and the environment in which the module finds it."""
    module, tool = installed()
    tokens, config = folder / "tokens", folder / "softhsm2.conf"
    tokens.mkdir()
    config.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    environment = {"SOFTHSM2_CONF": str(config)}
    label, pin = f"clinic-{next(_numbers)}", base64.b32encode(os.urandom(10)).decode()
    command = [tool, "--module", module, "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", _SO_PIN]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Hsm(str(module), tokens, label, pin), environment
