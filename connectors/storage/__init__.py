"""The API for backends: everything a plugin imports besides `connectors.errors` and `connectors.secrets`.

The contract:
    `Backend`: what a plugin registers. `Credentials`: the base of the model of its credentials documents.
    `SecretModel`: the base of a part of such a document.
    `sas_expiry`: when a shared access signature expires.

The filesystem, which is fsspec's:
    `ObjectFileSystem`: a base that derives a filesystem from an ``open_source`` and an ``open_sink``.
    `FindsAll`: a filesystem that lists a whole folder in few requests, completely or with an error.
    `Renames`: a filesystem that renames an object or a folder in one step.
    `Guarded`: keeps secrets out of the storage options, pickles and JSON of any other filesystem.
    `AbstractFileSystem`, `LocalFileSystem`, `MemoryFileSystem`: fsspec's own, with types.

Reading an object by ranges:
    `OpensSources`: a filesystem that can. `Source`: the contract. `FillsBuffers`: a source that saves a copy.
    `StreamsRanges`: a source that reads a long range as one request. `ByteStream`: what it returns.
    `RangeBuffer`: a range that arrives in several responses.

Writing an object whole:
    `OpensSinks`: a filesystem that can. `Sink`: the contract. `RenewableSink`: a sink that renews its credentials.
    `PartsInFlight`: the parts of a multipart upload, several at once.
    `spooled`: temporary files, whose errors say that this machine's disk is full.

Requests:
    `RetryPolicy`: backoff with jitter. `MIN_PROGRESS`: the bytes that count as progress.
    `StallTimeoutConnection`: an HTTP connection with a stall timeout. `MAX_RESPONSE_HEADS`: for other HTTP clients.
    `ListingGuard`: ends a listing whose pages never end.
    `endpoint_problem`, `is_loopback`, `sends_in_the_clear`, `HIDES_NOTHING`: checks of a server's URL.

Errors:
    `map_errors`: turns the errors that filesystems raise into those of `connectors.errors`.
    `is_of_library`: tells an error about a server's response from a bug in the plugin.

Each name is loaded when it is first used, so that importing a plugin stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors._fsspec import AbstractFileSystem, LocalFileSystem, MemoryFileSystem
    from connectors.credentials.expiry import sas_expiry
    from connectors.credentials.model import Credentials, SecretModel
    from connectors.storage.adapters import is_of_library, map_errors
    from connectors.storage.backend import Backend
    from connectors.storage.capabilities import FindsAll, OpensSinks, OpensSources, Renames
    from connectors.storage.endpoints import HIDES_NOTHING, endpoint_problem, is_loopback, sends_in_the_clear
    from connectors.storage.filesystem import ObjectFileSystem
    from connectors.storage.guard import Guarded
    from connectors.storage.http import MAX_RESPONSE_HEADS, StallTimeoutConnection
    from connectors.storage.listing import ListingGuard
    from connectors.storage.retry import MIN_PROGRESS, RangeBuffer, RetryPolicy
    from connectors.storage.upload import PartsInFlight
    from connectors.streams.sinks import RenewableSink, Sink
    from connectors.streams.sources import ByteStream, FillsBuffers, Source, StreamsRanges
    from connectors.system.os_errors import spooled

__all__ = [
    "HIDES_NOTHING",
    "MAX_RESPONSE_HEADS",
    "MIN_PROGRESS",
    "AbstractFileSystem",
    "Backend",
    "ByteStream",
    "Credentials",
    "FillsBuffers",
    "FindsAll",
    "Guarded",
    "ListingGuard",
    "LocalFileSystem",
    "MemoryFileSystem",
    "ObjectFileSystem",
    "OpensSinks",
    "OpensSources",
    "PartsInFlight",
    "RangeBuffer",
    "Renames",
    "RenewableSink",
    "RetryPolicy",
    "SecretModel",
    "Sink",
    "Source",
    "StallTimeoutConnection",
    "StreamsRanges",
    "endpoint_problem",
    "is_loopback",
    "is_of_library",
    "map_errors",
    "sas_expiry",
    "sends_in_the_clear",
    "spooled",
]

_HOMES = {
    "sas_expiry": "credentials.expiry",
    "RenewableSink": "streams.sinks",
    "FillsBuffers": "streams.sources",
    "FindsAll": "storage.capabilities",
    "Renames": "storage.capabilities",
    "OpensSources": "storage.capabilities",
    "OpensSinks": "storage.capabilities",
    "AbstractFileSystem": "_fsspec",
    "Backend": "storage.backend",
    "ByteStream": "streams.sources",
    "Credentials": "credentials.model",
    "Guarded": "storage.guard",
    "HIDES_NOTHING": "storage.endpoints",
    "ListingGuard": "storage.listing",
    "LocalFileSystem": "_fsspec",
    "MAX_RESPONSE_HEADS": "storage.http",
    "MIN_PROGRESS": "storage.retry",
    "MemoryFileSystem": "_fsspec",
    "ObjectFileSystem": "storage.filesystem",
    "PartsInFlight": "storage.upload",
    "RangeBuffer": "storage.retry",
    "RetryPolicy": "storage.retry",
    "SecretModel": "credentials.model",
    "Sink": "streams.sinks",
    "Source": "streams.sources",
    "StallTimeoutConnection": "storage.http",
    "StreamsRanges": "streams.sources",
    "endpoint_problem": "storage.endpoints",
    "is_loopback": "storage.endpoints",
    "is_of_library": "storage.adapters",
    "sends_in_the_clear": "storage.endpoints",
    "spooled": "system.os_errors",
    "map_errors": "storage.adapters",
}

if not TYPE_CHECKING:  # hidden from type checkers, so that they report unknown names

    def __getattr__(name: str) -> object:
        """Import a name's module when the name is first used."""
        if name not in _HOMES:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(importlib.import_module(f"connectors.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
