"""auto: tell cobblestone-256 from gcm by what the key proves, never by what the storage reports."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from connectors.errors import TruncatedObject, WrongKey
from connectors.formats.cobblestone import LAYOUT, Cobblestone256
from connectors.formats.contract import Decryptor, Encryptor, Format, FormerKeys, with_name
from connectors.formats.gcm import LAYOUT as GCM_LAYOUT
from connectors.formats.gcm import Gcm

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["Auto"]


LARGEST_GCM = 1 << 24
"""Bytes of the largest object that is read as gcm without being named so: whoever has a wrong key learns it early."""

_LOG = logging.getLogger(__name__)


class Auto(Format):
    """Reads cobblestone-256 and gcm, writes cobblestone-256.

    If a Cobblestone header verifies under the key and context, the object is cobblestone-256, and any later problem
    is an error. Any other object of at most 16 MiB is read as gcm, whose tag decides; a larger one needs the format gcm
    to be named. With a context, only cobblestone-256 is accepted:
    gcm cannot bind one, and accepting it would let the storage strip the binding off. Former keys read only
    cobblestone-256, whose commitment tells which one fits.
    """

    name = "auto"
    head_size = Cobblestone256.head_size

    def __init__(self, key: SecretKey, context: bytes = b"", former: FormerKeys | None = None) -> None:
        self._key = key
        self._context = context
        self.layout = LAYOUT if context else None
        self._former = former
        self._cobblestone = Cobblestone256(key, context, former)
        self._gcm = None if context else Gcm(key)

    def bound(self, name: str) -> Auto:
        """Return the same format with `name` in the context: only cobblestone-256 can be read then."""
        return Auto(self._key, with_name(self._context, name), self._former)

    def encryptor(self) -> Encryptor:
        """Return an encryptor for cobblestone-256."""
        return self._cobblestone.encryptor()

    def decryptor(self, head: bytes, sealed_size: int) -> Decryptor:
        """Return the decryptor of the format that the key proves."""
        if sealed_size < GCM_LAYOUT.min_sealed:
            message = (
                f"the object has {sealed_size} bytes, fewer than the {GCM_LAYOUT.min_sealed} "
                "that any format needs: it is empty, truncated, or not encrypted"
            )
            raise TruncatedObject(message)
        if sealed_size >= LAYOUT.min_sealed:
            opened = self._cobblestone.recognize(head, sealed_size)
            if opened is not None:
                return opened
        if self._gcm is None:
            message = (
                "the header does not verify as cobblestone-256: wrong key or context, a changed header, or an object "
                "that was never sealed (gcm cannot bind a context)"
            )
            raise WrongKey(message)
        if sealed_size > LARGEST_GCM:
            message = (
                "the header does not verify as cobblestone-256: wrong key, a changed header, or an object that was "
                f"never sealed. An object of {sealed_size} bytes is read as gcm, which verifies all of it before the "
                'first byte is released, only if the format is named: "format": "gcm" in its document, or --format gcm'
            )
            raise WrongKey(message)
        _LOG.info("no cobblestone-256 header under this key: reading all %d bytes to verify them as gcm", sealed_size)
        return self._gcm.decryptor(head, sealed_size)
