"""The API for backends: everything a plugin imports besides `connectors.errors` and `connectors.secrets`.

The contract:
    `Backend`: what a plugin registers. `Credentials`: the base of the model of its credentials documents.
    `SecretModel`: the base of a part of such a document. `BucketCredentials`: that of a store of buckets.
    `exactly_one_way`, `Way`: the ways to authenticate, of which a document gives one, completely.
    `checked`, `matching`, `Word`, `SecretWord`, `word_problem`: rules for members, which never quote them.
    `sas_expiry`, `sas_start`, `not_yet_valid`: when a shared access signature is valid.
    `sas_problems`, `SAS_NAMES`: what is missing or contradictory in one, and the names of its parameters.
    `query_damage`, `query_members`: what happened to the query of a signed URL on its way.

The filesystem, which is fsspec's:
    `ObjectFileSystem`: a base that derives a filesystem from an ``open_source`` and an ``open_sink``.
    `FindsAll`: a filesystem that lists a whole folder in few requests, completely or with an error.
    `HasLinks`: a filesystem with symbolic links, which says which of them lead to folders.
    `Renames`: a filesystem that renames an object or a folder in one step.
    `Guarded`: keeps secrets out of the storage options, pickles and JSON of any other filesystem.
    `AbstractFileSystem`, `LocalFileSystem`, `MemoryFileSystem`: fsspec's own, with types.

Reading an object by ranges:
    `OpensSources`: a filesystem that can. `Source`: the contract. `FillsBuffers`: a source that saves a copy.
    `StreamsRanges`: a source that reads a long range as one request. `ByteStream`: what it returns.

Writing an object whole:
    `OpensSinks`: a filesystem that can. `Sink`: the contract. `RenewableSink`: a sink that renews its credentials.
    `ExpectsSize`: a sink that prepares for the object's size.
    `KeepsProperties`, `TakesProperties`: a source and a sink whose storage keeps metadata with objects.
    `PutSink`: a sink that sends the object in one request. `PartsInFlight`: the parts of a multipart upload.
    `spooled`: temporary files, whose errors say that this machine's disk is full.

A store that takes an object in parts, with any API:
    `MultipartStore`: the contract. `MultipartSink`, `PartSizes`: write to it, several parts at once.

A store with an HTTP API, in its dialect (docs/backends.md shows one):
    `ObjectStore`: one object by one URL. `BucketStore`: written in parts, with listings.
    `Listed`, `Page`: what a listing returns. `Action`: what a request does.
    `meaning`: what error codes mean; each is a `Meaning`.
    `BucketFileSystem`: the fsspec filesystem of a `BucketStore`. `BucketBackend`: the base of its backend.
    `BucketLocation`, `BucketPlace`: its locations, as data. `split_path`: the parts of ``bucket/key``.
    `MAX_EXPIRES`: the longest time for which a URL can be presigned.
    `RangedSource`, `RangedStream`, `Version`: reads, all from one version.
    `Signer`: says how a request is authorised. `Unsigned`, `QuerySigner`, `with_query`; `expired`: its error.
    `BearerSigner`, `Tokens`, `token_of`: by tokens, which expire.
    `parse_xml`, `text_at`, `texts_at`, `size_of`: read responses. `query_of`, `range_headers`: parts of requests.
    `HttpClient`, `Limits`: sends requests. `Request`, `Response`, `Reply`, `Headers`, `FileBody`, `Origin`, `Failure`.
    `KeyServer`: a key service with an HTTP API, for key sources (`connectors.keys`).
    `refuse_key_log`: for libraries that log in by themselves.

Requests:
    `RetryPolicy`: backoff with jitter. `MIN_PROGRESS`: the bytes that count as progress.
    `ListingGuard`: ends a listing whose pages never end.
    `endpoint_problem`, `is_loopback`, `sends_in_the_clear`, `HIDES_NOTHING`: checks of a server's URL.

Errors:
    `map_errors`: turns the errors that filesystems raise into those of `connectors.errors`.

Each name is loaded when it is first used, so that importing a plugin stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors._fsspec import AbstractFileSystem, LocalFileSystem, MemoryFileSystem
    from connectors.credentials.expiry import not_yet_valid, sas_expiry, sas_start
    from connectors.credentials.model import Credentials, SecretModel
    from connectors.credentials.sas import SAS_NAMES, sas_problems
    from connectors.credentials.signed_queries import query_damage, query_members
    from connectors.storage.adapters import map_errors
    from connectors.storage.backend import Backend
    from connectors.storage.bucket_backend import MAX_EXPIRES, BucketBackend
    from connectors.storage.bucket_filesystem import BucketFileSystem
    from connectors.storage.bucket_store import BucketStore, Listed, Page
    from connectors.storage.capabilities import FindsAll, HasLinks, OpensSinks, OpensSources, Renames
    from connectors.storage.credentials import (
        BucketCredentials,
        SecretWord,
        Way,
        Word,
        checked,
        exactly_one_way,
        matching,
        word_problem,
    )
    from connectors.storage.dialect import query_of, range_headers, size_of
    from connectors.storage.endpoints import HIDES_NOTHING, endpoint_problem, is_loopback, sends_in_the_clear
    from connectors.storage.filesystem import ObjectFileSystem
    from connectors.storage.guard import Guarded
    from connectors.storage.http.client import HttpClient
    from connectors.storage.http.failures import Failure
    from connectors.storage.http.messages import FileBody, Headers, Reply, Request, Response
    from connectors.storage.http.network import Limits, Origin, refuse_key_log
    from connectors.storage.http.xml import parse_xml, text_at, texts_at
    from connectors.storage.key_server import KeyServer
    from connectors.storage.listing import ListingGuard
    from connectors.storage.location import BucketLocation, BucketPlace, split_path
    from connectors.storage.meanings import meaning
    from connectors.storage.multipart import MultipartSink, MultipartStore
    from connectors.storage.part_sizes import PartSizes
    from connectors.storage.put_sink import PutSink
    from connectors.storage.ranged import RangedSource, RangedStream
    from connectors.storage.retry import MIN_PROGRESS, RetryPolicy
    from connectors.storage.signing import QuerySigner, Signer, Unsigned, expired, with_query
    from connectors.storage.store import Action, Meaning, ObjectStore
    from connectors.storage.tokens import BearerSigner, Tokens, token_of
    from connectors.storage.upload import PartsInFlight
    from connectors.storage.version import Version
    from connectors.streams.sinks import ExpectsSize, RenewableSink, Sink, TakesProperties
    from connectors.streams.sources import ByteStream, FillsBuffers, KeepsProperties, Source, StreamsRanges
    from connectors.system.os_errors import spooled

__all__ = [
    "HIDES_NOTHING",
    "MAX_EXPIRES",
    "MIN_PROGRESS",
    "SAS_NAMES",
    "AbstractFileSystem",
    "Action",
    "Backend",
    "BearerSigner",
    "BucketBackend",
    "BucketCredentials",
    "BucketFileSystem",
    "BucketLocation",
    "BucketPlace",
    "BucketStore",
    "ByteStream",
    "Credentials",
    "ExpectsSize",
    "Failure",
    "FileBody",
    "FillsBuffers",
    "FindsAll",
    "Guarded",
    "HasLinks",
    "Headers",
    "HttpClient",
    "KeepsProperties",
    "KeyServer",
    "Limits",
    "Listed",
    "ListingGuard",
    "LocalFileSystem",
    "Meaning",
    "MemoryFileSystem",
    "MultipartSink",
    "MultipartStore",
    "ObjectFileSystem",
    "ObjectStore",
    "OpensSinks",
    "OpensSources",
    "Origin",
    "Page",
    "PartSizes",
    "PartsInFlight",
    "PutSink",
    "QuerySigner",
    "RangedSource",
    "RangedStream",
    "Renames",
    "RenewableSink",
    "Reply",
    "Request",
    "Response",
    "RetryPolicy",
    "SecretModel",
    "SecretWord",
    "Signer",
    "Sink",
    "Source",
    "StreamsRanges",
    "TakesProperties",
    "Tokens",
    "Unsigned",
    "Version",
    "Way",
    "Word",
    "checked",
    "endpoint_problem",
    "exactly_one_way",
    "expired",
    "is_loopback",
    "map_errors",
    "matching",
    "meaning",
    "not_yet_valid",
    "parse_xml",
    "query_damage",
    "query_members",
    "query_of",
    "range_headers",
    "refuse_key_log",
    "sas_expiry",
    "sas_problems",
    "sas_start",
    "sends_in_the_clear",
    "size_of",
    "split_path",
    "spooled",
    "text_at",
    "texts_at",
    "token_of",
    "with_query",
    "word_problem",
]

_HOMES = {
    "AbstractFileSystem": "_fsspec",
    "Action": "storage.store",
    "Backend": "storage.backend",
    "BearerSigner": "storage.tokens",
    "BucketBackend": "storage.bucket_backend",
    "BucketCredentials": "storage.credentials",
    "BucketFileSystem": "storage.bucket_filesystem",
    "BucketLocation": "storage.location",
    "BucketPlace": "storage.location",
    "BucketStore": "storage.bucket_store",
    "ByteStream": "streams.sources",
    "Credentials": "credentials.model",
    "ExpectsSize": "streams.sinks",
    "Failure": "storage.http.failures",
    "FileBody": "storage.http.messages",
    "FillsBuffers": "streams.sources",
    "FindsAll": "storage.capabilities",
    "Guarded": "storage.guard",
    "HIDES_NOTHING": "storage.endpoints",
    "Headers": "storage.http.messages",
    "HasLinks": "storage.capabilities",
    "HttpClient": "storage.http.client",
    "KeepsProperties": "streams.sources",
    "KeyServer": "storage.key_server",
    "Limits": "storage.http.network",
    "Listed": "storage.bucket_store",
    "ListingGuard": "storage.listing",
    "LocalFileSystem": "_fsspec",
    "MAX_EXPIRES": "storage.bucket_backend",
    "MIN_PROGRESS": "storage.retry",
    "Meaning": "storage.store",
    "MemoryFileSystem": "_fsspec",
    "MultipartSink": "storage.multipart",
    "MultipartStore": "storage.multipart",
    "ObjectFileSystem": "storage.filesystem",
    "ObjectStore": "storage.store",
    "OpensSinks": "storage.capabilities",
    "OpensSources": "storage.capabilities",
    "Origin": "storage.http.network",
    "Page": "storage.bucket_store",
    "PartSizes": "storage.part_sizes",
    "PartsInFlight": "storage.upload",
    "PutSink": "storage.put_sink",
    "QuerySigner": "storage.signing",
    "RangedSource": "storage.ranged",
    "RangedStream": "storage.ranged",
    "Renames": "storage.capabilities",
    "RenewableSink": "streams.sinks",
    "Reply": "storage.http.messages",
    "Request": "storage.http.messages",
    "Response": "storage.http.messages",
    "RetryPolicy": "storage.retry",
    "SAS_NAMES": "credentials.sas",
    "SecretModel": "credentials.model",
    "SecretWord": "storage.credentials",
    "Signer": "storage.signing",
    "Sink": "streams.sinks",
    "Source": "streams.sources",
    "StreamsRanges": "streams.sources",
    "TakesProperties": "streams.sinks",
    "Tokens": "storage.tokens",
    "Unsigned": "storage.signing",
    "Version": "storage.version",
    "Way": "storage.credentials",
    "Word": "storage.credentials",
    "checked": "storage.credentials",
    "endpoint_problem": "storage.endpoints",
    "exactly_one_way": "storage.credentials",
    "expired": "storage.signing",
    "is_loopback": "storage.endpoints",
    "map_errors": "storage.adapters",
    "matching": "storage.credentials",
    "meaning": "storage.meanings",
    "not_yet_valid": "credentials.expiry",
    "parse_xml": "storage.http.xml",
    "query_damage": "credentials.signed_queries",
    "query_members": "credentials.signed_queries",
    "query_of": "storage.dialect",
    "range_headers": "storage.dialect",
    "refuse_key_log": "storage.http.network",
    "sas_expiry": "credentials.expiry",
    "sas_problems": "credentials.sas",
    "sas_start": "credentials.expiry",
    "sends_in_the_clear": "storage.endpoints",
    "size_of": "storage.dialect",
    "split_path": "storage.location",
    "spooled": "system.os_errors",
    "text_at": "storage.http.xml",
    "texts_at": "storage.http.xml",
    "token_of": "storage.tokens",
    "with_query": "storage.signing",
    "word_problem": "storage.credentials",
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
