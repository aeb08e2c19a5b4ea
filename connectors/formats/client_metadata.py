"""What the Amazon S3 Encryption Client keeps with an object: its metadata, or an instruction file beside it.

The formats of the metadata are numbered, V1 to V3; names from two of them with one object are refused. All of it is
the storage's word until the object's tag has verified.

Source: the package amazon-s3-encryption-client-python 4.0.0, ``metadata.py`` and ``pipelines.py``, and the
specification that it quotes.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from connectors.errors import IntegrityError, NotSupported, ObjectNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.formats.contract import ReadBeside

__all__ = ["COMMITTING", "RESERVED", "UNCOMMITTED", "Envelope", "committing_properties", "read_envelope"]

COMMITTING = "115"
"""ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, as the metadata and the encryption context name it."""
UNCOMMITTED = "AES/GCM/NoPadding"
"""ALG_AES_256_GCM_IV12_TAG16_NO_KDF, likewise."""
RESERVED = "aws:x-amz-cek-alg"
"""The member of the encryption context that is the client's own: the content algorithm."""
SUFFIX = ".instruction"
NONCE_SIZE = 12
ID_SIZE = COMMITMENT_SIZE = 28

_LEGACY = frozenset({"x-amz-key"})
_V2 = frozenset(
    {"x-amz-key-v2", "x-amz-iv", "x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-matdesc", "x-amz-tag-len"},
)
_CONTENT = frozenset({"x-amz-c", "x-amz-d", "x-amz-i"})
"""Names that stay in the object's own metadata if there is an instruction file."""
_V3 = _CONTENT | {"x-amz-3", "x-amz-w", "x-amz-t", "x-amz-m"}
_MARKER = "x-amz-crypto-instr-file"
_WRAPPED_BY = {"02": "AES/GCM", "12": "kms+context", "22": "RSA-OAEP-SHA1"}


@dataclass(frozen=True, slots=True)
class Envelope:
    """How one object is sealed.

    Attributes:
        algorithm: `COMMITTING` or `UNCOMMITTED`.
        wrapped: the object's data key, wrapped.
        context: the encryption context that it is wrapped with, without the reserved member, which has been checked.
        unique: the message ID if the algorithm commits to the key, else the nonce.
        commitment: 28 bytes that only the right data key gives; empty if the algorithm does not commit.
    """

    algorithm: str
    wrapped: bytes
    context: dict[str, str]
    unique: bytes
    commitment: bytes = b""


def committing_properties(
    wrapped: bytes, context: Mapping[str, str], unique: bytes, commitment: bytes
) -> dict[str, str]:
    """Return the metadata of a new object; the context is the whole one, with its reserved member."""
    return {
        "x-amz-c": COMMITTING,
        "x-amz-3": _text(wrapped),
        "x-amz-w": "12",
        "x-amz-d": _text(commitment),
        "x-amz-i": _text(unique),
        "x-amz-t": json.dumps(dict(context)),
    }


def read_envelope(properties: Mapping[str, str], beside: ReadBeside) -> Envelope:
    """Return how an object is sealed.

    Raises:
        IntegrityError: there is nothing of the client, or it is contradictory or invalid.
        NotSupported: the object is sealed or its key wrapped in a way that is not read.
        StorageError: its instruction file cannot be read.
    """
    members = {name: properties[name] for name in (_LEGACY | _V2 | _V3) & properties.keys()}
    if not members or ("x-amz-3" not in members and members.keys() & _CONTENT and not members.keys() & (_V2 | _LEGACY)):
        members = _with_instructions(members, beside)
    versions = [names for names in (_LEGACY, _V2, _V3) if members.keys() & names]
    if "x-amz-key" in members and not members.keys() & (_V3 | {"x-amz-key-v2"}):
        message = (
            "the object is of the old kind, V1, of the Amazon S3 Encryption Client (x-amz-key; AES-CBC or unbound key "
            "wrapping), which is not read; copy it with a newer client"
        )
        raise NotSupported(message)
    if len(versions) > 1:
        message = (
            "the metadata mixes versions of the Amazon S3 Encryption Client, which no client writes: the object or its "
            "instruction file was changed; do not trust it"
        )
        raise IntegrityError(message)
    return _committing(members) if versions == [_V3] else _uncommitted(members)


