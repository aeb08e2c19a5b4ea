"""The key source: has a token wrap and unwrap."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from connectors.errors import ConfigError, InvalidKey
from connectors.keys import KeySource, read_below
from connectors.secrets import KEY_SIZE, Hidden, SecretKey, SecretText
from connectors_pkcs11.reference import Pkcs11Reference, Pkcs11Wrapping

if TYPE_CHECKING:
    from connectors_pkcs11.token import Token

__all__ = ["ALLOWED", "Pkcs11"]

ALLOWED = "CONNECTORS_PKCS11_MODULES"
"""The environment variable that names the modules that may be loaded, separated as in PATH."""


class Pkcs11(KeySource):
    """A key wrapped by a hardware security module: ``{"source": "pkcs11", "module": …, "token": …, "key": …}``."""

    name: ClassVar[str] = "pkcs11"
    summary: ClassVar[str] = "PKCS#11"
    Reference = Pkcs11Reference
    Wrapping = Pkcs11Wrapping

    def unwrap(self, reference: Pkcs11Reference, root: str | None) -> SecretKey:
        """Return the key; raises as the contract says, and ConfigError for a module that is not allowed."""
        data = _token(reference, root).unwrap(reference.wrapped)
        size = len(data.reveal())
        if size != KEY_SIZE:
            message = f"what is wrapped by {reference.shown} has {size} bytes; a key has {KEY_SIZE}"
            raise InvalidKey(message)
        return SecretKey(data)

    def wrap(self, key: SecretKey, wrapping: Pkcs11Wrapping, root: str | None) -> Pkcs11Reference:
        """Return a reference to a key; raises as `unwrap` does."""
        wrapped = _token(wrapping, root).wrap(key)
        members = {name: getattr(wrapping, name) for name in Pkcs11Wrapping.model_fields}
        return Pkcs11Reference(**members, wrapped=wrapped)

    def holder(self, reference: Pkcs11Wrapping) -> str:
        """Return the names of the key and its token."""
        return reference.shown


def _token(wrapping: Pkcs11Wrapping, root: str | None) -> Token:
    """Return a reference's token; nothing is loaded before its module is known to be allowed."""
    allowed = os.environ.get(ALLOWED, "").split(os.pathsep)
    if wrapping.module not in allowed:
        message = (
            f"the PKCS#11 module {wrapping.module} is not allowed on this machine: to load it is to run it in this "
            f"process, which no document decides; where the application is set up, add it to {ALLOWED} "
            f"(absolute paths, separated by {os.pathsep!r})"
        )
        raise ConfigError(message)
    pin = wrapping.pin or _pin_in(root, wrapping.pin_file or "")
    from connectors_pkcs11.token import Token  # noqa: PLC0415 - it loads the PKCS#11 library

    return Token(wrapping, pin)


def _pin_in(root: str | None, path: str) -> SecretText:
    data = read_below(root, path, "PIN file")
    try:
        return SecretText(data.reveal().decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        data = Hidden(b"")
    message = f"the PIN file {path!r} is not text; save it as UTF-8"
    raise ConfigError(message)
