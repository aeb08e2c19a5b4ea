"""Columns of a Parquet file that are encrypted under keys of their own, inside a sealed object.

A dataset's document may name column keys: ``"encryption": {"key": …, "columns": {"pii": …}}``. Whoever has the document
without `pii` reads the other columns. pyarrow encrypts the columns (Parquet modular encryption); its data keys are
wrapped here, never by a service on the network::

    id of a key      = NAME "/" COLUMN
    wrapping key     = HKDF-SHA256(column key, no salt, info = "enclave-connectors parquet column", L = 32)
    wrapped data key = base64(nonce(12) || AES-256-GCM(wrapping key, nonce, data key, aad = id))

The footer is plain, and so the schema and the statistics of the other columns are known to all readers of the dataset.
The key that signs the footer is in the file in the clear, and proves nothing: pyarrow's interface cannot bind a file to
its place, so a storage could exchange files under the same keys. The sealed object around the file prevents that, with
its context, pin or manifest. Nothing here replaces sealing.

polars reads only the columns without a key, and so does DuckDB, which knows one key for a whole file.

Source: https://github.com/apache/parquet-format/blob/master/Encryption.md
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connectors.app.footer import columns_of
from connectors.errors import ConfigError, KeyRefused, NotSupported, naming
from connectors.secrets import KEY_SIZE, Hidden, TinkKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.credentials import Encryption

__all__ = ["Column", "ColumnKeys", "columns_in", "decryption_properties", "encryption_properties"]

_INFO = b"enclave-connectors parquet column"
_NONCE = 12
_FOOTER = "/"
"""The id of the key that signs the footer: without a name, and without a column."""
_UNWRITABLE = re.compile(r"[,:;]|^\s|\s$|^$")
"""What pyarrow cannot pass on in a column's name, which it joins into one text."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a Parquet file.

    Attributes:
        name: its path, with dots: ``address.street``.
        key: the name of its key; None if it has none.
        readable: whether the document has the key, or it needs none; None if there is no document.
    """

    name: str
    key: str | None
    readable: bool | None


@dataclass(frozen=True, slots=True)
class ColumnKeys:
    """The column keys of a dataset.

    Attributes:
        encryption: the dataset's encryption.
        root: the folder that key files are below, or None.
        dataset: the dataset's name in errors, or None.
    """

    encryption: Encryption
    root: str | None
    dataset: str | None

    def wrapping_key(self, name: str, column: str) -> AESGCM:
        """Return what wraps the data keys of columns under a key.

        Raises:
            KeyRefused: the document does not have the key, or its source does not give it.
            KeyUnavailable, InvalidKey, ConfigError: as for `encryption.key`.
        """
        if name not in self.encryption.columns:
            known = ", ".join(sorted(self.encryption.columns)) or "none"
            message = (
                f"the column {column!r} is encrypted under the column key {name!r}, which this document does not have "
                f"(encryption.columns has {known}); read other columns, or ask the owner of the data for the key"
            )
            raise KeyRefused(message)
        key = self.encryption.column_key(name, self.root)
        if isinstance(key, TinkKey):
            message = f"encryption.columns.{name}: a Tink keyset is for whole objects; give a key of 64 digits"
            raise ConfigError(message)
        return AESGCM(HKDF(SHA256(), KEY_SIZE, None, _INFO).derive(key.reveal()))

    def wrap(self, key: Hidden, identity: str) -> str:
        """Return the wrapped data key of the column that an id names."""
        if identity == _FOOTER:
            return base64.b64encode(key.reveal()).decode()
        nonce = os.urandom(_NONCE)
        sealed = self.wrapping_key(*_parts(identity)).encrypt(nonce, key.reveal(), identity.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unwrap(self, wrapped: str, identity: str) -> Hidden:
        """Return the data key of the column that an id names.

        Raises:
            KeyRefused: the document does not have its key, or another one of that name.
            NotSupported: another program wrote the file.
        """
        name, column = _parts(identity)
        try:
            data = base64.b64decode(wrapped, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if identity == _FOOTER:
            return Hidden(data)
        aead = self.wrapping_key(name, column)
        try:
            return Hidden(aead.decrypt(data[:_NONCE], data[_NONCE:], identity.encode()))
        except (InvalidTag, ValueError):
            pass
        message = (
            f"the column {column!r} is encrypted under another key than encryption.columns.{name} in this document; "
            "ask the owner of the data for that key"
        )
        raise KeyRefused(message)


def _parts(identity: str) -> tuple[str, str]:
    """Return the names of the key and the column in an id."""
    name, slash, column = identity.partition("/")
    if not slash:
        message = f"the Parquet file has a key {identity!r}, which another program's key service wraps"
        raise NotSupported(message)
    return name, column


def decryption_properties(keys: ColumnKeys) -> Any:
    """Return pyarrow's `FileDecryptionProperties` for any number of files."""
    library = _library()
    return _factory(library, keys).file_decryption_properties(library.KmsConnectionConfig())


