"""auto: tell cobblestone-256 from gcm by what the key proves, never by what the storage says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import TruncatedObject, WrongKey
from connectors.formats.cobblestone import LAYOUT, Cobblestone256
from connectors.formats.contract import Decryptor, Encryptor, Format, with_name
from connectors.formats.gcm import LAYOUT as GCM_LAYOUT
from connectors.formats.gcm import Gcm

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["Auto"]


class Auto(Format):
    """Reads cobblestone-256 and gcm, writes cobblestone-256.

    A Cobblestone header that verifies under the key and context is final: whatever is wrong afterwards is an
    error. Any other object is gcm, and its tag decides. With a context only cobblestone-256 is possible: gcm
    cannot bind one, and reading it all the same would let the storage strip the binding off.
    """

    name = "auto"
    head_size = Cobblestone256.head_size

    def __init__(self, key: SecretKey, context: bytes = b"") -> None:
        self._key = key
        self._context = context
        self.layout = LAYOUT if context else None
        self._cobblestone = Cobblestone256(key, context)
        self._gcm = None if context else Gcm(key)

    def bound(self, name: str) -> Auto:
        """Return the same with `name` in the context, which leaves cobblestone-256 alone possible."""
        return Auto(self._key, with_name(self._context, name))

    def encryptor(self) -> Encryptor:
        """Return a sealer for cobblestone-256."""
        return self._cobblestone.encryptor()

    def decryptor(self, head: bytes, sealed_size: int) -> Decryptor:
        """Return the opener of the format that the key proves."""
        if sealed_size < GCM_LAYOUT.min_sealed:
            message = (
                f"the object has {sealed_size} bytes, fewer than the {GCM_LAYOUT.min_sealed} "
                "that any format needs: it is empty, cut, or not sealed"
            )
            raise TruncatedObject(message)
        if sealed_size >= LAYOUT.min_sealed:
            opened = self._cobblestone.recognize(head, sealed_size)
            if opened is not None:
                return opened
        if self._gcm is None:
            message = (
                "the header does not verify as cobblestone-256: this is another key or context than "
                "it was sealed with, or its header was changed (gcm cannot bind a context)"
            )
            raise WrongKey(message)
        return self._gcm.decryptor(head, sealed_size)
