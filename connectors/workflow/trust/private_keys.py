"""Read and write private key files: PKCS#8 in PEM, encrypted with AES-256-CBC and scrypt under a passphrase.

`cryptography` and OpenSSL read such keys, but `cryptography` itself writes keys with 2048 rounds of PBKDF2, where each
guess at the passphrase is hundreds of times cheaper. So the DER structure around the key is built here.

Source: https://www.rfc-editor.org/rfc/rfc8018 (PBES2), https://www.rfc-editor.org/rfc/rfc7914 (scrypt, section 7)
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from connectors.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["decrypted", "encrypted"]

# 16 MiB and eight passes, about a fifth of a second: OpenSSL refuses scrypt with more than 32 MiB.
_COST, _BLOCK_SIZE, _PASSES = 1 << 14, 8, 8
_PBES2 = "1.2.840.113549.1.5.13"
_SCRYPT = "1.3.6.1.4.1.11591.4.11"
_AES_256_CBC = "2.16.840.1.101.3.4.1.42"


def encrypted(key: PrivateKeyTypes, passphrase: bytes | None) -> bytes:
    """Return a private key as PEM, unencrypted if the passphrase is None."""
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    salt, vector = os.urandom(16), os.urandom(16)
    stretched = Scrypt(salt=salt, length=32, n=_COST, r=_BLOCK_SIZE, p=_PASSES).derive(passphrase)
    padder = PKCS7(128).padder()
    plain = padder.update(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())) + padder.finalize()
    encryptor = Cipher(algorithms.AES(stretched), modes.CBC(vector)).encryptor()
    stretching = _sequence(
        _identifier(_SCRYPT), _sequence(_octets(salt), *map(_integer, (_COST, _BLOCK_SIZE, _PASSES, 32)))
    )
    cipher = _sequence(_identifier(_AES_256_CBC), _octets(vector))
    algorithm = _sequence(_identifier(_PBES2), _sequence(stretching, cipher))
    data = _sequence(algorithm, _octets(encryptor.update(plain) + encryptor.finalize()))
    text = base64.b64encode(data)
    body = b"".join(text[start : start + 64] + b"\n" for start in range(0, len(text), 64))
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + body + b"-----END ENCRYPTED PRIVATE KEY-----\n"


def decrypted(pem: bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    """Return the private key in a PEM file.

    Args:
        pem: the file's bytes.
        passphrase: decrypts the key; None for an unencrypted key.

    Raises:
        ConfigError: the passphrase is wrong, or the file is not a private key.
    """
    try:
        return load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError):  # TypeError if a passphrase is missing or not needed
        message = "the passphrase of the private key is wrong, or the file is damaged"
    raise ConfigError(message)


# The part of DER that is needed: https://www.itu.int/rec/T-REC-X.690


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:  # noqa: PLR2004 - one byte has seven bits for a length
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def _sequence(*elements: bytes) -> bytes:
    return _element(0x30, b"".join(elements))


def _octets(content: bytes) -> bytes:
    return _element(0x04, content)


def _integer(value: int) -> bytes:
    return _element(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def _identifier(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = bytearray([40 * first + second])
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        content += bytes(reversed(groups))
    return _element(0x06, bytes(content))