def _with_instructions(members: dict[str, str], beside: ReadBeside) -> dict[str, str]:
    """Return an object's metadata together with its instruction file's."""
    try:
        data = beside(SUFFIX)
    except ObjectNotFound:
        data = None
    if data is None:
        message = (
            "the object has no key of the Amazon S3 Encryption Client, neither in its metadata nor in a file "
            f"{SUFFIX} beside it: it was not encrypted with that client, or the storage lost its metadata"
        )
        raise IntegrityError(message)
    found = _json(data, "the instruction file")
    names = found.keys() - {_MARKER}
    if not names or not names <= _LEGACY | _V2 | _V3 or names & _CONTENT:
        _refuse("the instruction file", "it has other members than the client's, or those of an object")
    return {**{name: found[name] for name in names}, **members}


def _committing(members: dict[str, str]) -> Envelope:
    if members.get("x-amz-c") != COMMITTING:
        _refuse_algorithm("content algorithm", members.get("x-amz-c", ""))
    wrapping = members.get("x-amz-w", "")
    if wrapping != "12":
        _refuse_algorithm("key wrapping", _WRAPPED_BY.get(wrapping, wrapping))
    return Envelope(
        COMMITTING,
        _bytes(members, "x-amz-3"),
        _context(members, "x-amz-t", COMMITTING),
        _bytes(members, "x-amz-i", ID_SIZE),
        _bytes(members, "x-amz-d", COMMITMENT_SIZE),
    )


def _uncommitted(members: dict[str, str]) -> Envelope:
    if members.get("x-amz-cek-alg") != UNCOMMITTED:
        _refuse_algorithm("content algorithm", members.get("x-amz-cek-alg", ""))
    if members.get("x-amz-wrap-alg") != "kms+context":
        _refuse_algorithm("key wrapping", members.get("x-amz-wrap-alg", ""))
    if members.get("x-amz-tag-len", "128") != "128":
        _refuse("x-amz-tag-len", "a tag has 128 bits")
    return Envelope(
        UNCOMMITTED,
        _bytes(members, "x-amz-key-v2"),
        _context(members, "x-amz-matdesc", UNCOMMITTED),
        _bytes(members, "x-amz-iv", NONCE_SIZE),
    )


def _refuse_algorithm(what: str, value: str) -> NoReturn:
    """Refuse an algorithm; those that the client has are named."""
    known = {
        "AES/CBC/PKCS5Padding": "which does not detect changes",
        "kms": "which binds the key to no content algorithm",
        **dict.fromkeys(("AES/GCM", "RSA-OAEP-SHA1", "AESWrap", "RSA/ECB/OAEPWithSHA-256AndMGF1Padding"), ""),
    }
    if value not in known:
        _refuse(what, "the client has no such one")
    why = known[value] and f", {known[value]}"
    message = (
        f"the object has the {what} {value} of the Amazon S3 Encryption Client{why}; only kms+context, with AES-GCM, "
        "is read"
    )
    raise NotSupported(message)


def _context(members: dict[str, str], name: str, algorithm: str) -> dict[str, str]:
    """Return the encryption context without its reserved member, which has to be the content algorithm."""
    context = _json(members.get(name, "").encode("utf-8", "surrogatepass"), name)
    if context.pop(RESERVED, None) != algorithm:
        _refuse(name, "its key was not wrapped for this content algorithm")
    return context


def _json(data: bytes, name: str) -> dict[str, str]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        _refuse(name, "it is not a JSON object of text")
    return found


def _bytes(members: dict[str, str], name: str, size: int | None = None) -> bytes:
    try:
        data = base64.b64decode(members.get(name, ""), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or len(data) != (size or len(data)):
        _refuse(name, "it is missing, or not base64 of the right length")
    return data


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _refuse(name: str, why: str) -> NoReturn:
    message = f"{name} in the metadata of the Amazon S3 Encryption Client is invalid: {why}; do not trust the object"
    raise IntegrityError(message)
