"""The key source ``passphrase``: a key that is wrapped under a passphrase, for people."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING, ClassVar, Literal

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import Field, model_validator

from connectors.errors import ConfigError, KeyRefused, MachineFailed
from connectors.keys.aes_wrap import unwrap_under, wrap_under
from connectors.keys.contract import KeyReference, KeySource, Wrapped
from connectors.keys.files import read_below
from connectors.secrets import KEY_SIZE, Hidden, SecretKey, SecretText

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["Passphrase", "passphrase_in"]

_SALT = 16
_MOST_MEMORY = 1 << 30
"""Bytes that a stranger's document may make this process use."""
_MOST_WORK = 1 << 23
"""The largest n * r * p of a stranger's document: some seconds."""


class PassphraseWrapping(KeyReference):
    """How much a guess costs, and where the passphrase is."""

    source: Literal["passphrase"] = "passphrase"
    n: int = Field(
        default=1 << 17,
        ge=1 << 14,
        strict=True,
        description="scrypt's cost, a power of two; with r = 8, 131072 takes 128 MiB and half a second.",
    )
    r: int = Field(default=8, ge=1, le=64, strict=True, description="scrypt's block size.")
    p: int = Field(default=1, ge=1, le=16, strict=True, description="scrypt's parallelization.")
    file: str | None = Field(
        default=None,
        description="A file with the passphrase, as `path` of the source file; null: it is asked for at the terminal.",
    )

    @model_validator(mode="after")
    def _check_cost(self) -> Self:
        if self.n & (self.n - 1):
            message = "n must be a power of two, as in 131072"
            raise ValueError(message)
        if 128 * self.n * self.r > _MOST_MEMORY:
            message = f"n and r ask for {128 * self.n * self.r} bytes of memory; at most {_MOST_MEMORY} are used"
            raise ValueError(message)
        if self.n * self.r * self.p > _MOST_WORK:
            message = (
                f"n * r * p is {self.n * self.r * self.p}, which would take minutes; at most {_MOST_WORK} is accepted"
            )
            raise ValueError(message)
        if self.n >= 1 << (16 * self.r):
            message = "n must be less than 2 to the power of 16 * r, as RFC 7914 says; with r = 8 it always is"
            raise ValueError(message)
        return self


class PassphraseReference(PassphraseWrapping):
    """A key wrapped under a passphrase."""

    salt: Wrapped = Field(description=f"{_SALT} random bytes, in base64.")
    wrapped: Wrapped = Field(description="The key, wrapped by AES key wrap (RFC 3394), in base64.")


class Passphrase(KeySource):
    """A key wrapped under what scrypt (RFC 7914) derives from a passphrase.

    Attributes:
        prompt: asks a person for a passphrase, twice if it is new; None where there is nobody to ask. The `connectors`
            command sets it.
    """

    name = "passphrase"
    summary = "a passphrase"
    Reference = PassphraseReference
    Wrapping = PassphraseWrapping
    prompt: ClassVar[Callable[[bool], SecretText] | None] = None

    def unwrap(self, reference: PassphraseReference, root: str | None) -> SecretKey:
        """Return the key; raises as the contract says, and ConfigError if there is no passphrase."""
        derived = _derive(self._passphrase(reference, root, new=False), reference.salt, reference)
        key = unwrap_under(derived, reference.wrapped)
        if key is None:
            message = "the passphrase does not open this key: it is another one, or the document was changed"
            raise KeyRefused(message)
        return key

    def wrap(self, key: SecretKey, wrapping: PassphraseWrapping, root: str | None) -> PassphraseReference:
        """Return a reference to a key, wrapped under a passphrase with a new salt."""
        salt = os.urandom(_SALT)
        derived = _derive(self._passphrase(wrapping, root, new=True), salt, wrapping)
        members = wrapping.model_dump(exclude={"source"})
        return PassphraseReference(**members, salt=salt, wrapped=wrap_under(derived, key))

    def holder(self, reference: PassphraseWrapping) -> str:
        """Return where the passphrase is."""
        return "a passphrase" if reference.file is None else f"the passphrase in the file {reference.file}"

    def _passphrase(self, wrapping: PassphraseWrapping, root: str | None, *, new: bool) -> SecretText:
        if wrapping.file is not None:
            given = passphrase_in(read_below(root, wrapping.file, "passphrase file"))
        elif Passphrase.prompt is not None:
            given = Passphrase.prompt(new)
        else:
            message = (
                "the key is wrapped under a passphrase, and there is nobody to ask for it; name a file that holds it: "
                '"file": "PATH"'
            )
            raise ConfigError(message)
        if not given.reveal():
            message = "an empty passphrase protects nothing; choose several words" if new else "the passphrase is empty"
            raise ConfigError(message)
        return given


def passphrase_in(data: Hidden) -> SecretText:
    """Return the passphrase in a file's content: text, without the line break at its end.

    Raises:
        ConfigError: it is not UTF-8 text.
    """
    try:
        # Windows editors begin the file with a byte-order mark.
        return SecretText(data.reveal().decode("utf-8-sig").rstrip("\r\n"))
    except UnicodeDecodeError:
        message = "the passphrase file is not UTF-8 text"
    raise ConfigError(message)


def _derive(passphrase: SecretText, salt: bytes, cost: PassphraseWrapping) -> SecretKey:
    scrypt = Scrypt(salt=salt, length=KEY_SIZE, n=cost.n, r=cost.r, p=cost.p)
    try:
        # Keyboards of different systems write one character in different ways.
        return SecretKey(
            scrypt.derive(unicodedata.normalize("NFC", passphrase.reveal()).encode("utf-8", "surrogatepass"))
        )
    except MemoryError:
        message = f"this machine has no {128 * cost.n * cost.r} bytes of memory free to derive a key from a passphrase"
    raise MachineFailed(message)