def encryption_properties(keys: ColumnKeys, columns: Mapping[str, Sequence[str]]) -> Any:
    """Return pyarrow's `FileEncryptionProperties` for one file.

    Args:
        keys: the column keys.
        columns: the names of columns, by the names of their keys.

    Raises:
        ConfigError: a key is not known, a column is named twice, or a name cannot be passed to pyarrow.
        KeyRefused, KeyUnavailable, InvalidKey: a key's source does not give it.
    """
    library = _library()
    _check(keys, columns)
    configuration = library.EncryptionConfiguration(
        footer_key=_FOOTER,
        column_keys={f"{name}/{column}": [column] for name, given in columns.items() for column in given},
        plaintext_footer=True,
        double_wrapping=False,
        internal_key_material=True,
        data_key_length_bits=8 * KEY_SIZE,
    )
    return _factory(library, keys).file_encryption_properties(library.KmsConnectionConfig(), configuration)


def _check(keys: ColumnKeys, columns: Mapping[str, Sequence[str]]) -> None:
    problem, seen = None, set()
    for name, given in columns.items():
        if name not in keys.encryption.columns:
            known = ", ".join(sorted(keys.encryption.columns)) or "none"
            problem = f"there is no column key {name!r}; encryption.columns has {known}"
        elif isinstance(given, str) or not given:
            problem = f'name the columns of {name!r} in a list, as in {{"{name}": ["birth_date"]}}'
        else:
            for column in given:
                if _UNWRITABLE.search(column):
                    problem = f"the column {column!r} cannot have a key: pyarrow joins names with , : ; and spaces"
                elif column in seen:
                    problem = f"the column {column!r} is named twice"
                seen.add(column)
    if not columns:
        problem = 'name the columns to encrypt, as in columns={"pii": ["name"]}'
    if problem is not None:
        raise ConfigError(problem)


def columns_in(file: IO[bytes], encryption: Encryption | None = None) -> list[Column]:
    """Return the columns of a Parquet file, with the names of their keys; no key is asked for.

    Args:
        file: the plain bytes, seekable.
        encryption: says which keys are there; None: it is not known.

    Raises:
        NotSupported: it is no Parquet file, or one whose footer is encrypted.
        IntegrityError: its footer is broken.
    """
    found = []
    for name, identity in columns_of(file):
        key = None if identity is None else identity.partition("/")[0]
        known = None if encryption is None else key in encryption.columns
        found.append(Column(name, key, True if key is None else known))
    return found


def _library() -> Any:
    try:
        import pyarrow.parquet.encryption as library  # noqa: PLC0415 - large, and only for this
    except ImportError:
        pass
    else:
        return library
    message = "column keys need pyarrow with Parquet encryption; install it with: pip install pyarrow"
    raise NotSupported(message)


def _factory(library: Any, keys: ColumnKeys) -> Any:
    """Return pyarrow's factory of properties over our wrapping of data keys."""

    class Client(library.KmsClient):  # type: ignore[misc]  # pyarrow is loaded late
        """Wraps data keys under column keys, in this process."""

        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
            key = Hidden(key_bytes)
            del key_bytes  # a traceback that prints locals would print it
            with naming(keys.dataset):
                return keys.wrap(key, master_key_identifier)

        def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
            with naming(keys.dataset):
                key: bytes = keys.unwrap(wrapped_key, master_key_identifier).reveal()
            return key

    return library.CryptoFactory(lambda _: Client())
