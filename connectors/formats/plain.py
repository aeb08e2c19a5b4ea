"""No encryption: a dataset whose credentials say ``"encryption": null``.

It is not a value of a document's `format`: bytes are plain only if their owner states it explicitly. As a format like
the others it saves the streams a second way of reading and writing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import NotSupported
from connectors.formats.contract import Decryptor, Encryptor, Format
from connectors.formats.layout import Layout

if TYPE_CHECKING:
    from connectors.formats.contract import Fetch

__all__ = ["Plain"]

LAYOUT = Layout(header=0, chunk=1 << 16, tag=0)


class Plain(Format):
    """Bytes as they are."""

    name = "plain"
    head_size = 0
    layout: Layout = LAYOUT

    def encryptor(self) -> PlainEncryptor:
        """Return an encryptor that copies."""
        return PlainEncryptor(LAYOUT)

    def decryptor(self, head: bytes, sealed_size: int) -> PlainDecryptor:  # noqa: ARG002 - there is no header
        """Return a decryptor that copies."""
        return PlainDecryptor(LAYOUT, sealed_size)

    def bound(self, name: str) -> Plain:  # noqa: ARG002
        """Return itself: nothing is encrypted, so nothing can be bound."""
        return self


class _NoIdentity:
    @staticmethod
    def _identity() -> bytes:
        message = "bytes that are not encrypted have no fingerprint"
        raise NotSupported(message)


class PlainEncryptor(_NoIdentity, Encryptor):
    """Copies bytes."""

    header = b""

    def _encrypt_run(self, first: int, count: int, plain: memoryview, out: memoryview, *, final: bool) -> int:  # noqa: ARG002
        out[: len(plain)] = plain
        return len(plain)


class PlainDecryptor(_NoIdentity, Decryptor):
    """Copies bytes; there is nothing to verify."""

    def authenticate(self, fetch: Fetch) -> None:
        """Do nothing: plain bytes have no proof of their end."""

    def _decrypt_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:  # noqa: ARG002
        out[: len(sealed)] = sealed
        return len(sealed)
