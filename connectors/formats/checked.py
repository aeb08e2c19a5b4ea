"""Checked encryption: what was encrypted is decrypted again, and compared, before its object can be published.

A fault of the memory, of the processor or of this program would otherwise become an object that nobody can read. That
matters most where the object replaces the only other copy of its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import IntegrityError, MachineFailed
from connectors.formats.contract import Encryptor, Format

if TYPE_CHECKING:
    from connectors.formats.contract import Decryptor

__all__ = ["Checked"]


class Checked(Format):
    """A format whose encryptor checks each run that it has encrypted, for one object of a known size.

    The check uses a decryptor of its own, which derives its keys from the object's header, as a reader does.

    Args:
        codec: the format.
        size: the plain bytes of the object.

    >>> from connectors.formats import select
    >>> encryptor = Checked(select("cobblestone-256", "00" * 32), 4).encryptor()
    >>> out = memoryview(bytearray(encryptor.sealed_bound(4)))
    >>> encryptor.encrypt(memoryview(b"37.2"), out, final=True)
    20
    """

    name = "checked"

    def __init__(self, codec: Format, size: int) -> None:
        self._codec = codec
        self._object_size = size
        self._encryptor: Encryptor | None = codec.encryptor()
        self._layout = self._encryptor.layout
        self.layout = codec.layout
        self.head_size = codec.head_size

    @property
    def pin_ahead(self) -> str:
        """The pin that the object will have; not for gcm, see `Encryptor.pin_ahead`. Valid before it is encrypted."""
        if self._encryptor is None:
            message = "the encryptor of this object has been taken; it knows the pin"
            raise ValueError(message)
        return self._encryptor.pin_ahead(self._object_size)

    def encryptor(self) -> Encryptor:
        """Return the encryptor of the object.

        Raises:
            ValueError: it was returned before.
        """
        encryptor, self._encryptor = self._encryptor, None
        if encryptor is None:
            message = "an encryptor writes one object, and that of this object has been taken"
            raise ValueError(message)
        checker = self._codec.checker(encryptor.header, self._layout.sealed_size(self._object_size))
        return _CheckedEncryptor(encryptor, checker, self._object_size)

    def decryptor(self, head: bytes, sealed_size: int) -> Decryptor:
        """Return the format's decryptor."""
        return self._codec.decryptor(head, sealed_size)

    def bound(self, name: str) -> Checked:
        """Return the same for another object of that size, with `name` in the context."""
        return Checked(self._codec.bound(name), self._object_size)


class _CheckedEncryptor(Encryptor):
    """Encrypts with one instance of the ciphers, decrypts with another, and compares."""

    def __init__(self, encryptor: Encryptor, checker: Decryptor, size: int) -> None:
        super().__init__(encryptor.layout)
        self.header = encryptor.header
        self._encryptor = encryptor
        self._checker = checker
        self._object_size = size
        self._decrypted = bytearray()

    @property
    def pin(self) -> str:
        """The fingerprint of the object."""
        return self._encryptor.pin

    def _identity(self) -> bytes:
        return self._encryptor._identity()  # noqa: SLF001 - of the same family

    def _encrypt_run(self, first: int, count: int, plain: memoryview, out: memoryview, *, final: bool) -> int:
        if self.sealed > self._object_size or (final and self.sealed != self._object_size):
            message = f"the object was announced with {self._object_size} bytes, and has {self.sealed}"
            raise ValueError(message)
        done = self._encryptor.encrypt(plain, out, final=final)
        if not self._decrypts_to(plain, first, count, out[:done], final=final):
            message = (
                "what was encrypted does not decrypt to the same bytes, so it was not published: the memory or the "
                "processor of this machine is faulty; use another one"
            )
            raise MachineFailed(message)
        return done

    def _decrypts_to(self, plain: memoryview, first: int, count: int, sealed: memoryview, *, final: bool) -> bool:
        body = len(sealed) - (self.layout.trailer if final else 0)
        if len(self._decrypted) != len(plain):
            self._decrypted = bytearray(len(plain))
        try:
            self._checker.decrypt_run(first, count, sealed[:body], memoryview(self._decrypted))
            if final:
                self._checker.finish(sealed[body:])
        except IntegrityError:
            return False
        # A bytearray compares like memcmp; two views are compared element by element.
        return self._decrypted == plain
