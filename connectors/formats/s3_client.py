"""s3-encryption-client: the objects of the Amazon S3 Encryption Client, whose keys AWS KMS wraps, one for each object.

::

    object          = ciphertext || tag(16)
    key(32)         = HKDF-SHA512(data key, salt = message ID, info = 0x0073 || "DERIVEKEY")
    commitment(28)  = HKDF-SHA512(data key, salt = message ID, info = 0x0073 || "COMMITKEY")
    ciphertext, tag = AES-256-GCM(key, nonce = 0x01 * 12, additional data = 0x0073, plain)

That is the content algorithm 115, the only one that is written. The wrapped data key, its encryption context, the
message ID and the commitment are in the object's metadata. The older algorithm without a commitment,
AES/GCM/NoPadding under the data key itself with a random nonce, is only read, and only if the document allows it.

The commitment is verified before anything else is read: a wrong key is found with the first request. One tag covers the
whole object: `connectors.formats.whole` says how it is read nevertheless in any order. No name is bound, so objects of
one KMS key and context can be swapped. An object holds at most 2^36 - 32 bytes.

Source: the package amazon-s3-encryption-client-python 4.0.0, ``key_derivation.py`` and ``pipelines.py``.
"""

from __future__ import annotations

import hmac
import os
from abc import abstractmethod
from typing import TYPE_CHECKING, NoReturn, Protocol

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connectors.errors import ConfigError, NotSupported, WrongKey
from connectors.formats.client_metadata import (
    COMMITMENT_SIZE,
    COMMITTING,
    ID_SIZE,
    RESERVED,
    committing_properties,
    read_envelope,
)
from connectors.formats.contract import Format
from connectors.formats.layout import Layout
from connectors.formats.provider import asks_openssl
from connectors.formats.whole import BLOCK_SIZE, MAX_PLAIN, NONCE_SIZE, TAG_SIZE, WholeDecryptor, WholeEncryptor
from connectors.secrets import KEY_SIZE, SecretKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.formats.client_metadata import Envelope
    from connectors.formats.contract import Decryptor, Encryptor, ReadBeside

__all__ = ["DataKeys", "S3EncryptionClient"]

NAME = "s3-encryption-client"
LAYOUT = Layout(header=0, chunk=BLOCK_SIZE, tag=0, trailer=TAG_SIZE, max_plain=MAX_PLAIN)
SUITE = b"\x00\x73"
NONCE = b"\x01" * NONCE_SIZE
"""One nonce for all: each object has a key of its own."""

_asks_openssl = asks_openssl(NAME, "HMAC with SHA-512")


class DataKeys(Protocol):
    """What opens and wraps the data keys of objects."""

    @property
    @abstractmethod
    def context(self) -> Mapping[str, str]:
        """The encryption context of all of them, without members that the format adds."""

    def open(self, wrapped: bytes, context: Mapping[str, str]) -> SecretKey:
        """Return a wrapped data key.

        Raises:
            KeyRefused, KeyUnavailable, InvalidKey: it is not given.
        """

    def seal(self, key: SecretKey, context: Mapping[str, str]) -> bytes:
        """Return a data key, wrapped. The errors are those of `open`."""


class S3EncryptionClient(Format):
    """The format of the Amazon S3 Encryption Client.

    Args:
        keys: what wraps the objects' keys.
        allow_uncommitted: read also objects whose algorithm does not commit to the key.
    """

    name = NAME
    needs_properties = True
    head_size = 0
    layout: Layout = LAYOUT

    def __init__(self, keys: DataKeys, *, allow_uncommitted: bool = False) -> None:
        self._keys = keys
        self._allow_uncommitted = allow_uncommitted

    def encryptor(self) -> Encryptor:
        """Return an encryptor with a new data key, wrapped: one request to what wraps it."""
        key, unique = SecretKey.generate(), os.urandom(ID_SIZE)
        context = {**self._keys.context, RESERVED: COMMITTING}
        derived, commitment = _derived(key, unique)
        encryptor = _committing_encryptor(derived, unique)
        wrapped = self._keys.seal(key, context)
        encryptor.properties = committing_properties(wrapped, context, unique, commitment)
        return encryptor

    def decryptor(self, head: bytes, sealed_size: int) -> NoReturn:
        """Refuse: an object's key is in its properties.

        Raises:
            NotSupported: always.
        """
        del head, sealed_size
        message = f"the format {NAME} reads an object only together with its metadata"
        raise NotSupported(message)

    def decryptor_of(
        self, properties: Mapping[str, str], beside: ReadBeside, head: bytes, sealed_size: int
    ) -> Decryptor:
        """Return a decryptor under the object's own key: unwrapped, and its commitment verified."""
        del head
        envelope = read_envelope(properties, beside)
        if not envelope.commitment and not self._allow_uncommitted:
            message = (
                "the object is of the Amazon S3 Encryption Client's kind that does not commit to its key "
                '(AES/GCM/NoPadding); to read it nevertheless, set "allow_uncommitted": true in the encryption'
            )
            raise NotSupported(message)
        if envelope.context != dict(self._keys.context):
            message = (
                "the object's key was wrapped with another encryption context than the document's: it is another "
                "dataset's, or was replaced; the contexts have to be equal"
            )
            raise WrongKey(message)
        key = self._keys.open(envelope.wrapped, {**envelope.context, RESERVED: envelope.algorithm})
        return _decryptor(key, envelope, sealed_size)

    def bound(self, name: str) -> NoReturn:
        """Refuse: the client's objects are not bound to names.

        Raises:
            ConfigError: always.
        """
        del name
        message = (
            f"the format {NAME} cannot bind the names of a folder's objects, so the storage could swap those of one "
            'context; set "bind": "none" in the encryption to accept that'
        )
        raise ConfigError(message)


@_asks_openssl
def _decryptor(key: SecretKey, envelope: Envelope, sealed_size: int) -> WholeDecryptor:
    nonce, associated = envelope.unique, b""
    if envelope.commitment:
        key, commitment = _derived(key, envelope.unique)
        if not hmac.compare_digest(commitment, envelope.commitment):
            message = (
                "the object's commitment is to another key: the wrapped key, the message ID or the commitment in its "
                "metadata was changed; do not trust it"
            )
            raise WrongKey(message)
        nonce, associated = NONCE, SUITE
    start = _start(envelope.unique)
    return WholeDecryptor(NAME, LAYOUT, key, nonce, sealed_size, start=start, associated=associated)


@_asks_openssl
def _committing_encryptor(key: SecretKey, unique: bytes) -> WholeEncryptor:
    return WholeEncryptor(LAYOUT, key, NONCE, start=_start(unique), associated=SUITE)


def _start(unique: bytes) -> bytes:
    return NAME.encode() + b"\0" + unique


@_asks_openssl
def _derived(key: SecretKey, unique: bytes) -> tuple[SecretKey, bytes]:
    """Return the key of the content, and the commitment."""

    def derive(size: int, purpose: bytes) -> bytes:
        return HKDF(SHA512(), size, unique, SUITE + purpose).derive(key.reveal())

    return SecretKey(derive(KEY_SIZE, b"DERIVEKEY")), derive(COMMITMENT_SIZE, b"COMMITKEY")
