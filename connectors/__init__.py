"""Sealed datasets in, sealed results out: one API over any storage, for applications in enclaves.

>>> import connectors
>>> connectors.Dataset("memory://clinic/conditions", {"encryption": {"key": "00" * 32}}).write_bytes(b"37.2")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors import errors
    from connectors.app.config import AppConfig, Port, load
    from connectors.app.dataset import Dataset
    from connectors.app.rekeying import Rekeyed, rekey
    from connectors.credentials.model import Credentials, Encryption
    from connectors.fs.encrypted import EncryptedFileSystem
    from connectors.secrets import SecretKey, SecretText
    from connectors.storage.backend import Backend
    from connectors.storage.registry import backends
    from connectors.streams import decrypt, encrypt, fingerprint, open_reader, open_writer

__all__ = [
    "AppConfig",
    "Backend",
    "Credentials",
    "Dataset",
    "EncryptedFileSystem",
    "Encryption",
    "Port",
    "Rekeyed",
    "SecretKey",
    "SecretText",
    "backends",
    "decrypt",
    "encrypt",
    "errors",
    "fingerprint",
    "load",
    "open_reader",
    "open_writer",
    "rekey",
]

_HOMES = {
    "AppConfig": "app.config",
    "Backend": "storage.backend",
    "Credentials": "credentials",
    "Dataset": "app.dataset",
    "EncryptedFileSystem": "fs.encrypted",
    "Encryption": "credentials",
    "Port": "app.config",
    "Rekeyed": "app.rekeying",
    "SecretKey": "secrets",
    "SecretText": "secrets",
    "backends": "storage.registry",
    "decrypt": "streams",
    "encrypt": "streams",
    "fingerprint": "streams",
    "load": "app.config",
    "open_reader": "streams",
    "open_writer": "streams",
    "rekey": "app.rekeying",
}


def __getattr__(name: str) -> object:
    """Import a public name's module when the name is first used: `import connectors` itself costs nothing."""
    if name == "errors":
        return importlib.import_module("connectors.errors")
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(f"connectors.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
